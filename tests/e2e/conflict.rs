//! Runs and people that get in each other's way: who has the lease, who may take it over, and what somebody else's helm
//! does in the middle.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::platform::Small;
use crate::rig::{bin, rig, signal};
use crate::support::program::{Running, until};
use crate::support::read;

const APPLY: [&str; 3] = ["apply", "-e", "site"];
const SYSTEM: &str = "--namespace=platctl-system";

fn lease(small: &Small) -> String {
    format!("platctl-{}-site", small.name)
}

/// Starts an apply that stays at work on `a` until that gets other values.
fn at_work(small: &Small) -> Running {
    small.values("a", "behaviour: never-ready\n");
    let running = small.platctl().args(APPLY).start(small.folder());
    until("helm waits for the pod", || small.states().iter().any(|(_, status)| status.starts_with("pending")));
    running
}

/// Another run, beside the one whose output is in the small's folder.
fn beside(small: &Small) -> (std::path::PathBuf, Running) {
    let next = small.folder().join("next");
    fs::create_dir_all(&next).unwrap();
    let running = small.platctl().args(APPLY).start(&next);
    (next.join("stderr"), running)
}

#[test]
fn two_applies_at_once() {
    let small = Small::new("two-applies").release("one", "a", "").release("two", "b", "").locked();
    let running = at_work(&small);
    let refused = small.apply().exits(4);
    assert!(refused.stderr.contains("error[E0451]"), "{}", refused.screen());
    assert!(refused.stderr.contains("apply by pid "), "{}", refused.screen());
    running.signal(Signal::INT);
    running.wait().exits(130);
    small.values("a", "replicas: 1\n");
    // At the very same moment: one of them does it, and the other is refused or finds it done.
    let (_, other) = beside(&small);
    let (one, other) = (small.apply(), other.wait());
    let mut codes = [one.code, other.code];
    codes.sort_unstable();
    assert!(codes == [0, 0] || codes == [0, 4] || codes == [0, 1], "{}\n{}", one.screen(), other.screen());
    small.is_well(&["a", "b"], &format!("{}\n{}", one.screen(), other.screen()));
}

#[test]
fn a_holder_that_is_killed_is_followed_once_its_helm_is_gone() {
    let small = Small::new("holder-killed").release("one", "a", "").locked();
    let running = at_work(&small);
    running.signal(Signal::KILL);
    running.wait().exits(128 + 9);
    let (stderr, mut next) = beside(&small);
    until("the next run waits", || read(&stderr).contains("Waiting") || next.ended());
    std::thread::sleep(Duration::from_millis(500));
    assert!(!next.ended(), "the helm of the killed run is still at work\n{}", read(&stderr));
    let held = rig().get(&["lease", &lease(&small), SYSTEM]);
    small.helms().into_iter().for_each(|pid| signal(pid, Signal::KILL));
    // Now nobody is left; what is pending is not touched unasked.
    let next = next.wait().exits(4);
    assert!(next.stderr.contains("error[E0403]"), "{}", next.screen());
    assert_ne!(held["spec"]["holderIdentity"], "");
    small.values("a", "replicas: 1\n");
    small.run(&["apply", "-e", "site", "--resume"]).ok();
    small.is_well(&["a"], &next.screen());
}

/// Somebody on another host has the lease.
fn held_elsewhere(small: &Small) {
    let host = json!({"name": "elsewhere", "boot": "another", "pids": "pid:[1]", "user": 0});
    let run = "20200101-000000-abcd";
    let holder = json!({"host": host, "process": {"pid": 7, "started": 7}, "run": run, "verb": "apply"});
    let metadata = json!({"name": lease(small), "namespace": "platctl-system",
        "annotations": {"platctl.dev/holder": holder.to_string()}});
    let spec = json!({"holderIdentity": format!("elsewhere/7/{run}"), "leaseDurationSeconds": 30,
        "acquireTime": "2020-01-01T00:00:00.000000Z", "renewTime": "2020-01-01T00:00:00.000000Z"});
    let object = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec});
    let file = small.folder().join("lease.json");
    fs::write(&file, object.to_string()).unwrap();
    let _ = rig().tool("kubectl", &["create", "namespace", "platctl-system"]);
    rig().kubectl(&["apply", "--server-side", "--force-conflicts", "--filename", file.to_str().unwrap()]);
}

