//! The journal of a run: what was begun, in which processes, and how it ended. Data and rules here; `recorder` writes
//! it, `published` knows its place in the cluster. It holds no secrets: names, revisions, states and pids.

mod published;
mod recorder;

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::definition::API_VERSION;
use crate::tools::Process;

pub use published::{Shelf, all_published, clear_away, labels, published};
pub use recorder::Recorder;

/// The name of a journal's file in its run's folder.
pub const FILE: &str = "journal.json";

/// What one run did, as its local file and its ConfigMap hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Journal {
    api_version: String,
    /// The run's name. Names sort by time.
    pub run: String,
    /// What was asked for: `apply`, `destroy`, `rollback`, …
    pub verb: String,
    /// Name of the platform.
    pub platform: String,
    /// Name of the environment.
    pub environment: String,
    /// When it began, RFC 3339 in UTC.
    pub began: String,
    /// When it ended.
    #[serde(default)]
    pub ended: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// The host it runs on.
    pub host: String,
    /// Its process.
    pub pid: u32,
    /// What its user asked for, so that it can be resumed.
    #[serde(default)]
    pub asked: Asked,
    /// What it changes.
    #[serde(default)]
    pub releases: Vec<Entry>,
}

/// What the user asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// The selector, as it was given.
    #[serde(default)]
    pub selector: Option<String>,
    /// The verb's own flags that decide what is done, as they would be typed.
    #[serde(default)]
    pub flags: Vec<String>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It is under way, or was killed.
    Running,
    /// Everything was done.
    Done,
    /// Something failed.
    Failed,
    /// The user stopped it.
    Interrupted,
}

/// One release of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The release.
    pub release: String,
    /// Its namespace.
    pub namespace: String,
    /// What is done with it: `install`, `upgrade`, `remove`, `rollback`, …
    pub action: String,
    /// How far that is.
    pub state: State,
    /// helm's process, while it runs.
    #[serde(default)]
    pub pid: Option<u32>,
    /// When that process was started, in ticks since the host was: a pid alone comes back.
    #[serde(default)]
    pub pid_started: Option<u64>,
    /// The longest that helm may be at work on it, in seconds: its timeout for the objects, and again for each hook.
    #[serde(default)]
    pub at_most_seconds: u64,
    /// Its revision when the run was planned; none when it was not there.
    #[serde(default)]
    pub revision_before: Option<u64>,
    /// The code of its failure.
    #[serde(default)]
    pub error: Option<String>,
}

/// How far a release is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Not begun.
    Waiting,
    /// Begun.
    Running,
    /// Done.
    Done,
    /// It failed.
    Failed,
    /// It was left out.
    Skipped,
}

/// Something that is no journal.
#[derive(Debug, thiserror::Error)]
#[error("the journal of run {run} can't be read: {reason}")]
pub struct UnreadableJournal {
    /// The run, as far as known.
    pub run: String,
    /// What is wrong.
    pub reason: String,
}

impl Entry {
    /// A release that waits for its turn.
    pub fn waiting(release: &str, namespace: &str, action: &str, revision_before: Option<u64>) -> Entry {
        Entry {
            release: release.to_owned(),
            namespace: namespace.to_owned(),
            action: action.to_owned(),
            state: State::Waiting,
            pid: None,
            pid_started: None,
            at_most_seconds: 0,
            revision_before,
            error: None,
        }
    }

    /// helm's process, if one was told.
    pub fn process(&self) -> Option<Process> {
        Some(Process { pid: self.pid?, started: self.pid_started? })
    }
}

impl Journal {
    /// A run that begins now.
    pub fn begun(run: &str, verb: &str, platform: &str, environment: &str, began: String, host: &str) -> Journal {
        Journal {
            api_version: API_VERSION.to_owned(),
            run: run.to_owned(),
            verb: verb.to_owned(),
            platform: platform.to_owned(),
            environment: environment.to_owned(),
            began,
            ended: None,
            outcome: Outcome::Running,
            host: host.to_owned(),
            pid: std::process::id(),
            asked: Asked::default(),
            releases: Vec::new(),
        }
    }

