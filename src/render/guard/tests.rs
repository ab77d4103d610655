//! The guard: what counts as a difference and what does not, and that no value is kept.

use super::*;

const TEXT: &str = "---
# Source: c/crds/x.yaml
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: xs.example}
---
# Source: c/templates/a.yaml
apiVersion: apps/v1
kind: Deployment
metadata: {name: a, namespace: ns}
spec:
  replicas: 2
  template:
    spec:
      containers:
      - {name: main, image: \"x:1\", args: [\"--on\", \"1\"]}
---
# Source: c/templates/s.yaml
apiVersion: v1
kind: Secret
metadata: {name: s}
stringData: {password: hush, user: app}
---
# Source: c/templates/h.yaml
apiVersion: batch/v1
kind: Job
metadata: {name: h, annotations: {helm.sh/hook: pre-install}}
---
# Source: c/templates/t.yaml
apiVersion: v1
kind: Pod
metadata: {name: t, annotations: {helm.sh/hook: test}}
";

fn salt() -> Salt {
    Salt::new([7; 32])
}

fn of(text: &str) -> Expected {
    Expected::of(&Stream::parse(text).unwrap(), "ns", &salt())
}

/// `OBJECT HOW`, a line each.
fn told(expected: &Expected, text: &str) -> Vec<String> {
    let how = |how: &How| match how {
        How::More => "more".to_owned(),
        How::Less => "less".to_owned(),
        How::Fields { count, first } => format!("{count}: {}", first.join(" ")),
    };
    expected.differences("r", &of(text)).iter().map(|d| format!("{} {}", d.object, how(&d.how))).collect()
}

/// As helm hands it over: other order, another style, file names in annotations, no files of `crds/`, and tests.
#[test]
fn style_and_order_do_not_count() {
    let live = "apiVersion: batch/v1
kind: Job
metadata:
  name: h
  annotations:
    helm.sh/hook: pre-install
    postrenderer.helm.sh/postrender-filename: 'c/templates/h.yaml'
---
apiVersion: v1
kind: Secret
metadata: {annotations: {postrenderer.helm.sh/postrender-filename: x}, name: s, namespace: ns}
stringData:
  user: 'app'
  password: |-
    hush
---
kind: Deployment
apiVersion: apps/v1
metadata: {name: a, annotations: {}}
spec: {template: {spec: {containers: [{args: [--on, '1'], image: x:1, name: main}]}}, replicas: 2.0}
";
    assert_eq!(told(&of(TEXT), live), Vec::<String>::new());
    assert_eq!(told(&of(live), TEXT), Vec::<String>::new());
}

#[test]
fn whatever_differs_is_named() {
    let cases = [
        ("replicas: 2", "replicas: \"2\"", "Deployment a 1: spec.replicas"),
        ("replicas: 2", "replicas: 3", "Deployment a 1: spec.replicas"),
        ("replicas: 2", "other.key: 2", "Deployment a 2: spec.replicas spec[\"other.key\"]"),
        ("\"1\"]", "1]", "Deployment a 1: spec.template.spec.containers[0].args[1]"),
        ("\"1\"]", "\"1\", \"2\"]", "Deployment a 1: spec.template.spec.containers[0].args[2]"),
        ("password: hush", "password: tell", "Secret s 1: stringData.password"),
        ("user: app", "user: null", "Secret s 1: stringData.user"),
        ("pre-install", "pre-upgrade", "Job h 1: metadata.annotations[\"helm.sh/hook\"]"),
        ("{name: s}", "{name: s, namespace: other}", "Secret s less|Secret other/s more"),
        ("kind: Job", "kind: Pod", "Job h less|Pod h more"),
        ("apps/v1", "apps/v2", "Deployment a less|Deployment a more"),
    ];
    for (from, to, expected) in cases {
        assert!(TEXT.contains(from));
        assert_eq!(told(&of(TEXT), &TEXT.replacen(from, to, 1)).join("|"), expected, "{from} -> {to}");
    }
    let more = format!("{TEXT}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\n");
    assert_eq!(told(&of(TEXT), &more), ["ConfigMap c more"]);
    assert_eq!(told(&of(&more), TEXT), ["ConfigMap c less"]);
    let many = TEXT.replace("{password: hush, user: app}", "{a: b, c: d, e: f}");
    assert_eq!(told(&of(TEXT), &many), ["Secret s 5: stringData.a stringData.c stringData.e"]);
}

#[test]
fn objects_of_one_name_are_compared_as_a_heap() {
    let pod = |x: u32| format!("---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{x: {x}}}\n");
    let (ab, ba) = (pod(1) + &pod(2), pod(2) + &pod(1));
    assert_eq!(told(&of(&ab), &ba), Vec::<String>::new());
    assert_ne!(told(&of(&ab), &pod(1)), Vec::<String>::new());
    assert_ne!(told(&of(&ab), &(pod(1) + &pod(1))), Vec::<String>::new());
}

#[test]
fn schemas_of_definitions_count() {
    let crd = |kind: &str| {
        format!(
            "# Source: c/templates/x.yaml\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n\
             metadata: {{name: xs.example}}\nspec: {{versions: [{{name: v1, schema: {{openAPIV3Schema: {{type: {kind}}}}}}}]}}\n"
        )
    };
    assert_eq!(told(&of(&crd("object")), &crd("object")), Vec::<String>::new());
    let path = "spec.versions[0].schema.openAPIV3Schema";
    assert_eq!(told(&of(&crd("object")), &crd("string")), [format!("CustomResourceDefinition xs.example 1: {path}")]);
}

#[test]
fn no_value_is_in_it_and_other_salts_make_other_hashes() {
    let stream = Stream::parse(TEXT).unwrap();
    let (one, other) = (Expected::of(&stream, "ns", &salt()), Expected::of(&stream, "ns", &Salt::new([8; 32])));
    let json = serde_json::to_string(&one).unwrap();
    assert!(!json.contains("hush") && json.contains("stringData.password"), "{json}");
    let again: Expected = serde_json::from_str(&json).unwrap();
    assert_eq!(again, one);
    let hashes = |expected: &Expected| -> BTreeSet<String> {
        expected.objects.iter().flat_map(|object| object.fields.values().cloned()).collect()
    };
    assert!(hashes(&one).is_disjoint(&hashes(&other)));
    let text = salt().to_string();
    assert_eq!(text.parse::<Salt>().unwrap().to_string(), text);
    for bad in ["", "07", &"g".repeat(64), &"é".repeat(32)] {
        assert!(bad.parse::<Salt>().is_err());
    }
}