/// What its clock says does not count: only whether it is seen to be renewed.
#[test]
fn a_holder_on_another_host_is_watched() {
    let small = Small::new("elsewhere").release("one", "a", "").locked();
    held_elsewhere(&small);
    let (stderr, mut running) = beside(&small);
    until("it watches", || read(&stderr).contains("watching whether it is renewed") || running.ended());
    let renew = json!({"spec": {"renewTime": "2020-01-01T00:00:01.000000Z"}}).to_string();
    rig().kubectl(&["patch", "lease", &lease(&small), SYSTEM, "--type=merge", "--patch", &renew]);
    let refused = running.wait().exits(4);
    assert!(refused.stderr.contains("error[E0451]") && refused.stderr.contains("elsewhere"), "{}", refused.screen());
    assert!(small.states().is_empty());
    // It stands still from now on.
    let begun = std::time::Instant::now();
    let output = small.apply().ok();
    assert!(begun.elapsed() > Duration::from_secs(30), "its term was not waited for\n{}", output.screen());
    small.is_well(&["a"], &output.screen());
}

/// A helm that has rendered nothing yet when its run is followed by one of another host must not write.
#[test]
fn a_helm_whose_run_was_followed_is_fenced() {
    let tries = ["fenced-0", "fenced-1", "fenced-2", "fenced-3", "fenced-4", "fenced-5"];
    assert!(tries.into_iter().any(fenced), "no helm was caught in time");
}

fn fenced(name: &'static str) -> bool {
    let small = Small::new(name).release("one", "a", "").locked();
    let mut running = small.platctl().args(APPLY).start(small.folder());
    until("helm is started", || !small.helms().is_empty() || running.ended());
    let helms = small.helms();
    running.signal(Signal::KILL);
    running.wait().exits(128 + 9);
    helms.iter().for_each(|pid| signal(*pid, Signal::STOP));
    if helms.is_empty() || small.helms().is_empty() || !small.states().is_empty() {
        helms.iter().for_each(|pid| signal(*pid, Signal::CONT));
        return false;
    }
    held_elsewhere(&small);
    // Until the last renewal is older than half a term.
    std::thread::sleep(Duration::from_secs(17));
    helms.iter().for_each(|pid| signal(*pid, Signal::CONT));
    until("helm is gone", || small.helms().is_empty());
    assert!(small.states().is_empty(), "it wrote, although another run has the lease");
    let runs = fs::read_dir(rig().cache().join("runs")).unwrap().flatten();
    let told: Vec<String> = runs.filter_map(|run| fs::read_to_string(run.path().join("a.fenced")).ok()).collect();
    // One that was stopped in the middle of a question to the API server may have given up before.
    told.iter().any(|text| text.contains("elsewhere"))
}

#[test]
fn a_run_that_loses_its_lease_begins_nothing_more() {
    let small = Small::new("lease-lost").release("one", "a", "").release("two", "b", "");
    small.values("a", "hooks: 12\n");
    let small = small.locked();
    let mut running = small.platctl().args(APPLY).start(small.folder());
    until("helm is at work", || !small.states().is_empty() || running.ended());
    rig().kubectl(&["delete", "lease", &lease(&small), SYSTEM]);
    let output = running.wait().exits(1);
    assert!(output.stderr.contains("error[E0452]") && output.stderr.contains("not begun: b"), "{}", output.screen());
    small.is_well(&["a"], "what was at work is waited for");
    let output = small.run(&["apply", "-e", "site", "--resume"]).ok();
    small.is_well(&["a", "b"], &output.screen());
}

#[test]
fn somebody_elses_upgrade_in_the_middle_is_not_overwritten() {
    let small = Small::new("foreign-upgrade").release("one", "a", "").release("two", "b", "").release("two", "c", "");
    let set = |small: &Small, text: &str| ["a", "b", "c"].iter().for_each(|name| small.values(name, text));
    set(&small, "hooks: 1\n");
    let small = small.locked();
    small.apply().ok();
    set(&small, "replicas: 2\nhooks: 5\n");
    let mut running = small.platctl().args(APPLY).start(small.folder());
    until("helm is at work on a", || rig().records(small.name).len() > 3 || running.ended());
    let chart = small.path("templates/two/b/chart");
    let namespace = format!("--namespace={}", small.name);
    rig().helm(&["upgrade", "b", chart.to_str().unwrap(), &namespace, "--set=replicas=3", "--wait=hookOnly"]);
    let output = running.wait().exits(1);
    assert!(output.stderr.contains("error[E0454]: b:"), "{}", output.screen());
    assert!(
        output.stderr.contains("planned: revision 1") && output.stderr.contains("found:   revision 2"),
        "{}",
        output.screen()
    );
    let replicas = |name: &str| {
        let found: Value = rig().get(&["deployment", name, &namespace]);
        found["spec"]["replicas"].as_u64().unwrap()
    };
    assert_eq!((replicas("a"), replicas("b"), replicas("c")), (2, 3, 2), "{}", output.screen());
    // Whoever runs it again has seen it, and wants this.
    small.apply().ok();
    assert_eq!(replicas("b"), 2);
}