    /// Reads what [`Journal::json`] wrote. Keys that a later version added are passed over.
    ///
    /// # Errors
    /// [`UnreadableJournal`] when it is none, or of another version.
    pub fn read(run: &str, json: &str) -> Result<Journal, UnreadableJournal> {
        let unreadable = |reason: String| UnreadableJournal { run: run.to_owned(), reason };
        let journal: Journal = serde_json::from_str(json).map_err(|e| unreadable(e.to_string()))?;
        if journal.api_version != API_VERSION {
            return Err(unreadable(format!("apiVersion is {}, known is {API_VERSION}", journal.api_version)));
        }
        Ok(journal)
    }

    /// Its text, in the file and in the ConfigMap.
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The entry of a release.
    pub fn entry(&mut self, release: &str, namespace: &str) -> Option<&mut Entry> {
        self.releases.iter_mut().find(|entry| entry.release == release && entry.namespace == namespace)
    }

    /// Releases that were begun and have not ended, as far as it says.
    pub fn running(&self) -> impl Iterator<Item = &Entry> {
        self.releases.iter().filter(|entry| entry.state == State::Running)
    }

    /// Whether there is something left of it to do.
    pub fn is_unfinished(&self) -> bool {
        self.outcome != Outcome::Done
    }
}

/// The journal of the run that began last; of two copies of one run the one that knows more.
pub fn newest(journals: impl IntoIterator<Item = Journal>) -> Option<Journal> {
    let knows = |journal: &Journal| {
        let told = |entry: &&Entry| entry.state != State::Waiting;
        let ended = |entry: &&Entry| !matches!(entry.state, State::Waiting | State::Running);
        let count = |known: usize, ended: usize| known + ended;
        let entries =
            count(journal.releases.iter().filter(told).count(), journal.releases.iter().filter(ended).count());
        (journal.run.clone(), journal.outcome != Outcome::Running, entries)
    };
    journals.into_iter().max_by_key(knows)
}

/// A time as journals have it: RFC 3339 in UTC, whole seconds.
pub fn rfc3339(time: SystemTime) -> String {
    let time = time::OffsetDateTime::from(time);
    let (date, clock) = (time.date(), time.time());
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", clock.hour(), clock.minute(), clock.second())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(run: &str) -> Journal {
        let began = "2026-11-21T19:30:00Z".to_owned();
        let mut journal = Journal::begun(run, "apply", "shop", "prod", began, "node-1");
        journal.releases.push(Entry::waiting("a", "n", "install", None));
        journal
    }

    #[test]
    fn a_journal_is_read_as_it_was_written() {
        let mut journal = journal("20261121-193000-abcd");
        journal.entry("a", "n").unwrap().state = State::Running;
        let json = journal.json();
        assert_eq!(Journal::read("r", &json).unwrap(), journal);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["apiVersion"], "platctl.dev/v1");
        assert_eq!(value["outcome"], "running");
        assert_eq!(value["releases"][0]["state"], "running");
        assert_eq!(value["releases"][0]["revisionBefore"], serde_json::Value::Null);
        assert!(Journal::read("r", &json.replace("dev/v1", "dev/v9")).is_err());
        assert!(Journal::read("r", "{}").unwrap_err().to_string().contains("journal of run r"));
    }

    #[test]
    fn the_newest_run_counts_and_of_its_copies_the_one_that_knows_more() {
        let old = journal("20261121-193000-zzzz");
        let stale = journal("20261121-193001-aaaa");
        let mut fresh = stale.clone();
        fresh.releases[0].state = State::Running;
        assert_eq!(newest([old.clone(), fresh.clone(), stale.clone()]), Some(fresh.clone()));
        let mut ended = stale.clone();
        ended.outcome = Outcome::Failed;
        assert_eq!(newest([ended.clone(), fresh, old]), Some(ended));
        assert_eq!(newest([]), None);
    }
}
