//! Which host this is, and whether a process is still there: what it takes to tell that a run is over without asking
//! it. Must not end any process.

use std::fmt;
use std::fs;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

/// Where pids mean the same processes: one boot of one kernel, and one namespace of pids in it. Containers share the
/// boot, and clones of a machine its `machine-id`; neither shares both of these.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Host {
    /// The host's name, for people.
    pub name: String,
    /// The boot's identity.
    pub boot: String,
    /// The namespace of its pids.
    pub pids: String,
    /// The user: where `/proc` shows nobody else's processes, another user's can't be looked at.
    pub user: u32,
}

/// A process that can't be mistaken for a later one of its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it was started, in ticks since the host was.
    pub started: u64,
}

impl Host {
    /// This one.
    pub fn here() -> Host {
        let line = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let pids = fs::read_link("/proc/self/ns/pid").map(|link| link.to_string_lossy().into_owned());
        Host {
            name: line("/proc/sys/kernel/hostname"),
            boot: line("/proc/sys/kernel/random/boot_id"),
            pids: pids.unwrap_or_default(),
            user: rustix::process::geteuid().as_raw(),
        }
    }

    /// Whether this host can tell what became of the processes of that one.
    pub fn sees(&self, other: &Host) -> bool {
        let known = !self.boot.is_empty() && !self.pids.is_empty();
        known && self.boot == other.boot && self.pids == other.pids && (self.user == other.user || self.user == 0)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.name.is_empty() { "unknown" } else { &self.name })
    }
}

impl Process {
    /// The process of that number, if there is one that has not ended.
    pub fn of(pid: u32) -> Option<Process> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Process { pid, started: started(&stat)? })
    }

    /// This one.
    pub fn own() -> Option<Process> {
        Process::of(std::process::id())
    }

    /// Whether it is still there. One that nobody has buried yet has ended.
    pub fn is_alive(&self) -> bool {
        match fs::read_to_string(format!("/proc/{}/stat", self.pid)) {
            Ok(stat) => started(&stat) == Some(self.started),
            // What can't be looked at may be alive.
            Err(_) => exists(self.pid),
        }
    }
}

fn exists(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}

/// The time of start out of `/proc/PID/stat` (proc(5): field 22), none for a process that has ended. The name in
/// brackets may hold anything, brackets too.
fn started(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let ended = matches!(fields.first(), Some(&"Z" | &"X" | &"x"));
    if ended { None } else { fields.get(19)?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_a_later_one_of_its_number() {
        let own = Process::own().unwrap();
        assert!(own.is_alive());
        assert!(!Process { started: own.started + 1, ..own }.is_alive());
        assert!(!Process { pid: u32::try_from(i32::MAX).unwrap(), started: 1 }.is_alive());
    }

    #[test]
    fn names_hold_anything_and_the_dead_do_not_count() {
        let rest = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20";
        assert_eq!(started(&format!("7 (a) S (b) R {rest}")), Some(777));
        assert_eq!(started(&format!("7 (a) Z {rest}")), None);
        assert_eq!(started("7"), None);
    }

    #[test]
    fn only_processes_of_the_same_boot_and_namespace_are_seen() {
        let here = Host { name: "a".into(), boot: "b".into(), pids: "pid:[1]".into(), user: 7 };
        assert!(here.sees(&Host { name: "renamed".into(), ..here.clone() }));
        for other in [
            Host { boot: "c".into(), ..here.clone() },
            Host { pids: "pid:[2]".into(), ..here.clone() },
            Host { user: 8, ..here.clone() },
        ] {
            assert!(!here.sees(&other), "{other:?}");
        }
        assert!(Host { user: 0, ..here.clone() }.sees(&here));
        assert!(!Host::default().sees(&Host::default()));
        assert!(Host::here().sees(&Host::here()));
    }
}