/// It ends after the run has looked and before helm does. A program of the definition is at the one moment where it can.
#[test]
fn somebody_elses_upgrade_right_before_helm_is_told() {
    let small = Small::new("foreign-moment").release("one", "a", "hooks: {before: [{run: scripts/foreign}]}\n");
    let script = "#!/bin/sh\nset -eu\n[ -e FOLDER/armed ] || exit 0\nrm FOLDER/armed\n\
                  HELM upgrade a FOLDER/theirs --namespace foreign-moment --set replicas=3 --wait=hookOnly\n";
    let theirs = small.path("theirs");
    let (folder, helm) = (theirs.parent().unwrap().display().to_string(), bin().join("helm"));
    small.put(
        "templates/one/a/scripts/foreign",
        &script.replace("FOLDER", &folder).replace("HELM", &helm.display().to_string()),
    );
    fs::set_permissions(small.path("templates/one/a/scripts/foreign"), fs::Permissions::from_mode(0o755)).unwrap();
    let small = small.locked();
    small.apply().ok();
    let copied =
        std::process::Command::new("cp").arg("-r").arg(small.path("templates/one/a/chart")).arg(&theirs).status();
    assert!(copied.unwrap().success());
    small.put("armed", "");
    small.values("a", "replicas: 2\n");
    let output = small.apply().ok();
    let told = "warning: a: somebody else changed it at the same moment, and this run has overwritten that (revision 2); to see \
                it: helm get values a --namespace foreign-moment --revision 2";
    assert!(output.stderr.contains(told), "{}", output.screen());
    assert_eq!(rig().get(&["deployment", "a", "--namespace=foreign-moment"])["spec"]["replicas"], 2);
    small.values("a", "replicas: 1\n");
    assert!(!small.apply().ok().stderr.contains("somebody else"), "once is enough");
}

/// A disk that is full where the journal is, in a mount namespace; where that is not allowed it is said.
fn with_small_disk(small: &Small, meanwhile: &str) -> Option<crate::support::Output> {
    let runs = rig().place(&format!("cache-{}", small.name)).join("runs");
    let cache = runs.parent().unwrap();
    fs::create_dir_all(&runs).unwrap();
    let script = format!("mount -t tmpfs -o size=256k,mode=700 tmpfs \"$0\" || exit 99; {meanwhile} exec \"$@\"");
    let unshare = ["--user", "--map-root-user", "--mount", "sh", "-c", &script, runs.to_str().unwrap()];
    let platctl = small.platctl().env("PLATCTL_CACHE_DIR", cache).within("unshare", &unshare);
    let output = platctl.args(APPLY).run();
    let refused = output.code == 99 || output.stderr.starts_with("unshare:");
    if refused {
        eprintln!("no mount namespace here: a full disk where the journal is was not tried\n{}", output.stderr);
    }
    (!refused).then_some(output)
}

#[test]
fn a_disk_that_is_full_where_the_journal_is() {
    let small = Small::new("disk-full").release("one", "a", "").release("two", "b", "");
    small.values("a", "hooks: 3\n");
    let small = small.locked();
    // Everything but the journal has room: it comes last.
    let fill = "(until [ -e \"$0\"/*/plugins ] || ! kill -0 $$; do sleep 0.01; done; cat /dev/zero >\"$0/fill\") >/dev/null 2>&1 &";
    let Some(output) = with_small_disk(&small, fill) else { return };
    let output = output.exits(1);
    assert!(output.stderr.contains("error[E0601]") || output.stderr.contains("error[E0455]"), "{}", output.screen());
    assert!(small.states().is_empty(), "what can't be recorded is not begun\n{}", output.screen());
    // Full once the first release is at work.
    let fill = "(until grep -q '\"state\":\"running\",\"pid\":[0-9]' \"$0\"/*/journal.json || ! kill -0 $$; do sleep 0.01; done; \
        cat /dev/zero >\"$0/fill\") >/dev/null 2>&1 &";
    let output = with_small_disk(&small, fill).unwrap().exits(1);
    assert!(output.stderr.contains("error[E0455]") && output.stderr.contains("not begun: b"), "{}", output.screen());
    assert!(output.stderr.contains("journal.json"), "{}", output.screen());
    small.is_well(&["a"], &output.screen());
    // That run's journal in the cluster is enough to go on with.
    let output = small.run(&["apply", "-e", "site", "--resume"]).ok();
    small.is_well(&["a", "b"], &output.screen());
}
