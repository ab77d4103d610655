//! platctl, and apart from it its helm, killed at random moments: the next run ends in the right state.

use std::cell::Cell;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::platform::Small;
use crate::rig::signal;
use crate::support::program::until;
use crate::support::{Output, read};

const APPLY: [&str; 3] = ["apply", "-e", "site"];
const RESUME: [&str; 4] = ["apply", "-e", "site", "--resume"];
const RELEASES: [&str; 3] = ["a", "b", "c"];

/// How often each is killed: ten times in CI.
fn rounds() -> u64 {
    std::env::var("PLATCTL_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(10)
}

/// Random numbers from a seed that is printed (splitmix64).
struct Random(Cell<u64>);

impl Random {
    fn new(what: &str) -> Random {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let given = std::env::var("PLATCTL_TEST_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or(u64::try_from(now.as_nanos() % 1_000_000_007).unwrap());
        eprintln!("{what}: PLATCTL_TEST_SEED={seed}");
        Random(Cell::new(seed))
    }

    fn below(&self, limit: u64) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut z = self.0.get();
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit.max(1)
    }
}

/// Three releases in two tiers; each takes helm a second or two.
fn platform(name: String) -> Small {
    let small = Small::new(name.leak()).release("one", "a", "").release("one", "b", "").release("two", "c", "");
    for release in RELEASES {
        small.values(release, "hooks: 1\n");
    }
    small.locked()
}

/// Every third round installs, the others upgrade what is there.
fn next_round(small: &mut Option<Small>, what: &str, round: u64) {
    if round.is_multiple_of(3) {
        *small = Some(platform(format!("{what}-{round}")));
    } else if let Some(small) = small {
        for release in RELEASES {
            small.values(release, &format!("hooks: 1\nreplicas: {}\n", 1 + round % 3));
        }
    }
}

/// What came after it is right: nothing is pending, and nothing is left to do.
fn is_right(small: &Small, seen: &str) {
    small.is_well(&RELEASES, seen);
    let again = small.run(&APPLY).ok();
    assert!(again.stderr.contains("3 unchanged"), "{seen}\n{}", again.screen());
    let resumed = small.run(&RESUME).ok();
    assert!(resumed.stderr.contains("nothing: run"), "{seen}\n{}", resumed.screen());
}

#[test]
fn platctl_is_killed_at_random_moments() {
    let random = Random::new("platctl killed");
    let (mut small, mut whole) = (None, Duration::from_secs(4));
    for round in 0..rounds() {
        next_round(&mut small, "killed", round);
        let small = small.as_ref().unwrap();
        let begun = Instant::now();
        let mut running = small.platctl().args(APPLY).start(small.folder());
        let moment = Duration::from_millis(random.below(u64::try_from(whole.as_millis()).unwrap()));
        while begun.elapsed() < moment && !running.ended() {
            std::thread::sleep(Duration::from_millis(5));
        }
        if running.ended() {
            whole = begun.elapsed();
        }
        running.signal(Signal::KILL);
        let killed = running.wait();
        let next = small.run(&RESUME);
        let seen = format!("round {round}, killed after {moment:?}:\n{}\nthen:\n{}", killed.screen(), next.screen());
        assert_eq!(next.code, 0, "{seen}");
        // Killed before it had begun anything, there was nothing to resume.
        if next.stderr.contains("nothing:") {
            small.run(&APPLY).ok();
        }
        is_right(small, &seen);
        eprintln!("{}", summary(round, moment, &next));
    }
}

/// The helm of a release is killed; platctl lives, and says so.
#[test]
fn a_helm_is_killed_at_random_moments() {
    let random = Random::new("helm killed");
    let mut small = None;
    for round in 0..rounds() {
        next_round(&mut small, "helm-killed", round);
        let small = small.as_ref().unwrap();
        let mut running = small.platctl().args(APPLY).start(small.folder());
        until("helm is at work", || !small.helms().is_empty() || running.ended());
        let moment = Duration::from_millis(random.below(2500));
        std::thread::sleep(moment);
        let helms = small.helms();
        if !helms.is_empty() {
            signal(helms[usize::try_from(random.below(helms.len() as u64)).unwrap()], Signal::KILL);
        }
        let killed = running.wait();
        let pending = small.states().iter().any(|(_, status)| status.starts_with("pending"));
        let seen = format!("round {round}, helm killed after {moment:?}:\n{}", killed.screen());
        if pending {
            assert!(killed.code == 1 && killed.stderr.contains("error[E0453]"), "{seen}");
            assert!(killed.stderr.contains("--resume"), "{seen}");
            // Never silently.
            let refused = small.run(&APPLY);
            assert!(refused.code == 4 && refused.stderr.contains("error[E0403]"), "{seen}\n{}", refused.screen());
        }
        let next = small.run(&RESUME);
        let seen = format!("{seen}\nthen:\n{}", next.screen());
        assert_eq!(next.code, 0, "{seen}");
        is_right(small, &seen);
        eprintln!("{}{}", summary(round, moment, &next), if pending { ", left pending" } else { "" });
    }
}

fn summary(round: u64, moment: Duration, next: &Output) -> String {
    let told = next.stderr.lines().next().unwrap_or_default().trim();
    format!("round {round}, after {moment:?}: {told}")
}

/// The same, where the helm of the killed run is killed too: what it left is put right by `--resume`, or as is asked.
#[test]
fn both_are_killed() {
    let small = Small::new("both-killed").release("one", "a", "").release("one", "b", "").locked();
    small.values("a", "behaviour: never-ready\n");
    for (how, status) in [("--resume", "pending-install"), ("--recover=unlock", "pending-upgrade")] {
        let running = small.platctl().args(["apply", "-e", "site", "-l", "name=a"]).start(small.folder());
        until("helm waits", || small.states().iter().any(|(_, found)| found == status));
        running.signal(Signal::KILL);
        running.wait().exits(128 + 9);
        small.helms().into_iter().for_each(|pid| signal(pid, Signal::KILL));
        until("helm is gone", || small.helms().is_empty());
        small.values("a", "replicas: 1\n");
        let output = small.run(&["apply", "-e", "site", how]).ok();
        assert!(output.stderr.contains("is marked as failed"), "{}", output.screen());
        if how == "--resume" {
            // It has the selection that it had.
            assert!(output.stderr.contains("in the middle of: a"), "{}", output.screen());
            small.is_well(&["a"], &output.screen());
        } else {
            small.is_well(&["a", "b"], &output.screen());
        }
        small.values("a", "behaviour: never-ready\n");
    }
    let refused = small.run(&["apply", "-e", "site", "--resume", "-l", "name=a"]).exits(64);
    assert!(refused.stderr.contains("has the selection that it had"), "{}", refused.screen());
    let journals = read_journals(&small);
    assert!(journals.iter().all(|journal| !journal.contains("\"running\"")) || journals.len() > 1, "{journals:?}");
}

/// The journals that the cluster has of this platform.
fn read_journals(small: &Small) -> Vec<String> {
    let selector = format!("--selector=platctl.dev/platform={}", small.name);
    let list = small.rig().get(&["configmaps", "--namespace=platctl-system", &selector]);
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| item["data"]["journal"].as_str().unwrap().to_owned()).collect()
}

