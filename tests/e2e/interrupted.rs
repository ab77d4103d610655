//! Runs that are ended in the middle: the next one finishes.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::platform::Small;
use crate::rig::rig;
use crate::support::program::until;
use crate::support::read;

/// Four releases in two tiers, each of which takes helm some seconds.
fn slow(name: &'static str) -> Small {
    let small = Small::new(name).release("one", "a", "").release("one", "b", "needs: [a]\n");
    let small = small.release("two", "c", "").release("two", "d", "");
    for release in ["a", "b", "c", "d"] {
        small.values(release, "hooks: 3\n");
    }
    small.locked()
}

fn all_deployed(small: &Small) {
    let deployed = ["a", "b", "c", "d"].map(|name| (name.to_owned(), "deployed".to_owned()));
    assert_eq!(small.states(), deployed);
}

/// Moments spread over the work on one release, each after another number of releases is done.
#[test]
fn kill_nine_in_the_middle() {
    for round in 0..3 {
        let small = slow(format!("kill-{round}").leak());
        let mut running = small.platctl().args(["apply", "-e", "site"]).start(small.folder());
        let so_far = || read(&small.folder().join("stderr"));
        let done = usize::try_from(round % 3).unwrap();
        until("releases are done", || {
            so_far().contains("Applying") && so_far().matches("✔").count() >= done || running.ended()
        });
        std::thread::sleep(Duration::from_millis(500 * round));
        running.signal(Signal::KILL);
        let killed = running.wait().exits(128 + 9);
        let output = small.apply();
        assert_eq!(output.code, 0, "killed after\n{}\nand then\n{}", killed.screen(), output.screen());
        all_deployed(&small);
        let again = small.apply().ok();
        assert!(again.stderr.contains("4 unchanged"), "{}", again.screen());
    }
}

/// The helms that upgrade something in a namespace.
fn helms(namespace: &str) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let at_work = processes.filter(|process| {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let has = |wanted: &str| line.split(|byte| *byte == 0).any(|arg| arg == wanted.as_bytes());
        has("upgrade") && has(namespace)
    });
    at_work.filter_map(|process| Pid::from_raw(process.file_name().to_str()?.parse().ok()?)).collect()
}

/// A helm that was left at work before it wrote its first record: the cluster shows nothing of it. It takes a good
/// moment to catch one, so several are tried.
#[test]
fn a_helm_that_has_written_nothing_yet_is_waited_for() {
    let tries = ["orphan-0", "orphan-1", "orphan-2", "orphan-3", "orphan-4", "orphan-5"];
    assert!(tries.into_iter().any(caught_before_its_record), "no helm was caught in time");
}

/// Whether a helm was caught before it wrote anything; if so, the next run waited for it.
fn caught_before_its_record(name: &'static str) -> bool {
    let small = Small::new(name).release("one", "a", "").locked();
    let mut running = small.platctl().args(["apply", "-e", "site"]).start(small.folder());
    let mut orphans = Vec::new();
    until("helm is started", || {
        orphans = helms(name);
        !orphans.is_empty() || running.ended()
    });
    // In this order: a stopped process whose group loses its parent is hung up by the kernel.
    running.signal(Signal::KILL);
    running.wait().exits(128 + 9);
    let signal = |signal| orphans.iter().all(|pid| kill_process(*pid, signal).is_ok());
    if !signal(Signal::STOP) || !small.states().is_empty() {
        signal(Signal::CONT);
        return false;
    }
    let next = small.folder().join("next");
    fs::create_dir(&next).unwrap();
    let mut running = small.platctl().args(["apply", "-e", "site"]).start(&next);
    let so_far = || read(&next.join("stderr"));
    until("the next run waits, or goes on regardless", || {
        so_far().contains("Waiting") || so_far().contains("✔") || running.ended()
    });
    let waits = so_far().contains("Waiting");
    signal(Signal::CONT);
    let output = running.wait();
    assert!(waits, "it went on while another helm was at work on the same release\n{}", output.screen());
    until("all helms are gone", || helms(name).is_empty());
    let records: Vec<(String, String)> =
        rig().records(name).into_iter().map(|(name, status, _)| (name, status)).collect();
    assert_eq!(records, [("a.v1".to_owned(), "deployed".to_owned())], "{}", output.screen());
    assert_eq!(output.code, 0, "{}", output.screen());
    true
}

#[test]
fn an_interrupt_leaves_nothing_pending() {
    let small = Small::new("interrupted").release("one", "a", "").release("two", "c", "");
    let small = small.locked();
    small.values("a", "behaviour: never-ready\n");
    let mut running = small.platctl().args(["apply", "-e", "site"]).start(small.folder());
    until("helm waits for the pod", || small.states().iter().any(|(_, status)| status == "pending-install"));
    assert!(!running.ended());
    running.signal(Signal::INT);
    let output = running.wait().exits(130);
    assert!(output.stderr.contains("error[E0413]"), "{}", output.screen());
    let states = small.states();
    assert!(states.iter().all(|(_, status)| !status.starts_with("pending")), "{states:?}\n{}", output.screen());
    small.values("a", "replicas: 1\n");
    small.apply().ok();
    assert!(small.states().iter().all(|(_, status)| status == "deployed"), "{:?}", small.states());
}

/// Starts an apply, waits until helm's record says `status`, and kills platctl and helm.
fn kill_both(small: &Small, namespace: &str, status: &str) {
    let running = small.platctl().args(["apply", "-e", "site"]).start(small.folder());
    until("helm waits for the pod", || small.states().iter().any(|(_, found)| found == status));
    running.signal(Signal::KILL);
    running.wait().exits(128 + 9);
    // A helm that ends by itself in between is as good as killed.
    for pid in helms(namespace) {
        let _ = kill_process(pid, Signal::KILL);
    }
    until("helm is gone", || helms(namespace).is_empty());
}

#[test]
fn a_release_left_pending_is_recovered_on_request_alone() {
    let small = Small::new("recovered").release("one", "a", "").locked();
    let apply = |how: &str| small.run(&["apply", "-e", "site", "--recover", how]);
    small.values("a", "behaviour: never-ready\n");
    kill_both(&small, "recovered", "pending-install");
    small.values("a", "replicas: 1\n");
    let refused = small.apply().exits(4);
    assert!(
        refused.stderr.contains("error[E0403]") && refused.stderr.contains("--recover uninstall"),
        "{}",
        refused.screen()
    );
    let refused = apply("rollback").exits(1);
    assert!(refused.stderr.contains("no revision to roll back to"), "{}", refused.screen());
    apply("uninstall").ok();
    assert_eq!(small.states(), [("a".to_owned(), "deployed".to_owned())]);

    small.values("a", "behaviour: never-ready\n");
    kill_both(&small, "recovered", "pending-upgrade");
    small.values("a", "replicas: 1\n");
    let refused = small.apply().exits(4);
    assert!(refused.stderr.contains("--recover rollback"), "{}", refused.screen());
    // Back at the old revision it is what the definition says again.
    let output = apply("rollback").ok();
    assert!(output.stderr.contains("1 unchanged"), "{}", output.screen());
    assert_eq!(small.states(), [("a".to_owned(), "deployed".to_owned())]);
}
