//! Objects and fields in the shapes that charts make.

use super::*;
use crate::object::Stream;
use crate::secrets::{Masker, Revealed};

fn plain(veil: &Veil) -> Comparison<'_> {
    Comparison { namespace: "ns", old: veil, new: veil, context: 1 }
}

fn compared(old: &str, new: &str) -> Vec<ObjectDiff> {
    let veil = Veil::default();
    objects(&Stream::parse(old).unwrap(), &Stream::parse(new).unwrap(), &plain(&veil))
}

/// The fields of the only object that differs, a line each.
fn fields_of(old: &str, new: &str) -> Vec<String> {
    let head = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n";
    let found = compared(&format!("{head}{old}"), &format!("{head}{new}"));
    assert!(found.len() < 2, "{found:?}");
    found.iter().flat_map(|object| object.fields.iter().chain(&object.folded)).map(line).collect()
}

fn line(field: &FieldDiff) -> String {
    let folded = field.noise.map(|noise| format!(" ({noise:?})")).unwrap_or_default();
    let change = match &field.change {
        FieldChange::Added { new } => format!("+ {new}"),
        FieldChange::Removed { old } => format!("- {old}"),
        FieldChange::Changed { old, new } => format!("{old} → {new}"),
        FieldChange::Secret { secret } => format!("{secret:?}"),
        FieldChange::Order { old, new } => format!("order: {} → {}", old.join(", "), new.join(", ")),
        FieldChange::LineEnds { old, new } => format!("line ends: {old} → {new}"),
        FieldChange::Lines { hunks } => hunks
            .iter()
            .flat_map(|hunk| &hunk.lines)
            .map(|line| {
                format!(
                    "{}{}",
                    match line.sign {
                        Sign::Added => '+',
                        Sign::Removed => '-',
                        Sign::Same => ' ',
                    },
                    line.text
                )
            })
            .collect::<Vec<_>>()
            .join("|"),
    };
    format!("{} {change}{folded}", field.path)
}

#[test]
fn items_are_matched_by_name_and_order_is_nothing() {
    let old = "spec: {replicas: 2, template: {spec: {containers: [{name: a, image: x:1, env: [{name: E, value: '1'}]}, {name: b, image: y:1}]}}}";
    let new = "spec: {template: {spec: {containers: [{image: y:1, name: b}, {name: a, env: [{name: F, value: '2'}, {name: E, value: '1'}], image: x:2}]}}, replicas: 3}";
    assert_eq!(
        fields_of(old, new),
        [
            "spec.template.spec.containers[name=a].env[name=F] + {\"name\":\"F\",\"value\":\"2\"}",
            "spec.template.spec.containers[name=a].image \"x:1\" → \"x:2\"",
            "spec.replicas 2 → 3",
        ]
    );
    assert_eq!(fields_of(old, old), Vec::<String>::new());
}

#[test]
fn items_without_a_key_are_matched_by_what_they_are() {
    assert_eq!(
        fields_of("spec: {args: [--a, --b=1, --c]}", "spec: {args: [--a, --b=2, --c, --d]}"),
        ["spec.args[1] \"--b=1\" → \"--b=2\"", "spec.args[3] + \"--d\""]
    );
    assert_eq!(
        fields_of("spec: {rules: [{verbs: [get]}, {verbs: [list]}]}", "spec: {rules: [{verbs: [list]}]}"),
        ["spec.rules[0] - {\"verbs\":[\"get\"]}"]
    );
    assert_eq!(
        fields_of("spec: {initContainers: [{name: a}, {name: b}]}", "spec: {initContainers: [{name: b}, {name: a}]}"),
        ["spec.initContainers order: a, b → b, a"]
    );
}

#[test]
fn an_order_that_does_something_is_one_line() {
    let env = |names: &str| {
        let entries: Vec<String> = names.chars().map(|name| format!("{{name: {name}, value: '1'}}")).collect();
        format!("spec: {{template: {{spec: {{containers: [{{name: main, env: [{}]}}]}}}}}}", entries.join(", "))
    };
    let at = "spec.template.spec.containers[name=main].env";
    assert_eq!(fields_of(&env("zabw"), &env("zbaw")), [format!("{at} order: a, b → b, a")]);
    assert_eq!(fields_of(&env("abc"), &env("cab")), [format!("{at} order: a, b, c → c, a, b")]);
    // What comes in between moves nothing.
    assert_eq!(fields_of(&env("ab"), &env("acb")), [format!("{at}[name=c] + {{\"name\":\"c\",\"value\":\"1\"}}")]);
    for (list, a, b, expected) in [
        ("steps", "name: fetch", "name: build", vec!["spec.steps order: fetch, build → build, fetch"]),
        ("paths", "path: /a", "path: /b", vec!["spec.paths order: /a, /b → /b, /a"]),
        (
            "rules",
            "host: a.example",
            "host: b.example",
            vec!["spec.rules order: a.example, b.example → b.example, a.example"],
        ),
        ("containers", "name: a", "name: b", vec![]),
        ("volumes", "name: a", "name: b", vec![]),
        ("volumeMounts", "mountPath: /a", "mountPath: /b", vec![]),
        ("ports", "port: 80", "port: 81", vec![]),
        ("imagePullSecrets", "name: a", "name: b", vec![]),
        ("tolerations", "key: a", "key: b", vec![]),
    ] {
        let spec = |a: &str, b: &str| format!("spec: {{{list}: [{{{a}}}, {{{b}}}]}}");
        assert_eq!(fields_of(&spec(a, b), &spec(b, a)), expected, "{list}");
    }
    let template =
        |names: &str| format!("apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\n{}", env(names));
    assert!(compared(&template("ab"), &template("ba"))[0].restarts);
}

