//! The runs of an environment, from the journals that are kept and from what helm's records tell of runs whose journal is
//! gone. Pure.

use std::collections::BTreeMap;

use serde::Serialize;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, PrimitiveDateTime};

use super::journal::{Journal, Outcome, State};
use crate::plan::RunRecord;

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Its name.
    pub run: String,
    /// When it began, RFC 3339 in UTC; read off its name where there is no journal.
    pub began: Option<String>,
    /// When it ended.
    pub ended: Option<String>,
    /// How long it took, in seconds.
    pub seconds: Option<u64>,
    /// What it was; only a journal says it.
    pub verb: Option<String>,
    /// How it ended; only a journal says it.
    pub outcome: Option<Outcome>,
    /// The host it ran on; only a journal says it.
    pub host: Option<String>,
    /// How many releases it changed, by what was done with them.
    pub releases: BTreeMap<String, usize>,
    /// How many releases it did not change as it should.
    pub failed: usize,
    /// It made a revision that is there now.
    pub current: bool,
}

/// Every run, the newest first.
pub fn chronicle(journals: Vec<Journal>, records: BTreeMap<String, RunRecord>, current: &[&str]) -> Vec<Run> {
    let mut runs: BTreeMap<String, Run> = BTreeMap::new();
    for (name, record) in records {
        let counts = [("install", record.installed), ("upgrade", record.upgraded)];
        let releases = counts.into_iter().filter(|(_, n)| *n > 0).map(|(what, n)| (what.to_owned(), n)).collect();
        let run = Run { began: stamp(&name), releases, failed: record.failed, ..Run::named(&name) };
        runs.insert(name, run);
    }
    for journal in journals {
        runs.insert(journal.run.clone(), Run::told(journal));
    }
    let mut runs: Vec<Run> = runs.into_values().rev().collect();
    runs.iter_mut().for_each(|run| run.current = current.contains(&run.run.as_str()));
    runs
}

impl Run {
    fn named(name: &str) -> Run {
        Run {
            run: name.to_owned(),
            began: None,
            ended: None,
            seconds: None,
            verb: None,
            outcome: None,
            host: None,
            releases: BTreeMap::new(),
            failed: 0,
            current: false,
        }
    }

    fn told(journal: Journal) -> Run {
        let mut releases: BTreeMap<String, usize> = BTreeMap::new();
        for entry in journal.releases.iter().filter(|entry| entry.state == State::Done) {
            *releases.entry(entry.action.clone()).or_default() += 1;
        }
        let failed = journal.releases.iter().filter(|entry| entry.state != State::Done).count();
        let time = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
        let took = journal.ended.as_deref().and_then(|ended| Some(time(ended)? - time(&journal.began)?));
        Run {
            began: Some(journal.began),
            ended: journal.ended,
            seconds: took.and_then(|took| u64::try_from(took.whole_seconds()).ok()),
            verb: Some(journal.verb),
            outcome: Some(journal.outcome),
            host: Some(journal.host),
            releases,
            failed,
            ..Run::named(&journal.run)
        }
    }
}

/// When a run began, by its name.
fn stamp(name: &str) -> Option<String> {
    let format = time::macros::format_description!("[year][month][day]-[hour][minute][second]");
    let began = PrimitiveDateTime::parse(name.get(..15)?, &format).ok()?;
    began.assume_utc().format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::journal::Entry;

    #[test]
    fn journals_tell_more_than_records_and_records_go_further_back() {
        let mut journal =
            Journal::begun("20261121-193100-bbbb", "apply", "p", "e", "2026-11-21T19:31:00Z".into(), "node");
        journal.ended = Some("2026-11-21T19:32:30Z".into());
        journal.outcome = Outcome::Failed;
        for (name, action, state) in [
            ("a", "upgrade", State::Done),
            ("b", "remove", State::Done),
            ("c", "upgrade", State::Failed),
            ("d", "install", State::Waiting),
        ] {
            journal.releases.push(Entry { state, ..Entry::waiting(name, "n", action, None) });
        }
        let record = |installed, upgraded| RunRecord { installed, upgraded, failed: 0 };
        let records = BTreeMap::from([
            ("20261121-193000-aaaa".to_owned(), record(2, 0)),
            ("20261121-193100-bbbb".to_owned(), record(0, 1)),
            ("odd".to_owned(), record(1, 1)),
        ]);
        let runs = chronicle(vec![journal], records, &["20261121-193100-bbbb"]);
        let names: Vec<&str> = runs.iter().map(|run| run.run.as_str()).collect();
        assert_eq!(names, ["odd", "20261121-193100-bbbb", "20261121-193000-aaaa"]);
        let told = &runs[1];
        assert_eq!((told.seconds, told.outcome, told.failed, told.current), (Some(90), Some(Outcome::Failed), 2, true));
        assert_eq!(told.releases, BTreeMap::from([("remove".to_owned(), 1), ("upgrade".to_owned(), 1)]));
        assert_eq!(runs[2].began.as_deref(), Some("2026-11-21T19:30:00Z"));
        assert_eq!((runs[2].verb.as_deref(), runs[2].outcome, runs[2].current), (None, None, false));
        assert_eq!(runs[2].releases, BTreeMap::from([("install".to_owned(), 2)]));
        assert_eq!(runs[0].began, None);
    }
}
