//! The closed world with the real helm: the platform that ships keeps to it, and what a chart renders only live is refused
//! in the middle, with nothing changed.

use crate::platform::Small;
use crate::rig::rig;
use crate::shipped::shipped;

const DOWNLOADS: &str = "apiVersion: batch/v1
kind: Job
metadata: {name: {{ .Release.Name }}-tools, namespace: {{ .Release.Namespace }}}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: tools
        image: registry.example.org/e2e/job:1
        command: [sh, -c]
        args:
        - |
          set -e
          apk add --no-cache kubectl
          kubectl get nodes
";

/// What only a live cluster has.
fn only_live(text: &str) -> String {
    format!("{{{{- if lookup \"v1\" \"Namespace\" \"\" \"kube-system\" }}}}\n{text}{{{{- end }}}}\n")
}

#[test]
fn the_platform_that_ships_is_clean() {
    let lint = shipped().online(rig()).args(["lint"]).run().ok();
    let environments = shipped().environments().len();
    assert!(lint.stdout.is_empty(), "{}", lint.screen());
    assert!(lint.stderr.contains(&format!(", {environments} environments (")), "{}", lint.screen());
    assert!(lint.stderr.contains("Linted  0 errors in "), "{}", lint.screen());
}

#[test]
fn what_a_hook_fetches_is_refused_before_anything_is_locked() {
    let small = Small::new("fetching").release("one", "app", "");
    small.put("templates/one/app/chart/templates/tools.yaml", DOWNLOADS);
    let lock = small.run(&["lock"]).exits(1);
    assert!(lock.stderr.contains("error[PL203]: app: `apk add --no-cache kubectl`"), "{}", lock.screen());
    assert!(
        lock.stderr.contains("Job fetching/app-tools, spec.template.spec.containers[0].args[0]"),
        "{}",
        lock.screen()
    );
    assert!(!small.path("charts-lock.yaml").exists());
    let release = "templates/one/app/release.yaml";
    small.edit(
        release,
        "namespace:",
        "lint: {ignore: [{rule: PL203, reason: the pods of the tests run nothing}]}\nnamespace:",
    );
    small.run(&["lock"]).ok();
    small.run(&["lint"]).ok();
    small.apply().ok();
    assert_eq!(small.states(), [("app".to_owned(), "deployed".to_owned())]);
}

#[test]
fn what_is_rendered_only_live_is_refused_in_the_middle() {
    let small =
        Small::new("only-live").release("one", "app", "images: {extra: [\"registry.example.org/e2e/job:1\"]}\n");
    small.put("templates/one/app/chart/templates/tools.yaml", &only_live(DOWNLOADS));
    small.run(&["lock"]).ok();
    small.run(&["lint"]).ok();
    let apply = small.apply().exits(1);
    assert!(apply.stderr.contains("error[PL203]: app: `apk add --no-cache kubectl`"), "{}", apply.screen());
    assert_eq!(small.states(), [], "helm has no record of it");
    assert!(rig().tool("kubectl", &["get", "deployment", "app", "--namespace=only-live"]).is_err());

    let image = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: only-live}\nspec: {containers: [{name: p, image: \"registry.example.org/e2e/other:1\"}]}\n";
    small.put("templates/one/app/chart/templates/tools.yaml", &only_live(image));
    small.run(&["lock"]).ok();
    let apply = small.apply().exits(1);
    assert!(apply.stderr.contains("error[PL201]: app: image `registry.example.org/e2e/other:1`"), "{}", apply.screen());
    assert_eq!(small.states(), []);
}
