//! Words of helm 4.3.1 and of an API server 1.34.4, as they came.

use super::*;

fn steps(path: &str) -> Vec<String> {
    path.split('.').filter(|step| !step.is_empty()).map(str::to_owned).collect()
}

fn schema(chart: &str, path: &str, says: &str) -> Complaint {
    Complaint::Schema { chart: chart.into(), path: steps(path), says: says.into() }
}

fn unknown(chart: &str, path: &str) -> Complaint {
    Complaint::UnknownKey { chart: chart.into(), path: steps(path) }
}

fn template(charts: &str, path: &str) -> Complaint {
    Complaint::Template { charts: steps(charts), path: steps(path) }
}

fn value(field: &str, value: &str) -> Complaint {
    Complaint::Value { field: field.into(), value: value.into() }
}

#[test]
fn schemas() {
    let word = "Error: values don't meet the specifications of the schema(s) in the following chart(s):
cert-manager:
- at '': additional properties 'bogus' not allowed
mlflow:
- at '/ingress': validation failed
  - at '/ingress/enabled': got string, want boolean
  - at '/ingress/hosts/0': validation failed
    - at '/ingress/hosts/0': missing properties 'host', 'paths'
    - at '/ingress/hosts/0': additional properties 'hosts' not allowed
- at '/replicaCount': got string, want integer

";
    let expected = [
        unknown("cert-manager", "bogus"),
        schema("mlflow", "ingress.enabled", "got string, want boolean"),
        schema("mlflow", "ingress.hosts.0.host", "missing"),
        schema("mlflow", "ingress.hosts.0.paths", "missing"),
        unknown("mlflow", "ingress.hosts.0.hosts"),
        schema("mlflow", "replicaCount", "got string, want integer"),
    ];
    assert_eq!(complaints(word), expected);

    let word = "Error: values don't meet the specifications of the schema(s) in the following chart(s):
deep:
- at '': missing property 'must'
- at '/y': value must be one of 'a', 'b'
- at '/a~1b': got number, want string
- at '/p': invalid propertyName 'q'
  - at '': 'q' does not match pattern '^x'
- at '/o': 'oneOf' failed, none matched
  - at '/o': got boolean, want string
";
    let expected = [
        schema("deep", "must", "missing"),
        schema("deep", "y", "value must be one of 'a', 'b'"),
        schema("deep", "a/b", "got number, want string"),
        unknown("deep", "p.q"),
        schema("deep", "o", "'oneOf' failed, none matched"),
        schema("deep", "o", "got boolean, want string"),
    ];
    assert_eq!(complaints(word), expected);
}

#[test]
fn templates() {
    for (word, expected) in [
        (
            "Error: parent/templates/a.yaml:6:15\n  executing \"parent/templates/a.yaml\" at <.Values.a.b.c>:\n    nil pointer evaluating interface {}.b\n\nUse --debug flag to render out invalid YAML\n",
            vec![template("parent", "a.b.c")],
        ),
        (
            "Error: parent/templates/a.yaml:17:26\n  executing \"parent/templates/a.yaml\" at <include \"parent.x\" .Values.z>:\n    error calling include:\nparent/templates/_h.tpl:1:47\n  executing \"parent.x\" at <$root.Values.a.b.c.d>:\n    can't evaluate field d in type interface {}\n",
            vec![template("parent", "a.b.c.d")],
        ),
        (
            "Error: template: parent/templates/a.yaml:18:26: executing \"parent/templates/a.yaml\" at <gt .Values.a.b .Values.c>: error calling gt: incompatible types for comparison: string and int\n",
            vec![template("parent", "a.b"), template("parent", "c")],
        ),
        (
            "level=INFO msg=\"warning: skipped value for parent.flow.replicaCount: Not a table.\"\nError: parent/charts/flow/templates/ingress.yaml:1:14\n  executing \"parent/charts/flow/templates/ingress.yaml\" at <.Values.ingress.enabled>:\n    can't evaluate field enabled in type interface {}\n",
            vec![template("parent.flow", "ingress.enabled")],
        ),
        (
            "Error: execution error at (parent/templates/a.yaml:14:25): set .Values.a.b.\n",
            vec![template("parent", "a.b")],
        ),
        // A key in prose is no path.
        ("Error: execution error at (parent/templates/a.yaml:15:25): Values.a.q is needed, or a.b\n", Vec::new()),
        (
            "Error: parent/templates/a.yaml:12:28\n  executing \"parent/templates/a.yaml\" at <.c.d.e>:\n    can't evaluate field e in type interface {}\n",
            Vec::new(),
        ),
        (
            "Error: YAML parse error on parent/templates/a.yaml: error converting YAML to JSON: yaml: mapping values are not allowed in this context\n",
            Vec::new(),
        ),
    ] {
        assert_eq!(complaints(word), expected, "{word}");
    }
}

