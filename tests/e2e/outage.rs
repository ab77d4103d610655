//! The API server or etcd gone in the middle of a run: that run, or the one that resumes it, ends in the right state.

use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::Signal;

use crate::platform::Small;
use crate::rig::{Rig, signal};
use crate::support::program::until;
use crate::support::read;

const APPLY: [&str; 3] = ["apply", "-e", "site"];

/// A rig of its own: others' tests want theirs to stay.
static RIG: OnceLock<Rig> = OnceLock::new();

fn is_ready(rig: &Rig) -> bool {
    rig.tool("kubectl", &["get", "--raw=/readyz", "--request-timeout=2s"]).is_ok()
}

/// Three releases, the first two at the same time.
fn platform(rig: &'static Rig, name: &'static str) -> Small {
    let small = Small::on(rig, name).release("one", "a", "").release("one", "b", "").release("two", "c", "");
    for release in ["a", "b", "c"] {
        small.values(release, "hooks: 3\n");
    }
    small.locked()
}

/// What a run may say of a release when the API server was gone: helm missed the end of what it waited for, an object or a
/// hook, and waited until its time was over; or it could not write how it ended. Everything else is tried again.
fn is_of_the_outage(line: &str) -> bool {
    let missed = line.starts_with("error[E0441]") && line.ends_with(" did not end");
    missed || line.starts_with("error[E0412]") || line.starts_with("error[E0453]")
}

/// Something happens to the cluster once helms are at work for a moment; what the run said, and the one that resumed it.
fn disturbed(small: &Small, moment: Duration, fault: impl FnOnce(&Rig)) -> String {
    let rig = small.rig();
    let mut running = small.platctl().args(APPLY).start(small.folder());
    let so_far = || read(&small.folder().join("stderr"));
    until("helm is at work", || !small.helms().is_empty() || running.ended());
    assert!(!running.ended(), "it ended before anything happened\n{}", so_far());
    std::thread::sleep(moment);
    fault(rig);
    until("the API server is back", || is_ready(rig));
    let output = running.wait();
    let mut seen = output.screen();
    let codes: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("error[")).collect();
    if output.code != 0 {
        assert_eq!(output.code, 1, "{seen}");
        assert!(!codes.is_empty() && codes.iter().all(|line| is_of_the_outage(line)), "{seen}");
        let next = small.run(&["apply", "-e", "site", "--resume"]);
        seen = format!("{seen}\nthen:\n{}", next.screen());
        assert_eq!(next.code, 0, "{seen}");
    }
    small.is_well(&["a", "b", "c"], &seen);
    let again = small.run(&APPLY).ok();
    assert!(again.stderr.contains("3 unchanged"), "{seen}\n{}", again.screen());
    eprintln!("{}: exit {} {codes:?}", small.name, output.code);
    seen
}

#[test]
fn the_api_server_or_etcd_is_gone_for_a_while() {
    let rig = RIG.get_or_init(Rig::start);
    let ten = Duration::from_secs(10);
    let small = platform(rig, "gone-install");
    disturbed(&small, Duration::from_millis(700), |rig| rig.restart("kube-apiserver", ten));

    let small = platform(rig, "gone-upgrade");
    small.apply().ok();
    let change = |replicas: u32| {
        ["a", "b", "c"].iter().for_each(|name| small.values(name, &format!("hooks: 3\nreplicas: {replicas}\n")));
    };
    change(2);
    disturbed(&small, Duration::from_millis(1200), |rig| rig.restart("kube-apiserver", ten));
    // It does not answer, but takes connections.
    change(3);
    disturbed(&small, Duration::from_millis(900), |rig| {
        let pid = rig.pid("kube-apiserver");
        signal(pid, Signal::STOP);
        std::thread::sleep(ten);
        signal(pid, Signal::CONT);
    });
    change(1);
    disturbed(&small, Duration::from_millis(900), |rig| rig.restart("etcd", Duration::ZERO));
}
