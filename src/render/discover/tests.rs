//! What is found in objects and what is not, place by place. `tests/discovery.rs` has whole objects of every kind.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

fn found(text: &str, declared: &[&str]) -> Vec<String> {
    let stream = Stream::parse(text).unwrap();
    let declared: Vec<Reference> = declared.iter().map(|d| d.parse().unwrap()).collect();
    discover(&stream, Known { declared: &declared, ..Known::default() })
        .into_iter()
        .map(|f| {
            let doubt = if f.confidence == Confidence::Probable { "? " } else { "" };
            format!("{doubt}{}: {}", f.path, f.text)
        })
        .collect()
}

fn object(version: &str, kind: &str, rest: &str) -> String {
    format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x}}\n{rest}\n")
}

#[test]
fn pod_specs_wherever_they_stand() {
    let pods = "spec:\n  template:\n    spec:\n      containers:\n      - {name: a, image: a:1}\n      initContainers: [{image: b:1}]\n      \
        ephemeralContainers: [{image: e}]\n      volumes: [{name: m, image: {reference: m:1}}]";
    let expected = [
        "spec.template.spec.containers[0].image: a:1",
        "spec.template.spec.initContainers[0].image: b:1",
        "spec.template.spec.ephemeralContainers[0].image: e",
        "spec.template.spec.volumes[0].image.reference: m:1",
    ];
    for (version, kind) in [("apps/v1", "Deployment"), ("batch/v1", "Job"), ("example.com/v1", "Thing")] {
        assert_eq!(found(&object(version, kind, pods), &[]), expected);
    }
    let broken = object("v1", "Pod", "spec: {containers: [{image: \"A b\"}]}");
    assert_eq!(found(&broken, &[]), ["spec.containers[0].image: A b"]);
    let patterns = object(
        "kyverno.io/v1",
        "Policy",
        "spec: {containers: [{image: \"!*:latest\"}, {image: \"\"}, {image: \"A/b:c\"}]}",
    );
    assert_eq!(found(&patterns, &[]), ["? spec.containers[2].image: A/b:c"]);
}

#[test]
fn fields_of_custom_resources() {
    let spec = "spec: {image: q.io/d:1, sidecarImage: postgres:17, imageName: q.io/pg:17, images: [\"a:1\", {name: no}], image2: no, \
        base: {image: {reference: \"r:1\", pullPolicy: Always}}, proxyImage: proxyv2, logoImage: a/logo.png, \
        artifact: {url: \"q.io/kata/artifacts:v1\"}, joined: {image: \"$(R)/a:$(T)\"}, site: {image: \"https://q.io/a:1\"}}";
    let expected = [
        "spec.image: q.io/d:1",
        "spec.sidecarImage: postgres:17",
        "spec.imageName: q.io/pg:17",
        "spec.images[0]: a:1",
        "spec.base.image.reference: r:1",
        "? spec.proxyImage: proxyv2",
        "? spec.artifact.url: q.io/kata/artifacts:v1",
        "? spec.joined.image: $(R)/a:$(T)",
    ];
    assert_eq!(found(&object("example.com/v1", "Thing", spec), &[]), expected);
}

#[test]
fn environment_and_arguments() {
    let pod = "spec:\n  containers:\n  - image: main:1\n    command: [run, --solver-image=q.io/solver:1, --executor-image, q.io/exec:1, --loglevel, a:1]\n    \
        args: [--reloader=q.io/reloader:1, \"--taint=node.example/x:NoSchedule\", \"--url=https://q.io/x:1\", \"localhost:8080\", \"IMG_IMAGE=pg:1\"]\n    env:\n    \
        - {name: RELATED_IMAGE_DB, value: \"mariadb:11\"}\n    - {name: IMAGE_KUBECTL, value: \"q.io/kubectl:1\"}\n    - {name: BUILDER, value: \"q.io/builder:1\"}\n    \
        - {name: KAFKA_IMAGES, value: \"4.2=q.io/kafka:4.2\\n4.3=q.io/kafka:4.3\\n\"}\n    - {name: DSN, value: \"db.example:5432/x\"}\n    \
        - {name: X_IMAGE, value: \"$(REGISTRY)/x:$(TAG)\"}";
    let at = |path: &str| format!("spec.containers[0].{path}");
    let expected = [
        at("image: main:1"),
        at("command[1]: q.io/solver:1"),
        at("command[3]: q.io/exec:1"),
        at("args[0]: q.io/reloader:1").replace("spec", "? spec"),
        at("args[4]: pg:1"),
        at("env[0].value: mariadb:11"),
        at("env[1].value: q.io/kubectl:1"),
        at("env[2].value: q.io/builder:1").replace("spec", "? spec"),
        at("env[3].value: line 1: q.io/kafka:4.2"),
        at("env[3].value: line 2: q.io/kafka:4.3"),
        at("env[5].value: $(REGISTRY)/x:$(TAG)").replace("spec", "? spec"),
    ];
    assert_eq!(found(&object("v1", "Pod", pod), &[]), expected);
}