#[test]
fn empty_labels_and_annotations_are_nothing() {
    let map = |metadata: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{metadata}}}\n");
    for empty in [", annotations: {}", ", labels: {}", ", annotations: null, labels:"] {
        assert_eq!(compared(&map(""), &map(empty)), []);
        assert_eq!(compared(&map(empty), &map("")), []);
    }
    let found = compared(&map(", annotations: {}"), &map(", annotations: {a: b}"));
    assert_eq!(found[0].fields.iter().map(line).collect::<Vec<_>>(), ["metadata.annotations + {\"a\":\"b\"}"]);
    let pod = |metadata: &str| format!("spec: {{template: {{metadata: {{labels: {{a: b}}{metadata}}}}}}}");
    assert_eq!(fields_of(&pod(""), &pod(", annotations: {}")), Vec::<String>::new());
}

#[test]
fn what_means_the_same_is_no_change_and_what_does_not_is() {
    for (old, new, expected) in [
        ("spec: {a: 1, b: null}", "spec: {a: 1.0}", vec![]),
        ("spec: {a: 1}", "spec: {a: \"1\"}", vec!["spec.a 1 → \"1\""]),
        ("spec: {a: true}", "spec: {a: 'true'}", vec!["spec.a true → \"true\""]),
        ("spec: {emptyDir: null}", "spec: {emptyDir: {}}", vec!["spec.emptyDir + {}"]),
        ("spec: {limits: {cpu: 1}}", "spec: {limits: {cpu: 1000m}}", vec!["spec.limits.cpu 1 → \"1000m\" (Quantity)"]),
        ("spec: {weight: 1}", "spec: {weight: 1000m}", vec!["spec.weight 1 → \"1000m\""]),
        (
            "metadata: {name: web, annotations: {a.b/c: old}}",
            "metadata: {name: web, annotations: {a.b/c: new}}",
            vec!["metadata.annotations[\"a.b/c\"] \"old\" → \"new\""],
        ),
    ] {
        let (old, new) = if old.starts_with("metadata") {
            let whole = |text| format!("apiVersion: v1\nkind: Pod\n{text}\n");
            let found = compared(&whole(old), &whole(new));
            assert_eq!(found[0].fields.iter().map(line).collect::<Vec<_>>(), expected);
            continue;
        } else {
            (old, new)
        };
        assert_eq!(fields_of(old, new), expected, "{old}");
    }
}

#[test]
fn a_charts_own_labels_and_checksums_are_folded_but_pods_start_anew() {
    let object = |version: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, labels: {{helm.sh/chart: web-{version}, app: web}}}}\n\
             spec: {{selector: {{matchLabels: {{app.kubernetes.io/version: a}}}}, template: {{metadata: {{annotations: {{checksum/config: h{version}}}}}}}}}\n"
        )
    };
    let found = compared(&object("1"), &object("2"));
    assert_eq!(
        found[0].folded.iter().map(line).collect::<Vec<_>>(),
        [
            "metadata.labels[\"helm.sh/chart\"] \"web-1\" → \"web-2\" (ChartLabel)",
            "spec.template.metadata.annotations[\"checksum/config\"] \"h1\" → \"h2\" (Checksum)",
        ]
    );
    assert!(!found[0].matters() && found[0].restarts);
    let selector = compared(&object("1"), &object("1").replace("version: a", "version: b"));
    assert!(selector[0].matters() && !selector[0].restarts, "a selector can't change");
}

#[test]
fn another_version_of_an_api_is_a_changed_field() {
    let old = "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: a, namespace: ns}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n";
    let new = "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: a}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: y, z: w}\n";
    let found = compared(old, new);
    let told: Vec<_> = found.iter().map(|o| (o.change, o.title("ns"), o.facts.join(" "))).collect();
    assert_eq!(
        told,
        [
            (ObjectChange::Changed, "PodDisruptionBudget a".to_owned(), String::new()),
            (ObjectChange::Added, "ConfigMap a".to_owned(), "keys x, z".to_owned()),
            (ObjectChange::Removed, "Service a".to_owned(), "port 80".to_owned()),
        ]
    );
    assert_eq!(line(&found[0].fields[0]), "apiVersion \"policy/v1beta1\" → \"policy/v1\"");
    assert_eq!(line(&found[0].fields[1]), "metadata.namespace - \"ns\"");
}

