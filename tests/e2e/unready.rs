//! Releases that don't get ready, each for a reason of its own that has to be said; and hooks of charts that fail.

use crate::platform::{DEPLOYMENT, Small};
use crate::rig::rig;
use crate::support::program::until;

/// A StatefulSet whose claim nobody provides a volume for.
const CLAIMING: &str = "apiVersion: apps/v1
kind: StatefulSet
metadata: {name: {{ .Release.Name }}, namespace: {{ .Release.Namespace }}}
spec:
  replicas: 1
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers:
      - {name: main, image: \"registry.example.org/e2e/app:1\"}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], storageClassName: nowhere, resources: {requests: {storage: 1Gi}}}
";

/// A Job that runs when helm installs, and never when it upgrades, and a claim that holds data.
const INSTALL_HOOK: &str = "apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-setup
  namespace: {{ .Release.Namespace }}
  annotations: {helm.sh/hook: post-install, helm.sh/hook-delete-policy: before-hook-creation}
spec:
  backoffLimit: 0
  template:
    metadata: {labels: {rig.platctl.dev/behaviour: {{ .Values.setup | default \"\" | quote }}}}
    spec:
      restartPolicy: Never
      containers:
      - {name: setup, image: \"registry.example.org/e2e/job:1\"}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: {{ .Release.Name }}-data, namespace: {{ .Release.Namespace }}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
";

/// Applies, which fails for this reason: every text is said, and helm's own last word is not.
#[track_caller]
fn fails(small: &Small, code: &str, said: &[&str]) {
    let output = small.apply().exits(1);
    let screen = output.screen();
    assert!(output.stderr.contains(&format!("error[{code}]")), "{screen}");
    for text in said {
        assert!(output.stderr.contains(text), "no `{text}` in\n{screen}");
    }
    assert!(!output.stderr.contains("deadline exceeded"), "{screen}");
}

#[test]
fn a_container_that_crashes_says_its_last_words() {
    let small = Small::new("last-words").release("one", "app", "timeout: 6s\n").locked();
    small.values("app", "behaviour: crash-loop\n");
    let title = "app: Deployment last-words/app is not ready: 0 of 1 pods";
    let words = ["container main: CrashLoopBackOff (exit 1, ", "| fatal: the database refuses the password"];
    fails(&small, "E0412", &[title, "pod app-", words[0], words[1], "platctl runbook E0412"]);
}

#[test]
fn pods_that_fit_on_no_node() {
    let small = Small::new("no-node").release("one", "app", "timeout: 4s\n").locked();
    let chart = "templates/one/app/chart/templates/deployment.yaml";
    small.edit(chart, "      containers:\n", "      nodeSelector: {gpu: none-such}\n      containers:\n");
    small.run(&["lock"]).ok();
    let said = ["0 of 1 pods", "not scheduled: 0/2 nodes are available: 2 node(s) didn't match Pod's node affinity"];
    fails(&small, "E0412", &said);
}

#[test]
fn pods_that_a_quota_forbids() {
    let small = Small::new("quota").release("one", "app", "timeout: 4s\n").locked();
    rig().kubectl(&["create", "namespace", "quota"]);
    rig().kubectl(&["--namespace=quota", "create", "quota", "none", "--hard=pods=0"]);
    fails(&small, "E0412", &["0 of 1 pods", "ReplicaSet app-", "FailedCreate", "exceeded quota: none"]);
}

#[test]
fn a_claim_that_nobody_gives_a_volume() {
    let small = Small::new("no-volume").release("one", "db", "timeout: 6s\n");
    small.put("templates/one/db/chart/templates/deployment.yaml", CLAIMING);
    let small = small.locked();
    let claim = "claim data-db-0: Pending, storage class `nowhere`";
    fails(&small, "E0412", &["StatefulSet no-volume/db is not ready: 0 of 1 pods", claim, "\"nowhere\" not found"]);
}

#[test]
fn a_hook_that_fails_on_the_first_install_runs_on_the_next() {
    let small = Small::new("setup").release("one", "app", "timeout: 20s\n");
    small.put("templates/one/app/chart/templates/setup.yaml", INSTALL_HOOK);
    let small = small.locked();
    small.values("app", "setup: crash-loop\n");
    fails(&small, "E0441", &["app: the post-install hook Job setup/app-setup failed", "pod app-setup-", "exit 1"]);
    assert_eq!(small.states(), [("app".to_owned(), "failed".to_owned())]);
    let claim = || rig().get(&["persistentvolumeclaim", "app-data", "--namespace=setup"])["metadata"]["uid"].clone();
    let before = claim();
    small.values("app", "replicas: 1\n");
    let output = small.apply().ok();
    assert!(output.stderr.contains("install again  1.0.0, its first installation failed"), "{}", output.screen());
    let job = rig().get(&["job", "app-setup", "--namespace=setup"]);
    assert_eq!(job["status"]["succeeded"], 1, "the hook ran: {job:#}");
    assert_eq!(claim(), before, "the claim and what is in it stayed");
    assert_eq!(small.states(), [("app".to_owned(), "deployed".to_owned())]);
    // Once it was deployed, what fails later is upgraded.
    small.values("app", "behaviour: never-ready\n");
    small.apply().exits(1);
    small.values("app", "replicas: 2\n");
    let output = small.apply().ok();
    assert!(output.stderr.contains("upgrade  1.0.0"), "{}", output.screen());
}

#[test]
fn helms_that_only_wait_leave_room_for_work_and_what_they_wait_for_is_said() {
    let mut small = Small::new("waits");
    for name in ["aa", "bb", "cc", "dd"] {
        small = small.release("one", name, "timeout: 16s\n");
    }
    let small = small.locked();
    small.edit("environments/site/environment.yaml", "timeouts:", "concurrency: {releases: 1, waiting: 2}\ntimeouts:");
    for name in ["aa", "bb", "cc"] {
        small.values(name, "behaviour: image-missing\n");
    }
    let running = small.platctl().args(["apply", "-e", "site"]).start(small.folder());
    let pending = || small.states().into_iter().filter(|(_, status)| status == "pending-install").count();
    let mut most = 0;
    until("three wait at once", || {
        most = most.max(pending());
        most == 3
    });
    let output = running.wait().exits(1);
    let said = &output.stderr;
    for name in ["aa", "bb", "cc"] {
        let line = format!("  … {name:<22}  waits for ");
        assert!(said.lines().any(|l| l.starts_with(&line) && l.contains("0 of 1 pods")), "{name}: {}", output.screen());
    }
    assert!(said.contains("ImagePullBackOff"), "why, while it lasts: {}", output.screen());
    assert!(!said.contains("level=DEBUG"), "{}", output.screen());
}

#[test]
fn the_first_failure_ends_a_run_that_is_to_fail_fast() {
    let small = Small::new("fail-fast").release("one", "bad", "timeout: 4s\n");
    let small = small.release("one", "later", "").release("two", "last", "").locked();
    small.edit("environments/site/environment.yaml", "timeouts:", "concurrency: {releases: 1, waiting: 0}\ntimeouts:");
    small.edit("templates/two/tier.yaml", "order: 20", "order: 20\ngate: false");
    small.edit("templates/one/tier.yaml", "order: 10", "order: 10\ngate: false");
    small.values("bad", "behaviour: image-missing\n");
    let output = small.run(&["apply", "-e", "site", "--fail-fast"]).exits(1);
    assert!(output.stderr.contains("not begun: later, last"), "{}", output.screen());
    assert_eq!(small.states(), [("bad".to_owned(), "failed".to_owned())]);
    let output = small.apply().exits(1);
    assert!(!output.stderr.contains("not begun"), "without it the others go on: {}", output.screen());
    assert_eq!(small.states().len(), 3);
}

#[test]
fn what_fails_three_times_in_the_same_way_ends_the_run() {
    let mut small = Small::new("alike");
    for name in ["aa", "bb", "cc", "dd", "ee"] {
        small = small.release("one", name, "timeout: 4s\n");
    }
    let small = small.locked();
    small.edit("environments/site/environment.yaml", "timeouts:", "concurrency: {releases: 1, waiting: 0}\ntimeouts:");
    rig().kubectl(&["create", "namespace", "alike"]);
    rig().kubectl(&["--namespace=alike", "create", "quota", "none", "--hard=pods=0"]);
    let output = small.apply().exits(1);
    assert!(output.stderr.contains("error[E0446]: stopped: 3 releases failed in the same way"), "{}", output.screen());
    assert!(output.stderr.contains("not begun: dd, ee"), "{}", output.screen());
    assert_eq!(small.states().len(), 3);
}

/// A Deployment that had no ready pod for long is `Failed`, and is so for a moment after what was wrong was mended: helm gave up
/// then, within two seconds, on what was right.
#[test]
fn what_is_mended_after_its_deadline_becomes_ready() {
    let mut small = Small::new("overdue");
    for name in ["aa", "bb", "cc"] {
        small = small.release("one", name, "timeout: 9s\n");
        let template = DEPLOYMENT.replace("spec:\n  replicas", "spec:\n  progressDeadlineSeconds: 4\n  replicas");
        small.put(&format!("templates/one/{name}/chart/templates/deployment.yaml"), &template);
    }
    let small = small.locked();
    small.apply().ok();
    let set = |text: &str| ["aa", "bb", "cc"].iter().for_each(|name| small.values(name, text));
    for round in 1..3 {
        set("behaviour: image-missing\n");
        small.apply().exits(1);
        set(&format!("replicas: {round}\n"));
        let output = small.apply().ok();
        assert!(output.stderr.contains("3 of 3"), "{}", output.screen());
    }
}
