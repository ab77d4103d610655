//! Admission webhooks that say no or nothing, and hooks of the definition.

use std::thread;
use std::time::Duration;

use crate::platform::Small;
use crate::rig::rig;
use crate::support::read;

const CONFIG: &str = "apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
  labels: {rig.platctl.dev/behaviour: {{ .Values.verdict | default \"\" | quote }}}
data: {a: b}
";

/// A webhook for ConfigMaps of a namespace, whose Service is in another.
fn webhook(name: &str) -> String {
    format!(
        "apiVersion: v1
kind: Namespace
metadata: {{name: {name}-hook}}
---
apiVersion: v1
kind: Service
metadata: {{name: hook, namespace: {name}-hook}}
spec: {{selector: {{app: hook}}, ports: [{{port: 443}}]}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {{name: {name}}}
webhooks:
- name: {name}.e2e.example.org
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  timeoutSeconds: 2
  namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {name}}}}}
  rules: [{{apiGroups: [\"\"], apiVersions: [v1], resources: [configmaps], operations: [CREATE, UPDATE]}}]
  clientConfig: {{service: {{name: hook, namespace: {name}-hook, path: /v}}}}
"
    )
}

fn pod(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: hook, namespace: {name}-hook, labels: {{app: hook}}}}\n\
         spec: {{containers: [{{name: c, image: registry.example.org/e2e/hook:1}}]}}\n"
    )
}

/// Takes away what is not in the platform's namespace.
struct Webhook(&'static str);

impl Webhook {
    fn new(small: &Small, name: &'static str) -> Webhook {
        let file = small.folder().join("webhook.yaml");
        std::fs::write(&file, webhook(name)).unwrap();
        rig().kubectl(&["apply", "--filename", file.to_str().unwrap()]);
        Webhook(name)
    }

    fn answers(&self, small: &Small) {
        let file = small.folder().join("pod.yaml");
        std::fs::write(&file, pod(self.0)).unwrap();
        rig().kubectl(&["apply", "--filename", file.to_str().unwrap()]);
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        let _ = rig().tool("kubectl", &["delete", "validatingwebhookconfiguration", self.0]);
        let _ = rig().tool("kubectl", &["delete", "namespace", &format!("{}-hook", self.0), "--wait=false"]);
    }
}

fn configured(name: &'static str, timeout: &str) -> Small {
    let small = Small::new(name).release("one", "app", &format!("timeout: {timeout}\n"));
    small.put("templates/one/app/chart/templates/config.yaml", CONFIG);
    small.locked()
}

#[test]
fn a_webhook_that_denies_has_the_last_word() {
    let small = configured("denying", "20s");
    let webhook = Webhook::new(&small, "denying");
    webhook.answers(&small);
    small.values("app", "verdict: denied\n");
    // The pod may take a moment to be an endpoint: that is tried again.
    let output = small.apply().exits(1);
    let said = "error[E0443]: app: webhook denying.e2e.example.org denied it\n  it says: labelled to be denied";
    assert!(output.stderr.contains(said), "{}", output.screen());
    assert!(output.stderr.contains("kind: yours to fix"), "{}", output.screen());
    small.values("app", "verdict: welcome\n");
    small.apply().ok();
}

#[test]
fn a_webhook_without_endpoints_is_waited_for() {
    let small = configured("nobody", "30s");
    let webhook = Webhook::new(&small, "nobody");
    let applying = thread::scope(|scope| {
        let running = scope.spawn(|| small.run(&["apply", "-e", "site", "-v"]));
        // helm has met the webhook when it has written how that ended.
        while rig().states("nobody").get("app").is_none_or(|status| status != "failed") {
            thread::sleep(Duration::from_millis(100));
            assert!(!running.is_finished(), "it was to meet a webhook without endpoints");
        }
        webhook.answers(&small);
        running.join().unwrap()
    });
    let output = applying.ok();
    let said = "webhook nobody.e2e.example.org does not answer (no endpoints available for service \"hook\")";
    assert!(output.stderr.contains(said), "{}", output.screen());
}

#[test]
fn a_webhook_that_never_has_endpoints_is_named() {
    let small = configured("never", "3s");
    let _webhook = Webhook::new(&small, "never");
    let output = small.apply().exits(1);
    let said = "error[E0444]: app: webhook never.e2e.example.org does not answer";
    assert!(output.stderr.contains(said) && output.stderr.contains("tried again "), "{}", output.screen());
    assert!(output.stderr.contains("kind: transient"), "{}", output.screen());
}

/// A hook that writes down what it was told, and does what a file beside it says.
fn script(small: &Small, path: &str, rest: &str) {
    let log = small.folder().join("log");
    let text = format!(
        "#!/bin/sh\necho \"$PLATCTL_HOOK ${{PLATCTL_RELEASE:-tier}} $PLATCTL_TIER $PLATCTL_ENVIRONMENT\" >>{}\n{rest}\n",
        log.display()
    );
    small.put(path, &text);
}

fn log(small: &Small) -> Vec<String> {
    let text = read(&small.folder().join("log"));
    std::fs::write(small.folder().join("log"), "").unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn hooks_run_around_what_changes() {
    let hooks = "hooks: {before: [{run: scripts/check}], after: [{run: scripts/probe, timeout: 1s}]}\n";
    let small = Small::new("around").release("one", "app", hooks).release("one", "other", "");
    script(&small, "templates/one/app/scripts/check", "kubectl get namespace around -o name; exit 7");
    script(&small, "templates/one/app/scripts/probe", "sleep 60");
    script(&small, "templates/one/scripts/tier", "env | grep -c '^HELM_\\|^SOPS_' ; true");
    small.edit(
        "templates/one/tier.yaml",
        "order: 10",
        "order: 10\nhooks: {before: [{run: scripts/tier}], after: [{run: scripts/tier}]}",
    );
    let small = small.locked();

    let output = small.apply().exits(1);
    let said = "error[E0442]: app: templates/one/app/scripts/check: exit status: 7\n    | namespace/around";
    assert!(output.stderr.contains(said), "{}", output.screen());
    assert_eq!(small.states(), [("other".to_owned(), "deployed".to_owned())], "app was not begun");
    assert_eq!(log(&small), ["before tier one site", "before app one site"]);

    script(&small, "templates/one/app/scripts/check", "true");
    let output = small.apply().exits(1);
    let said = "error[E0442]: app: templates/one/app/scripts/probe: it did not end within 1 s";
    assert!(output.stderr.contains(said), "{}", output.screen());
    let status = rig().states("around")["app"].clone();
    assert_eq!(status, "deployed", "helm was done, platctl was not");
    assert_eq!(log(&small), ["before tier one site", "before app one site", "after app one site"]);

    // What follows helm is not forgotten: the next run does it again.
    script(&small, "templates/one/app/scripts/probe", "echo all is well");
    let output = small.run(&["apply", "-e", "site", "-v"]).ok();
    assert!(output.stderr.contains("| all is well"), "{}", output.screen());
    let told = ["before tier one site", "before app one site", "after app one site", "after tier one site"];
    assert_eq!(log(&small), told);
    let output = small.apply().ok();
    assert!(output.stderr.contains("2 unchanged"), "{}", output.screen());
    assert_eq!(log(&small), Vec::<String>::new(), "nothing changes, nothing runs");
}