#[test]
fn what_is_known_is_found_wherever_it_stands() {
    let pod = "metadata: {name: x, annotations: {note: \"runs q.io/r:2.\"}}\nspec:\n  containers:\n  - {image: q.io/own:1, args: [\"--x=q.io/r:2\", \"q.io/other:1\", \
        \"echo q.io/r:2, q.io/own:1; a b:1\"]}\n  away: {enabled: false, image: q.io/r:2}";
    let text = format!("apiVersion: example.com/v1\nkind: Thing\n{pod}\n");
    let at = |path: &str| format!("spec.containers[0].{path}");
    let expected = [
        "metadata.annotations.note: q.io/r:2".to_owned(),
        at("image: q.io/own:1"),
        at("args[0]: q.io/r:2"),
        at("args[1]: q.io/other:1").replace("spec", "? spec"),
        at("args[2]: q.io/r:2"),
        at("args[2]: q.io/own:1"),
        "spec.away.image: q.io/r:2".to_owned(),
    ];
    assert_eq!(found(&text, &["q.io/r:2"]), expected);
}

#[test]
fn what_is_switched_off_is_left_out_with_all_below_it() {
    let spec = "spec:\n  manager: {enabled: false, driver: {repository: q.io/n, image: d, version: v1}, list: [{image: a:1}], text: \"image: b:1\\nx: y\\n\"}\n  \
        toolkit: {enabled: true, repository: q.io/n, image: t, version: v2}\n  other: {enabled: \"false\", image: c:1}";
    assert_eq!(found(&object("nvidia.com/v1", "ClusterPolicy", spec), &[]), ["spec.toolkit: q.io/n/t:v2"]);
    let pod = "spec: {enabled: false, containers: [{image: a:1, env: [{name: enabled, value: \"false\"}]}]}";
    assert_eq!(found(&object("v1", "Pod", pod), &[]), ["spec.containers[0].image: a:1"]);
}

const RUNTIMES: &str = "# image: no:1\napiVersion: trainer.example/v1\nkind: Runtime\nspec: {containers: [{image: q.io/torch:2}]}\n---\n\
    apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec: {image: no:1}\n---\n\
    singleuser: {image: {name: q.io/user, tag: 4}, extra: {enabled: false, image: {name: no, tag: v1}}}\n\
    script: |\n  set -e\n  docker run q.io/run:1 a:1\n";

#[test]
fn texts_inside_texts() {
    let inner = |prefix: &str| {
        [
            format!("{prefix}: document 1: spec.containers[0].image: q.io/torch:2"),
            format!("{prefix}: document 3: singleuser.image: q.io/user:4"),
            format!("? {prefix}: document 3: script: line 2: q.io/run:1"),
        ]
    };
    let json = |text: &str| serde_json::Value::from(text).to_string();
    let text = object("v1", "ConfigMap", &format!("data: {{a.yaml: {}}}", json(RUNTIMES)));
    assert_eq!(found(&text, &[]), inner("data[\"a.yaml\"]"));
    let secret = |data: &str| object("v1", "Secret", data);
    let text = secret(&format!("data: {{values: {}}}", STANDARD.encode(RUNTIMES)));
    assert_eq!(found(&text, &[]), inner("data.values"));
    assert_eq!(found(&secret(&format!("stringData: {{values: {}}}", json(RUNTIMES))), &[]), inner("stringData.values"));
    let manifest = object("v1", "ConfigMap", &format!("data: {{m: {}}}", json(&text)));
    assert_eq!(found(&manifest, &[]), inner("data.m: data.values"));
    let one = object(
        "v1",
        "ConfigMap",
        "data: {c.json: '{\"image\": \"a:1\"}', binary: \"\\u00ff\\u00fe\"}\nbinaryData: {b: 3q2+7w==}",
    );
    assert_eq!(found(&one, &[]), ["data[\"c.json\"]: image: a:1"]);
}

#[test]
fn scripts_templates_and_settings() {
    let script = "#!/bin/sh\nimage=$FOO\nIMAGE=${IMAGE:-q.io/default:1}\n# q.io/comment:1\nkubectl run --image=busybox:1.36 x\n\
        ctr pull q.io/pulled:1\nimage: {{ .Values.hub }}/proxy:{{ .tag }}\nimage: \"{{ printf \"%s/a:%s\" .x .y }}\"\nurl = https://q.io/x:1\nhost = db.example:5432\n";
    let text = object("v1", "ConfigMap", &format!("data: {{run.sh: {}}}", serde_json::Value::from(script)));
    let expected = [
        "data[\"run.sh\"]: line 3: q.io/default:1",
        "data[\"run.sh\"]: line 5: busybox:1.36",
        "? data[\"run.sh\"]: line 6: q.io/pulled:1",
    ];
    assert_eq!(found(&text, &[]), expected);
}

/// What is asked about is shown, and passwords look like tags.
#[test]
fn nothing_is_asked_about_plain_texts_of_secrets() {
    let text = object(
        "v1",
        "Secret",
        "stringData: {dsn: \"db.example/app:hunter2\", a: \"x\\ndb.example/app:hunter2\\n\", X_IMAGE: \"q.io/a:1\"}",
    );
    assert_eq!(found(&text, &[]), ["stringData.X_IMAGE: q.io/a:1"]);
    assert_eq!(found(&text, &["db.example/app:hunter2"]).len(), 3);
}

#[test]
fn tests_and_definitions_are_left_out() {
    let pod = "spec: {containers: [{image: t:1}]}";
    let test = object("v1", "Pod", pod).replace("name: x", "name: x, annotations: {helm.sh/hook: test}");
    assert_eq!(found(&test, &[]), Vec::<String>::new());
    assert_eq!(
        found(&object("apiextensions.k8s.io/v1", "CustomResourceDefinition", pod), &["t:1"]),
        Vec::<String>::new()
    );
}
