//! Whom words of helm and of an API server lead to, on a small definition.

use super::*;
use crate::definition::Tree;

const VALUES: &str = "replicaCount: \"{{ values.replicas }}\"
replicaCuont: 2
ingress:
  enabled: true
  hosts:
  - {name: a, path: none}
  tls: \"{{ none }}\"
resources: \"{{ values.resources }}\"
jobset:
  controller:
    pullPolicy: Sometimes
    port: 99999
    text: {deep: 3}
  metrics: {port: 99999}
pullPolicy: Always
sizes: [99999, 1, 1, 1, 1]
title: \"{{ values.a ~ values.b ~ values.c ~ values.d }}\"
probe: null
db: {image: {registry: r.example:5000, repository: org/db, tag: v1}, metrics: {registry: other.example}}
";

const ENVIRONMENT: &str = "replicas: many
resources: {requests: {memory: 10Gib, cpu: 1}}
a: a
b: b
c: c
d: d
";

fn definition(chart: &str) -> Definition {
    let mut tree = Tree::default();
    let api = "apiVersion: platctl.dev/v1\n";
    let environment = format!("{api}kubeVersion: \"1.34.4\"\ntools: {{helm: 4.3.1, kubectl: 1.34.4}}\n");
    tree.insert("environments/prod/environment.yaml", environment);
    tree.insert("environments/prod/values.yaml", ENVIRONMENT);
    tree.insert("templates/apps/tier.yaml", format!("{api}order: 1\n"));
    tree.insert("templates/apps/web/release.yaml", format!("{api}chart: {chart}\nnamespace: ns\n"));
    tree.insert("templates/apps/web/values.yaml", VALUES);
    Definition::load(&tree, "prod").unwrap()
}

/// What words about the release lead to: text, place and what is marked there.
fn blamed(chart: &str, word: &str) -> Vec<String> {
    let definition = definition(chart);
    let found = culprits(&definition, &definition.releases[0], word);
    let line = |Culprit { text, at, help }: Culprit| {
        let file =
            at.path.trim_start_matches("templates/apps/web/").trim_start_matches("environments/prod/").to_owned();
        let marked: String = at.text.chars().skip(at.column as usize - 1).take(at.width as usize).collect();
        let file = if at.path.starts_with("env") { format!("prod/{file}") } else { file };
        let help = help.map(|help| format!(" ({help})")).unwrap_or_default();
        format!("{text} @ {file}:{}:{} {marked}{help}", at.line, at.column)
    };
    found.into_iter().map(line).collect()
}

const WEB: &str = "{repository: \"https://charts.example.org\", name: webapp, version: 1.0.0}";

fn schema(lines: &str) -> Vec<String> {
    blamed(
        WEB,
        &format!("Error: values don't meet the specifications of the schema(s) in the following chart(s):\n{lines}\n"),
    )
}

#[test]
fn what_a_schema_refuses() {
    let expected = [
        "`replicaCount`: got string, want integer; it is set here @ values.yaml:1:15 \"{{ values.replicas }}\"",
        "`replicaCount` comes from `values.replicas` @ prod/values.yaml:1:11 many",
        "`replicaCuont`: the chart has no such key @ values.yaml:2:1 replicaCuont (`replicaCuont`: did you mean `replicaCount`?)",
        "`ingress.hosts[0].host`: missing; `ingress.hosts[0]` is set here @ values.yaml:6:5 {name: a, path: none}",
        "`ingress.hosts[0].name`: the chart has no such key @ values.yaml:6:6 name",
        "`ingress.tls`: missing; it is deleted here @ values.yaml:7:8 \"{{ none }}\"",
        "`ingress.className`: got null, want string; `ingress` is set here @ values.yaml:3:1 ingress",
        "`probe`: missing; it is deleted here @ values.yaml:18:8 null",
    ];
    let found = schema(
        "webapp:
- at '/replicaCount': got string, want integer
- at '': additional properties 'replicaCuont', 'global' not allowed
- at '/ingress/hosts/0': validation failed
  - at '/ingress/hosts/0': missing properties 'host', 'paths'
  - at '/ingress/hosts/0': additional properties 'name' not allowed
- at '/ingress': missing property 'tls'
- at '/ingress/className': got null, want string
- at '': missing properties 'probe', 'nobody'",
    );
    assert_eq!(found, expected);
}

