//! `--check-drift` and `--adopt` on a real API server: what others changed is found, told with who did it, and put back; what
//! others made becomes ours, without an upgrade where nothing differs.

use crate::platform::Small;
use crate::rig::rig;

fn kubectl(args: &[&str]) -> String {
    rig().kubectl(args)
}

fn field(small: &Small, what: &str, path: &str) -> String {
    kubectl(&["get", what, "--namespace", small.name, &format!("--output=jsonpath={path}")])
}

fn revision(small: &Small) -> usize {
    rig().records(small.name).len()
}

#[test]
fn drift_is_found_and_put_back_with_who_did_it() {
    let small = Small::new("drift").release("one", "web", "").release("one", "other", "").locked();
    small.apply().ok();
    let looked = small.run(&["plan", "-e", "site", "--check-drift"]).ok();
    assert!(looked.stdout.contains("2 unchanged"), "{}", looked.screen());

    let patch = r#"[{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "evil:1"}]"#;
    kubectl(&["patch", "deployment/web", "-n", "drift", "--type=json", "-p", patch, "--field-manager=somebody"]);
    kubectl(&["annotate", "deployment/web", "-n", "drift", "a.example/b=theirs"]);
    let unlooked = small.apply().ok();
    assert!(unlooked.stderr.contains("2 unchanged"), "labels alone do not see it\n{}", unlooked.screen());
    let looked = small.run(&["plan", "-e", "site", "--check-drift"]).ok();
    let told = "puts back Deployment drift/web: spec.template.spec.containers[name=main].image (set by somebody, ";
    assert!(looked.stdout.contains(told) && looked.stdout.contains("1 upgrade, 1 unchanged"), "{}", looked.screen());
    assert!(!looked.stdout.contains("a.example"), "fields of others are no drift\n{}", looked.screen());

    small.run(&["apply", "-e", "site", "--check-drift"]).ok();
    let image = field(&small, "deployment/web", "{.spec.template.spec.containers[0].image}");
    assert!(image.contains("e2e/app"), "{image}");
    assert_eq!(field(&small, "deployment/web", "{.metadata.annotations.a\\.example/b}"), "theirs");

    kubectl(&["delete", "deployment/other", "-n", "drift"]);
    let repaired = small.run(&["apply", "-e", "site", "--check-drift"]).ok();
    assert!(repaired.stderr.contains("1 upgrade, 1 unchanged"), "{}", repaired.screen());
    assert_eq!(field(&small, "deployment/other", "{.metadata.name}"), "other");
    let quiet = small.run(&["apply", "-e", "site", "--check-drift"]).ok();
    assert!(quiet.stderr.contains("2 unchanged"), "{}", quiet.screen());
}

/// helm keeps labels: what somebody upgraded by hand said of itself that it was ours, as it was planned.
#[test]
fn an_upgrade_or_rollback_by_hand_is_seen_and_put_back() {
    let small = Small::new("by-hand").release("one", "web", "").locked();
    small.apply().ok();
    let chart = small.path("templates/one/web/chart");
    let replicas = || field(&small, "deployment/web", "{.spec.replicas}");
    rig().helm(&["upgrade", "web", chart.to_str().unwrap(), "-n", "by-hand", "--reuse-values", "--set=replicas=4"]);
    assert_eq!(replicas(), "4");
    let looked = small.run(&["plan", "-e", "site"]).ok();
    assert!(looked.stdout.contains("upgrade  1.0.0, somebody's helm changed it since"), "{}", looked.screen());
    let status = small.run(&["status", "-e", "site"]).ok();
    assert!(status.stdout.lines().nth(1).unwrap().ends_with("no"), "{}", status.screen());
    let different = small.run(&["diff", "-e", "site"]).ok();
    assert!(different.stdout.contains("spec.replicas  4 → 1"), "{}", different.screen());
    small.apply().ok();
    assert_eq!(replicas(), "1");
    assert!(small.apply().ok().stderr.contains("1 unchanged"));

    small.values("web", "replicas: 2\n");
    small.apply().ok();
    rig().helm(&["rollback", "web", "3", "-n", "by-hand"]);
    assert_eq!(replicas(), "1");
    let output = small.apply().ok();
    assert!(output.stderr.contains("somebody's helm changed it since"), "{}", output.screen());
    assert_eq!(replicas(), "2");
    assert!(small.apply().ok().stderr.contains("1 unchanged"));
}