#[test]
fn api_servers() {
    let container = "spec.template.spec.containers[0]";
    for (word, expected) in [
        (
            "Deployment.apps \"x\" is invalid: spec.template.spec.containers[0].resources.requests[memory]: Invalid value: \"-2Gi\": must be greater than or equal to 0",
            vec![value(&format!("{container}.resources.requests[memory]"), "-2Gi")],
        ),
        (
            "Service \"x\" is invalid: [spec.ports[0].port: Invalid value: 99999: must be between 1 and 65535, inclusive] && server-side apply failed for object default/x apps/v1, Kind=Deployment: Deployment.apps \"x\" is invalid: [spec.template.spec.containers[0].name: Invalid value: \"C_1\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-' (e.g. 'my-name'), spec.template.spec.containers[0].imagePullPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"IfNotPresent\", \"Never\"]",
            vec![
                value("spec.ports[0].port", "99999"),
                value(&format!("{container}.name"), "C_1"),
                value(&format!("{container}.imagePullPolicy"), "Sometimes"),
            ],
        ),
        (
            "Deployment.apps \"x\" is invalid: spec.strategy: Unsupported value: {\"Type\":\"Rolling\",\"RollingUpdate\":null}: supported values: \"Recreate\", \"RollingUpdate\"",
            vec![value("spec.strategy", "Rolling")],
        ),
        (
            "failed to convert new object (default/x; /v1, Kind=PersistentVolumeClaim) to proper version: unable to convert unstructured object to /v1, Kind=PersistentVolumeClaim: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            vec![Complaint::Quantity],
        ),
        (
            "failed to create typed patch object (default/x; apps/v1, Kind=Deployment): .spec.replicas: expected numeric (int or float), got string",
            Vec::new(),
        ),
    ] {
        let escaped = word.replace('"', "\\\"");
        let apply = "server-side apply failed for object default/x apps/v1, Kind=Deployment";
        let word = format!(
            "level=WARN msg=\"upgrade failed\" name=rel error=\"{apply}: {escaped}\"\nError: UPGRADE FAILED: {apply}: {word}\n"
        );
        assert_eq!(complaints(&word), expected, "{word}");
    }
    assert_eq!(complaints("Error: context deadline exceeded\n"), []);
}

#[test]
fn a_chart_that_guards_its_images() {
    let word = "Error: execution error at (mlflow/charts/postgresql/templates/NOTES.txt:123:4): 

\u{26a0} ERROR: Original containers have been substituted for unrecognized ones. Deploying this chart with non-standard containers is likely to cause degraded security and performance, broken chart features, and missing environment variables.

Unrecognized images:
  - r.example:5000/bitnami/postgresql:17.6.0-debian-12-r4
  - r.example:5000/bitnami/os-shell:12-debian-12-r51

If you are sure you want to proceed with non-standard containers, you can skip container image verification by setting the global parameter 'global.security.allowInsecureImages' to true.
Further information can be obtained at https://github.com/bitnami/charts/issues/30850

Use --debug flag to render out invalid YAML
";
    let guard = image_guard(word).unwrap();
    assert_eq!(guard.switch, "global.security.allowInsecureImages");
    let images =
        ["r.example:5000/bitnami/postgresql:17.6.0-debian-12-r4", "r.example:5000/bitnami/os-shell:12-debian-12-r51"];
    assert_eq!(guard.images, images);
    assert_eq!(image_guard("Unrecognized images:\n  - a:1\n"), None);
}