#[test]
fn a_schema_within_a_chart_has_its_own_top() {
    let expected = ["`jobset.controller.port`: got number, want string; it is set here @ values.yaml:12:11 99999"];
    assert_eq!(schema("jobset:\n- at '/controller/port': got number, want string"), expected);
    assert_eq!(
        schema("controller:\n- at '/text': got object, want string"),
        ["`jobset.controller.text`: got object, want string; it is set here @ values.yaml:13:5 text"]
    );
    // Not a chart that these values are for.
    assert!(schema("strangers:\n- at '/replicaCount': got string, want integer").is_empty());
    // A chart of our own has a name that only its file says.
    let word = "Error: values don't meet the specifications of the schema(s) in the following chart(s):\nours:\n- at '': additional properties 'sizes' not allowed\njobset:\n- at '/metrics': got object, want string\n";
    let expected = [
        "`sizes`: the chart has no such key @ values.yaml:16:1 sizes",
        "`jobset.metrics`: got object, want string; it is set here @ values.yaml:14:3 metrics",
    ];
    assert_eq!(blamed("{path: ./chart}", word), expected);
}

#[test]
fn what_a_template_names() {
    let at = |file: &str, path: &str| {
        blamed(
            WEB,
            &format!(
                "Error: {file}:6:15\n  executing \"{file}\" at <{path}>:\n    can't evaluate field d in type interface {{}}\n"
            ),
        )
    };
    assert_eq!(
        at("webapp/templates/a.yaml", ".Values.ingress.enabled.really"),
        ["`ingress.enabled.really`; `ingress.enabled` is set here @ values.yaml:4:12 true"]
    );
    assert_eq!(
        at("webapp/charts/jobset/templates/a.yaml", "$.Values.controller.text.deep.d"),
        ["`jobset.controller.text.deep.d`; `jobset.controller.text.deep` is set here @ values.yaml:13:18 3"]
    );
    assert_eq!(
        at("webapp/templates/a.yaml", ".Values.probe.path"),
        ["`probe.path`; `probe` is deleted here @ values.yaml:18:8 null"]
    );
    assert_eq!(
        at("webapp/templates/a.yaml", ".Values.title"),
        ["`title`; it is set here @ values.yaml:17:8 \"{{ values.a ~ values.b ~ values.c ~ values.d }}\""],
        "a template that names many is shown alone"
    );
    assert!(at("webapp/templates/a.yaml", ".Values.nobody.set").is_empty());
}

#[test]
fn what_an_api_server_refuses() {
    let word = |field: &str, value: &str| {
        blamed(WEB, &format!("Error: Deployment \"x\" is invalid: {field}: Invalid value: {value}: must be so\n"))
    };
    assert_eq!(
        word("spec.imagePullPolicy", "\"Sometimes\""),
        [
            "`jobset.controller.pullPolicy`: `Sometimes` is refused for spec.imagePullPolicy; it is set here @ values.yaml:11:17 Sometimes"
        ]
    );
    let ports = word("spec.ports[0].port", "99999");
    let places: Vec<&str> = ports.iter().filter_map(|line| line.split(" @ ").nth(1)).collect();
    assert_eq!(places, ["values.yaml:12:11 99999", "values.yaml:14:19 99999"], "those with the field's name");
    assert_eq!(word("spec.number", "99999").len(), 3, "all where none has the field's name");
    assert!(word("spec.replicas", "1").is_empty(), "too many are alike");
    assert!(word("spec.name", "\"\"").is_empty() && word("spec.name", "\"made by the chart\"").is_empty());

    let expected = [
        "`resources.requests.memory`: it is no amount that Kubernetes knows; it is set here @ values.yaml:8:12 \"{{ values.resources }}\"",
        "`resources.requests.memory` comes from `values.resources.requests.memory` @ prod/values.yaml:2:32 10Gib",
    ];
    let word = "Error: UPGRADE FAILED: unable to convert unstructured object to /v1, Kind=PersistentVolumeClaim: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'\n";
    assert_eq!(blamed(WEB, word), expected);
}

#[test]
fn what_a_chart_that_guards_its_images_does_not_know() {
    let word = "Error: x\nUnrecognized images:\n  - r.example:5000/org/db:9\n\nyou can skip container image verification by setting the global parameter 'global.security.allowInsecureImages' to true.\n";
    let expected = [
        "`db.image.registry`: it makes an image that the chart does not know; it is set here @ values.yaml:19:24 r.example:5000",
        "`db.image.repository`: it makes an image that the chart does not know; it is set here @ values.yaml:19:52 org/db",
    ];
    assert_eq!(blamed(WEB, word), expected);
}