#[test]
fn replicas_of_an_autoscaler_are_no_drift_and_those_of_somebody_are() {
    let small = Small::new("scaled").release("one", "web", "").locked();
    small.apply().ok();
    kubectl(&["scale", "deployment/web", "-n", "scaled", "--replicas=3"]);
    let looked = small.run(&["plan", "-e", "site", "--check-drift"]).ok();
    assert!(
        looked.stdout.contains("Deployment scaled/web: spec.replicas (set by kubectl (scale)"),
        "{}",
        looked.screen()
    );
    small.run(&["apply", "-e", "site", "--check-drift"]).ok();
    assert_eq!(field(&small, "deployment/web", "{.spec.replicas}"), "1");

    // As the controller of HorizontalPodAutoscalers writes it.
    let scale = r#"{"spec": {"replicas": 4}}"#;
    let args = ["patch", "deployment/web", "-n", "scaled", "--subresource=scale", "--type=merge", "-p", scale];
    kubectl(&[&args[..], &["--field-manager=kube-controller-manager"]].concat());
    let output = small.run(&["apply", "-e", "site", "--check-drift"]).ok();
    assert!(
        output.stderr.contains("1 unchanged") && output.stderr.contains("an autoscaler sets it"),
        "{}",
        output.screen()
    );
    assert_eq!(field(&small, "deployment/web", "{.spec.replicas}"), "4");
}

/// The release as somebody would install it by hand, with the same images.
fn by_hand(small: &Small, from: &str, to: &str) {
    kubectl(&["create", "namespace", small.name]);
    let out = small.run(&["template", "-e", "site"]).ok().stdout;
    let chart = small.path("by-hand");
    std::fs::create_dir_all(chart.join("templates")).unwrap();
    std::fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: web\nversion: 1.0.0\n").unwrap();
    std::fs::write(chart.join("templates/all.yaml"), out.replace(from, to)).unwrap();
    rig().helm(&["install", "web", chart.to_str().unwrap(), "--namespace", small.name]);
}

#[test]
fn an_equal_release_is_adopted_without_an_upgrade() {
    let small = Small::new("adopted").release("one", "web", "").locked();
    by_hand(&small, "", "");
    let refused = small.apply().exits(4);
    assert!(refused.stderr.contains("E0404") && refused.stderr.contains("--adopt web"), "{}", refused.screen());
    let misspelt = small.run(&["apply", "-e", "site", "--adopt", "wbe"]).exits(64);
    assert!(misspelt.stderr.contains("the releases are web"), "{}", misspelt.screen());
    let planned = small.run(&["plan", "-e", "site", "--adopt", "web"]).ok();
    assert!(planned.stdout.contains("adopt  1.0.0"), "{}", planned.screen());
    small.run(&["apply", "-e", "site", "--adopt", "web"]).ok();
    assert_eq!(revision(&small), 1, "nothing had to be upgraded");
    let again = small.apply().ok();
    assert!(again.stderr.contains("1 unchanged"), "{}", again.screen());
}

#[test]
fn a_release_that_differs_is_adopted_by_an_upgrade_unless_others_would_lose() {
    let small = Small::new("adopting").release("one", "web", "").locked();
    by_hand(&small, "replicas: 1", "replicas: 2");
    let patch = r#"{"spec": {"replicas": 5}}"#;
    kubectl(&["patch", "deployment/web", "-n", "adopting", "--type=merge", "-p", patch, "--field-manager=somebody"]);
    let refused = small.run(&["apply", "-e", "site", "--adopt", "web"]).exits(4);
    let told = "Deployment adopting/web: spec.replicas (set by somebody, ";
    assert!(refused.stderr.contains("E0471") && refused.stderr.contains(told), "{}", refused.screen());
    assert_eq!((revision(&small), field(&small, "deployment/web", "{.spec.replicas}").as_str()), (1, "5"));
    small.run(&["apply", "-e", "site", "--adopt", "web", "--force-conflicts"]).ok();
    assert_eq!((revision(&small), field(&small, "deployment/web", "{.spec.replicas}").as_str()), (2, "1"));
    let again = small.apply().ok();
    assert!(again.stderr.contains("1 unchanged"), "{}", again.screen());
}

#[test]
fn objects_that_helm_does_not_know_are_adopted_with_their_release() {
    let small = Small::new("objects").release("one", "web", "").locked();
    kubectl(&["create", "namespace", "objects"]);
    let rendered = small.path("rendered.yaml");
    std::fs::write(&rendered, small.run(&["template", "-e", "site"]).ok().stdout).unwrap();
    kubectl(&["apply", "-n", "objects", "-f", rendered.to_str().unwrap()]);
    let refused = small.apply().exits(1);
    assert!(refused.stderr.contains("E0404") && refused.stderr.contains("--adopt"), "{}", refused.screen());
    small.run(&["apply", "-e", "site", "--adopt", "web"]).ok();
    assert_eq!(field(&small, "deployment/web", "{.metadata.annotations.meta\\.helm\\.sh/release-name}"), "web");
    let again = small.apply().ok();
    assert!(again.stderr.contains("1 unchanged"), "{}", again.screen());
}

/// A ConfigMap of a release's chart.
fn config(small: &Small, release: &str) {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: theirs}\ndata: {a: ours}\n";
    small.put(&format!("templates/one/{release}/chart/templates/config.yaml"), text);
    small.run(&["lock"]).ok();
}

