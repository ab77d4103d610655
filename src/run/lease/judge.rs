//! Whether a lease may be taken over. Pure: what is known of the holder comes in, and what to do goes out.

use std::time::Duration;

use super::Holder;
use crate::plan::{Observation, label};
use crate::run::journal::{Journal, State};
use crate::tools::{Host, Process};

/// The shortest time that a helm is given, whatever its release says.
const SHORTEST: Duration = Duration::from_secs(60);

/// How it stands with a holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is at work on this host.
    AtWork,
    /// It and its helms are gone: the lease may be taken.
    Gone,
    /// It is gone; helms that it started on this host are not.
    Orphans,
    /// This host can't tell: the lease must be watched.
    Elsewhere,
}

/// How it stands with a holder, as far as this host can tell.
pub fn standing(holder: &Holder, here: &Host, alive: &dyn Fn(&Process) -> bool, children: bool) -> Standing {
    if !here.sees(&holder.host) {
        return Standing::Elsewhere;
    }
    match (alive(&holder.process), children) {
        (true, _) => Standing::AtWork,
        (false, true) => Standing::Orphans,
        (false, false) => Standing::Gone,
    }
}

/// The releases of a platform's environment that helm is, or was left, in the middle of.
pub(super) fn pending(observed: &Observation, platform: &str, environment: &str) -> Vec<String> {
    let ours = observed.iter().filter(|(_, _, o)| {
        o.label(label::PLATFORM) == Some(platform) && o.label(label::ENVIRONMENT) == Some(environment)
    });
    let pending = ours.filter(|(_, _, o)| o.status.starts_with("pending") || o.status == "uninstalling");
    pending.map(|(_, name, _)| name.to_owned()).collect()
}

/// How long a helm of a run may be at work. The journal in the cluster may be some seconds old: a release that waits in
/// it may have been begun since.
pub(super) fn longest(journal: &Journal) -> Duration {
    let open = journal.releases.iter().filter(|entry| matches!(entry.state, State::Running | State::Waiting));
    open.map(|entry| Duration::from_secs(entry.at_most_seconds)).max().unwrap_or_default().max(SHORTEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::journal::Entry;

    fn host(boot: &str) -> Host {
        Host { name: "a".into(), boot: boot.into(), pids: "pid:[1]".into(), user: 7 }
    }

    fn holder() -> Holder {
        Holder { host: host("b"), process: Process { pid: 41, started: 9 }, run: "r".into(), verb: "apply".into() }
    }

    #[test]
    fn who_may_be_followed() {
        let cases = [
            (host("b"), true, false, Standing::AtWork),
            (host("b"), true, true, Standing::AtWork),
            (host("b"), false, true, Standing::Orphans),
            (host("b"), false, false, Standing::Gone),
            // The same machine after a reboot, a container beside it, another user: its pids are not ours to judge.
            (host("c"), false, false, Standing::Elsewhere),
            (Host { pids: "pid:[2]".into(), ..host("b") }, false, false, Standing::Elsewhere),
            (Host { user: 8, ..host("b") }, false, false, Standing::Elsewhere),
        ];
        for (here, alive, children, expected) in cases {
            assert_eq!(standing(&holder(), &here, &|_| alive, children), expected, "{here:?} {alive} {children}");
        }
    }

    #[test]
    fn a_pid_that_came_back_is_no_holder() {
        let own = Process::own().unwrap();
        let real = |process: &Process| process.is_alive();
        let held = Holder { process: own, ..holder() };
        assert_eq!(standing(&held, &host("b"), &real, false), Standing::AtWork);
        let before = Holder { process: Process { started: own.started - 1, ..own }, ..holder() };
        assert_eq!(standing(&before, &host("b"), &real, false), Standing::Gone);
    }

    #[test]
    fn only_our_own_releases_in_the_middle_of_something_count() {
        let row = |name: &str, status: &str, platform: &str| {
            format!(
                "n s t 1 5m name={name},owner=helm,status={status},version=1,platctl.dev/platform={platform},platctl.dev/environment=e\n"
            )
        };
        let table = [row("a", "pending-upgrade", "p"), row("b", "deployed", "p"), row("c", "uninstalling", "p")];
        let table = table.concat() + &row("d", "pending-install", "q");
        assert_eq!(pending(&Observation::parse(&table), "p", "e"), ["a", "c"]);
    }

    #[test]
    fn what_has_ended_does_not_count_for_how_long_a_helm_may_work() {
        let entry =
            |seconds, state| Entry { at_most_seconds: seconds, state, ..Entry::waiting("a", "n", "install", None) };
        let mut journal = Journal::begun("r", "apply", "p", "e", String::new(), "h");
        journal.releases = vec![entry(900, State::Done), entry(300, State::Running), entry(400, State::Waiting)];
        assert_eq!(longest(&journal), Duration::from_secs(400));
        journal.releases.truncate(1);
        assert_eq!(longest(&journal), SHORTEST);
    }
}
