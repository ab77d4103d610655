//! The guard on the real helm and a real API server: what renders otherwise live is refused before anything changes, what
//! renders the same passes, with secrets and hooks in it; and saved plans, which are applied as they are or not at all.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::platform::Small;
use crate::rig::{bin, rig};
use crate::support::{Output, put, read};

const LIVE: &str = "render: {guard: live, reason: the tests want it}\n";

/// A ConfigMap that says what a template makes of something.
fn map(text: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {{{{ .Release.Name }}}}-map, namespace: {{{{ .Release.Namespace }}}}}}\n\
         data: {{said: {{{{ {text} | quote }}}}}}\n"
    )
}

/// Charts that render anew each time, or otherwise on this cluster than its environment says.
const ANEW: [(&str, &str); 4] = [
    ("looks", "dig \"metadata\" \"uid\" \"\" (lookup \"v1\" \"Namespace\" \"\" \"kube-system\")"),
    ("makes-up", "randAlphaNum 20"),
    ("asks", ".Capabilities.APIVersions.Has \"policy/v1/PodDisruptionBudget\""),
    ("tells-time", "now | unixEpoch"),
];

/// Nothing of a release is in the cluster: no record of helm's, and no object.
#[track_caller]
fn untouched(small: &Small, release: &str) {
    assert!(small.states().iter().all(|(name, _)| name != release), "{release} has a record");
    for kind in ["deployment", "configmap", "job"] {
        let list = rig().kubectl(&["get", kind, "--namespace", small.name, "--output=name"]);
        assert!(!list.contains(&format!("/{release}")), "{list}");
    }
}

#[track_caller]
fn says(output: &Output, texts: &[&str]) {
    for text in texts {
        assert!(output.stderr.contains(text), "{text} is not in\n{}", output.screen());
    }
}

#[test]
fn what_renders_anew_is_refused_unless_that_is_wanted() {
    let mut small = Small::new("guarded");
    for (name, _) in ANEW {
        small = small.release("one", name, "");
    }
    // The cluster is said to offer less than it does.
    small.put(
        "environments/site/capabilities.yaml",
        "apiVersion: platctl.dev/v1\nkubeVersion: \"1.34.4\"\napis:\n  v1: [ConfigMap, Pod]\n  apps/v1: [Deployment]\n",
    );
    for (name, text) in ANEW {
        small.put(&format!("templates/one/{name}/chart/templates/map.yaml"), &map(text));
    }
    let small = small.locked();
    small.run(&["lint"]).ok();
    let apply = small.apply().exits(1);
    for (name, _) in ANEW {
        says(&apply, &[&format!("error[E0421]: {name}: it renders otherwise live than planned")]);
        says(&apply, &[&format!("ConfigMap {name}-map: data.said")]);
        untouched(&small, name);
    }
    assert_eq!(small.states(), []);

    for (name, _) in ANEW {
        small.edit(&format!("templates/one/{name}/release.yaml"), "namespace:", &format!("{LIVE}namespace:"));
    }
    small.apply().ok();
    assert!(small.states().iter().all(|(_, status)| status == "deployed") && small.states().len() == ANEW.len());
    let uid =
        rig().kubectl(&["get", "configmap", "looks-map", "--namespace=guarded", "--output=jsonpath={.data.said}"]);
    assert_eq!(uid, rig().uid, "it did render live");
}

#[test]
fn a_revision_is_another_each_time_and_an_upgrade_is_told_to_be_one() {
    let small = Small::new("revisions").release("one", "counts", "").release("one", "knows", "");
    small.put("templates/one/counts/chart/templates/map.yaml", &map(".Release.Revision"));
    small.put("templates/one/knows/chart/templates/map.yaml", &map("list .Release.IsInstall .Release.IsUpgrade"));
    let small = small.locked();
    small.apply().ok();
    for name in ["counts", "knows"] {
        small.values(name, "replicas: 2\n");
    }
    let records = rig().records("revisions");
    let apply = small.apply().exits(1);
    says(&apply, &["error[E0421]: counts: it renders otherwise live than planned", "ConfigMap counts-map: data.said"]);
    assert!(!apply.stderr.contains("knows:"), "{}", apply.screen());
    let of_counts = |records: Vec<(String, String, String)>| -> Vec<_> {
        records.into_iter().filter(|(name, ..)| name.starts_with("counts.")).collect()
    };
    assert_eq!(of_counts(rig().records("revisions")), of_counts(records), "its record is the one of before");
    let replicas = ["get", "deployment", "counts", "--namespace=revisions", "--output=jsonpath={.spec.replicas}"];
    assert_eq!(rig().kubectl(&replicas), "1");
    small.edit("templates/one/counts/release.yaml", "namespace:", &format!("{LIVE}namespace:"));
    small.apply().ok();
    assert_eq!(rig().kubectl(&replicas), "2");
}