#[test]
fn objects_of_others_are_adopted_with_a_release_of_ours_that_changes() {
    let small = Small::new("moving").release("one", "web", "").release("one", "other", "").locked();
    small.apply().ok();
    kubectl(&["create", "configmap", "theirs", "-n", "moving", "--from-literal=a=theirs"]);
    config(&small, "web");
    let refused = small.apply().exits(1);
    assert!(refused.stderr.contains("E0404") && refused.stderr.contains("--adopt"), "{}", refused.screen());
    let told = "ConfigMap moving/theirs: data.a (set by kubectl-create";
    let refused = small.run(&["apply", "-e", "site", "--adopt", "web"]).exits(4);
    assert!(refused.stderr.contains("E0471") && refused.stderr.contains(told), "{}", refused.screen());
    let planned = small.run(&["plan", "-e", "site", "--adopt", "web", "--force-conflicts"]).ok();
    assert!(planned.stdout.contains("takes over ConfigMap moving/theirs\n"), "{}", planned.screen());
    assert!(planned.stdout.contains(&format!("takes over {told}")), "{}", planned.screen());
    assert_eq!(field(&small, "configmap/theirs", "{.data.a}"), "theirs");
    small.run(&["apply", "-e", "site", "--adopt", "web", "--force-conflicts"]).ok();
    assert_eq!(field(&small, "configmap/theirs", "{.data.a}"), "ours");
    let idle = small.run(&["apply", "-e", "site", "--adopt", "web"]).ok();
    assert!(idle.stderr.contains("web: there is nothing to adopt"), "{}", idle.screen());

    // From one release of ours to another.
    config(&small, "other");
    let refused = small.apply().exits(1);
    assert!(refused.stderr.contains("E0404") && refused.stderr.contains("--adopt"), "{}", refused.screen());
    let adopted = small.run(&["apply", "-e", "site", "--adopt", "other"]).ok();
    assert!(adopted.stderr.contains("takes over ConfigMap moving/theirs\n"), "{}", adopted.screen());
    let owner = field(&small, "configmap/theirs", "{.metadata.annotations.meta\\.helm\\.sh/release-name}");
    assert_eq!(owner, "other");
}

#[test]
fn what_others_changed_of_a_release_that_changes_is_put_back_too() {
    let small = Small::new("changing").release("one", "web", "").locked();
    small.apply().ok();
    kubectl(&["set", "image", "deployment/web", "-n", "changing", "main=evil:1"]);
    small.values("web", "replicas: 2\n");
    let refused = small.apply().exits(1);
    assert!(refused.stderr.contains("E0411") && refused.stderr.contains("--check-drift"), "{}", refused.screen());
    let output = small.run(&["apply", "-e", "site", "--check-drift"]).ok();
    let told =
        "puts back Deployment changing/web: spec.template.spec.containers[name=main].image (set by kubectl-set, ";
    assert!(output.stderr.contains(told), "{}", output.screen());
    assert!(!output.stderr.contains("spec.replicas"), "what only the release changes is no drift\n{}", output.screen());
    let image = field(&small, "deployment/web", "{.spec.template.spec.containers[0].image}");
    assert!(image.contains("e2e/app"), "{image}");

    // As the controller of HorizontalPodAutoscalers writes it: no force takes that away.
    let scale = r#"{"spec": {"replicas": 4}}"#;
    let args = ["patch", "deployment/web", "-n", "changing", "--subresource=scale", "--type=merge", "-p", scale];
    kubectl(&[&args[..], &["--field-manager=kube-controller-manager"]].concat());
    kubectl(&["set", "image", "deployment/web", "-n", "changing", "main=evil:2"]);
    small.values("web", "replicas: 3\n");
    let before = revision(&small);
    let refused = small.run(&["apply", "-e", "site", "--check-drift"]).exits(4);
    let said = "web: an autoscaler sets fields that the release sets too";
    assert!(refused.stderr.contains(said) && refused.stderr.contains("leave replicas out"), "{}", refused.screen());
    assert_eq!((revision(&small), field(&small, "deployment/web", "{.spec.replicas}").as_str()), (before, "4"));
}

#[test]
fn what_the_api_server_refuses_of_an_adopted_release_is_told_before_anything_is_changed() {
    let small = Small::new("refusing-it").release("one", "web", "").locked();
    by_hand(&small, "app.kubernetes.io/instance:", "app:");
    let refused = small.run(&["apply", "-e", "site", "--adopt", "web", "--force-conflicts"]).exits(4);
    let said = "error[E0445]: web: the API server refuses Deployment web";
    assert!(refused.stderr.contains(said) && refused.stderr.contains("field is immutable"), "{}", refused.screen());
    assert_eq!(revision(&small), 1);
    let anew = ["apply", "-e", "site", "--adopt", "web", "--force-conflicts", "--recreate", "Deployment/web"];
    small.run(&anew).ok();
    assert_eq!(revision(&small), 2);
}