#[test]
fn texts_are_compared_by_line() {
    let config = |text: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata:\n  f: {}\n", Json::from(text))
    };
    for (old, new, expected) in [
        ("a\nb\nc\nd\n", "a\nb\nx\nd\n", "data.f  b|-c|+x| d"),
        ("a\nb\n", "a\nb", "data.f - \"a line break at the end\""),
        ("a", "a\nb\n", "data.f  a|+b"),
        ("a\r\nb\r\n", "a\nb\n", "data.f line ends: CRLF → LF"),
        ("a\nb\n", "a\nb\r\n", "data.f line ends: LF → mixed"),
    ] {
        let found = compared(&config(old), &config(new));
        assert_eq!(line(&found[0].fields[0]), expected);
    }
}

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n";

#[test]
fn a_secrets_entries_are_named_and_never_shown() {
    let old = format!("{SECRET}data: {{a: aHVzaA==, b: aHVzaA==, gone: aHVzaA==}}\n");
    let new = format!("{SECRET}data: {{a: aHVzaA==, new: aHVzaA==}}\nstringData: {{b: hushhush}}\n");
    let found = compared(&old, &new);
    let told: Vec<String> = found[0].fields.iter().map(line).collect();
    assert_eq!(told, ["data.b Changed", "data.new Added", "data.gone Removed"]);
    for (old, new) in [(old.as_str(), new.as_str()), ("", new.as_str()), (old.as_str(), "")] {
        let json = serde_json::to_string(&compared(old, new)).unwrap();
        assert!(!json.contains("hush") && !json.contains("aHVzaA") && json.contains("\"s\""), "{json}");
    }
}

const TOKEN: &str = "platctl-secret-0123456789abcdef0123456789abcdef";

/// Without a key the new side has tokens and the old one values, of which a part is known from elsewhere or none.
#[test]
fn what_can_not_be_compared_is_not_shown_either() {
    let (old, mut new) = (Veil::default(), Veil::default());
    new.token(TOKEN, "db.password", "1");
    let how = Comparison { namespace: "ns", old: &old, new: &new, context: 3 };
    let pod = |url: &str, file: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{url: '{url}', file: {}}}\n",
            Json::from(file)
        );
        Stream::parse(text).unwrap()
    };
    let told = |old: &Stream, new: &Stream| -> Vec<String> {
        let found = objects(old, new, &how);
        found.iter().flat_map(|o| o.fields.iter().chain(&o.folded)).map(line).collect()
    };
    let token = |text: &str| text.replace("TOKEN", TOKEN);
    assert_eq!(
        told(&pod("pg://u:hush@h", "x"), &pod(&token("pg://u:TOKEN@h"), "x")),
        ["spec.url NotCompared (NotCompared)"]
    );
    assert_eq!(
        told(&pod("pg://u:hush@old", "x"), &pod(&token("pg://u:TOKEN@h"), "x")),
        ["spec.url \"******\" → \"pg://u:‹secret db.password›@h\""]
    );
    assert_eq!(
        told(&pod("", "a\npw = hush\nb\n"), &pod("", &token("a\npw = TOKEN\nc\n"))),
        ["spec.file  a| pw = ‹secret db.password›|-b|+c"]
    );
    assert_eq!(told(&pod("", "a\nhush\nb\n"), &pod("", &token("a\nTOKEN\nc\n"))), ["spec.file Changed"]);
}

#[test]
fn two_secrets_that_look_alike_differ() {
    let veil = |secret: &str| {
        Veil::new(Masker::new(&Revealed::from_json(serde_json::json!({"a": secret})), &Default::default()))
    };
    let (old, new) = (veil("hush-one"), veil("hush-two"));
    let how = Comparison { namespace: "ns", old: &old, new: &new, context: 0 };
    let pod = |secret: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{a: {secret}, b: \"x\\npw={secret}\\n\"}}\n"
        );
        Stream::parse(text).unwrap()
    };
    let found = objects(&pod("hush-one"), &pod("hush-two"), &how);
    let told: Vec<String> = found[0].fields.iter().map(line).collect();
    assert_eq!(told, ["spec.a Changed", "spec.b -pw=******|+pw=******"]);
}

#[test]
fn what_helm_keeps_is_said_to_stay() {
    let map = |policy: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a, annotations: {{helm.sh/resource-policy: {policy}}}}}\n"
        )
    };
    let facts = |old: &str, new: &str| compared(old, new).into_iter().flat_map(|found| found.facts).collect::<Vec<_>>();
    assert_eq!(facts(&map("keep"), ""), ["it stays: helm.sh/resource-policy"]);
    for [old, new] in [[map("other"), String::new()], [String::new(), map("keep")]] {
        assert_eq!(facts(&old, &new), Vec::<String>::new());
    }
}