/// What a journal says of a run that went well.
#[test]
fn a_journal_tells_what_was_done() {
    let small = Small::new("journal").release("one", "a", "").locked();
    small.apply().ok();
    small.values("a", "replicas: 2\n");
    small.apply().ok();
    let journals: Vec<serde_json::Value> =
        read_journals(&small).iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    assert_eq!(journals.len(), 2);
    let last = journals.iter().max_by_key(|journal| journal["run"].as_str().unwrap().to_owned()).unwrap();
    assert_eq!((&last["outcome"], &last["verb"]), (&"done".into(), &"apply".into()));
    let entry = &last["releases"][0];
    assert_eq!(entry["action"], "upgrade");
    assert_eq!((&entry["state"], &entry["revisionBefore"], &entry["pid"]), (&"done".into(), &1.into(), &().into()));
    let cache = small.rig().cache().join("runs");
    let left: Vec<String> =
        std::fs::read_dir(&cache).unwrap().flatten().map(|f| f.file_name().into_string().unwrap()).collect();
    let run = last["run"].as_str().unwrap();
    assert!(!left.iter().any(|name| name.contains(run)), "a run that ended well leaves no folder: {left:?}");
    let lease = small.rig().get(&["leases", "platctl-journal-site", "--namespace=platctl-system"]);
    assert_eq!(lease["spec"]["holderIdentity"], "");
    assert!(read(&small.path("environments/site/environment.yaml")).contains("journal"));
}