/// The platform's secrets, and the key to them.
fn sealed(small: &Small, plain: &serde_json::Value) -> PathBuf {
    small.edit("environments/site/environment.yaml", "kubectl: 1.34.4", "kubectl: 1.34.4, sops: 3.13.3");
    let key = small.folder().join("key");
    let keygen = |args: &[&str]| {
        let output = Command::new(bin().join("age-keygen")).args(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    keygen(&["-o", key.to_str().unwrap()]);
    let recipient = keygen(&["-y", key.to_str().unwrap()]);
    let mut sops = Command::new(bin().join("sops"));
    sops.args(["encrypt", "--input-type=json", "--output-type=yaml", "--filename-override=secrets.yaml", "--age"]);
    let mut sops = sops.arg(recipient).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    sops.stdin.take().unwrap().write_all(plain.to_string().as_bytes()).unwrap();
    let sealed = sops.wait_with_output().unwrap();
    assert!(sealed.status.success());
    put(&small.path("environments/site/secrets.yaml"), sealed.stdout);
    key
}

/// Charts take secrets apart and sum them up, and hooks hold them; a value of them is shown by nothing.
const KEEPS: &str = "apiVersion: v1
kind: Secret
metadata:
  name: app-keeps
  namespace: {{ .Release.Namespace }}
  annotations: {checksum/password: {{ .Values.password | sha256sum }}}
data:
  password: {{ .Values.password | b64enc }}
  {{ .Values.password | trunc 3 | lower }}: {{ .Values.password | len | toString | b64enc }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: app-hook
  namespace: {{ .Release.Namespace }}
  annotations: {helm.sh/hook: pre-install}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: job
        image: registry.example.org/e2e/job:1
        env: [{name: PASSWORD, value: {{ .Values.password | quote }}}]
";

#[test]
fn secrets_and_hooks_are_compared_and_pass() {
    let small = Small::new("guarded-secrets").release("one", "app", "");
    small.put("templates/one/app/values.yaml", "password: \"{{ secret('app.password') }}\"\n");
    small.put("templates/one/app/chart/templates/keeps.yaml", KEEPS);
    let key = sealed(&small, &json!({"app": {"password": "Hush-4711 and so on"}}));
    let small = small.locked();
    let with_key = |args: &[&str]| small.platctl().env("SOPS_AGE_KEY_FILE", &key).args(args).run();
    // A plan needs no key.
    small.run(&["plan", "-e", "site", "--save", "../plan.json"]).ok();
    let plan = read(&small.folder().join("plan.json"));
    assert!(plan.contains("app-keeps") && !plan.contains("Hush") && !plan.contains("hus"), "{plan}");

    // A hook that looks is refused as everything else, and what is secret is only counted.
    let looking =
        KEEPS.replace("PASSWORD, value:", "{{ if lookup \"v1\" \"Namespace\" \"\" \"default\" }}X{{ end }}P, value:");
    small.put("templates/one/app/chart/templates/keeps.yaml", &looking);
    small.run(&["lock"]).ok();
    let apply = with_key(&["apply", "-e", "site"]).exits(1);
    says(&apply, &["error[E0421]: app:", "Job app-hook: spec.template.spec.containers[0].env[0].name"]);
    untouched(&small, "app");

    small.put("templates/one/app/chart/templates/keeps.yaml", KEEPS);
    small.run(&["lock"]).ok();
    let apply = with_key(&["apply", "--plan", "../plan.json"]).ok();
    assert!(!apply.screen().contains("Hush"), "{}", apply.screen());
    assert_eq!(small.states(), [("app".to_owned(), "deployed".to_owned())]);
    let length = ["get", "secret", "app-keeps", "--namespace=guarded-secrets", "--output=jsonpath={.data.hus}"];
    assert_eq!(rig().kubectl(&length), "MTk=", "it was installed with the secret itself");
}

#[test]
fn a_saved_plan_is_applied_as_it_is_or_not_at_all() {
    let small = Small::new("planned").release("one", "a", "").release("two", "b", "");
    let flag = "{{ if lookup \"v1\" \"ConfigMap\" \"planned\" \"flag\" }}up{{ else }}down{{ end }}";
    let map = map("\"x\"").replace("{{ \"x\" | quote }}", flag);
    small.put("templates/two/b/chart/templates/map.yaml", &map);
    let small = small.locked();
    let save = || small.run(&["plan", "-e", "site", "--save", "../plan.json"]).ok();
    let apply = || small.run(&["apply", "--plan", "../plan.json"]);
    save();
    assert!(rig().tool("kubectl", &["get", "namespace", "planned"]).is_err(), "a plan changes nothing");
    apply().ok();
    assert_eq!(small.states().len(), 2);
    says(&apply().exits(4), &["error[E0422]: ", "a: it was not there, and is revision 1, deployed"]);

    // A value after the plan.
    small.values("a", "replicas: 2\n");
    save();
    small.values("a", "replicas: 3\n");
    says(&apply().exits(4), &["error[E0423]: ", "a: what decides it has changed"]);

    // A chart's file after the plan.
    small.values("a", "replicas: 2\n");
    save();
    let file = "templates/one/a/chart/templates/deployment.yaml";
    small.edit(file, "{name: main,", "{name: other,");
    assert!(apply().exits(1).stderr.contains("platctl lock"), "the chart is not the one that is locked");
    small.run(&["lock"]).ok();
    says(&apply().exits(4), &["error[E0423]: ", "a: what decides it has changed"]);
    small.edit(file, "{name: other,", "{name: main,");
    small.run(&["lock"]).ok();

    // Somebody's helm in between.
    let records = rig().records("planned");
    let chart = small.path("templates/one/a/chart");
    rig().helm(&["upgrade", "a", chart.to_str().unwrap(), "--namespace=planned", "--reuse-values", "--set=replicas=1"]);
    let theirs = rig().records("planned");
    assert_ne!(theirs, records);
    says(&apply().exits(4), &["error[E0422]: ", "a: it was revision 1, deployed, and is revision 2, deployed"]);
    assert_eq!(rig().records("planned"), theirs, "nothing was changed");
    save();
    apply().ok();
    let replicas = ["get", "deployment", "a", "--namespace=planned", "--output=jsonpath={.spec.replicas}"];
    assert_eq!(rig().kubectl(&replicas), "2");

    // Another answer of the cluster to what a chart asks it.
    small.values("b", "replicas: 2\n");
    save();
    rig().kubectl(&["create", "configmap", "flag", "--namespace=planned"]);
    let records = rig().records("planned");
    says(&apply().exits(1), &["error[E0421]: b: it renders otherwise live", "ConfigMap b-map: data.said"]);
    assert_eq!(rig().records("planned"), records);
    rig().kubectl(&["delete", "configmap", "flag", "--namespace=planned"]);
    apply().ok();
}

/// helm takes a post-renderer that says nothing for one that failed.
#[test]
fn what_renders_no_objects_is_installed() {
    let small = Small::new("empty").release("one", "definitions", "").release("one", "nothing", "");
    for name in ["definitions", "nothing"] {
        let template = format!("templates/one/{name}/chart/templates/deployment.yaml");
        small.put(&template, "{{- if .Values.never }}\nkind: Never\n{{- end }}\n");
    }
    let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: empties.empty.example.org}\n\
        spec:\n  group: empty.example.org\n  names: {kind: Empty, plural: empties}\n  scope: Namespaced\n\
        \x20 versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]\n";
    small.put("templates/one/definitions/chart/crds/empties.yaml", definition);
    let small = small.locked();
    small.apply().ok();
    let again = small.apply().ok();
    assert!(again.stderr.contains("2 unchanged"), "{}", again.screen());
    let gone = small.run(&["destroy", "-e", "site", "--confirm", "site"]).ok();
    assert!(gone.stderr.contains("stays  CustomResourceDefinition empties.empty.example.org"), "{}", gone.screen());
    rig().kubectl(&["delete", "crd", "empties.empty.example.org"]);
}
