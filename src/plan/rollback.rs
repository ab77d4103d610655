//! What `rollback --to RUN` does with each release: it gets the revision that it had when that run was over, as far as
//! helm's history reaches. Must not touch anything.

use std::collections::BTreeMap;

use serde::Serialize;

use super::backward::{BackStep, Deed, Ours, Stage, ours, stages};
use super::{Observation, Revision, Revisions, Selector};
use crate::definition::Definition;

/// Everything one `rollback` will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollback {
    /// Name of the platform.
    pub platform: String,
    /// Name of the environment.
    pub environment: String,
    /// The run whose end is restored.
    pub to: String,
    /// In order.
    pub stages: Vec<Stage>,
    /// Releases that came later, as `namespace/release`: they are left as they are.
    pub later: Vec<String>,
    /// Releases whose revisions of that time helm no longer has.
    pub beyond: Vec<String>,
}

/// What becomes of one release.
enum Way {
    To(Deed),
    Later,
    Beyond,
}

impl Rollback {
    /// What brings the releases that a selector means to where they were when run `to` was over.
    pub fn build(
        definition: &Definition,
        selector: &Selector,
        observed: &Observation,
        revisions: &Revisions,
        to: &str,
    ) -> Rollback {
        let (mut steps, mut later, mut beyond): (Vec<(Ours, BackStep)>, _, _) = (Vec::new(), Vec::new(), Vec::new());
        for ours in ours(definition, observed).into_iter().filter(|ours| ours.is_meant(definition, selector)) {
            let place = (ours.namespace.to_owned(), ours.name.to_owned());
            match way(revisions.releases.get(&place).map_or(&[][..], Vec::as_slice), to) {
                Way::To(deed) => steps.push((ours, ours.step(deed))),
                Way::Later => later.push(format!("{}/{}", ours.namespace, ours.name)),
                Way::Beyond => beyond.push(format!("{}/{}", ours.namespace, ours.name)),
            }
        }
        Rollback {
            platform: definition.environment.platform.clone(),
            environment: definition.environment.name.clone(),
            to: to.to_owned(),
            stages: stages(definition, steps),
            later,
            beyond,
        }
    }

    /// Every step in order.
    pub fn steps(&self) -> impl Iterator<Item = &BackStep> {
        self.stages.iter().flat_map(|stage| &stage.steps)
    }

    /// The steps that do something.
    pub fn changes(&self) -> impl Iterator<Item = &BackStep> {
        self.steps().filter(|step| step.deed != Deed::Unchanged)
    }
}

/// The newest run up to `to` that ended well for the release counts. Of its revisions the first one does: what comes
/// after it under the same name was made by a helm that somebody ran by hand, which keeps labels.
fn way(revisions: &[Revision], to: &str) -> Way {
    let (Some(oldest), Some(newest)) = (revisions.first(), revisions.last()) else { return Way::Later };
    let mut by_run: BTreeMap<&str, &Revision> = BTreeMap::new();
    for revision in revisions.iter().filter(|revision| revision.went_well()) {
        if let Some(run) = revision.run.as_deref().filter(|run| *run <= to) {
            by_run.entry(run).or_insert(revision);
        }
    }
    let Some((run, target)) = by_run.pop_last() else {
        return if oldest.number == 1 { Way::Later } else { Way::Beyond };
    };
    // Another run made the same again, as a rollback does.
    let equal = newest.run.as_deref() != Some(run) && newest.inputs.is_some() && newest.inputs == target.inputs;
    if newest.status == "deployed" && (newest.number == target.number || equal) {
        return Way::To(Deed::Unchanged);
    }
    Way::To(Deed::RollBack { to: target.number, run: run.to_owned(), version: target.version.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Revisions as `number status run inputs`, with blanks between and one a line.
    fn revisions(text: &str) -> Vec<Revision> {
        let one = |line: &str| {
            let parts: Vec<&str> = line.split_whitespace().collect();
            let [number, status, run, inputs] = parts[..] else { panic!("{line}") };
            Revision {
                number: number.parse().unwrap(),
                status: status.to_owned(),
                run: (run != "-").then(|| run.to_owned()),
                version: None,
                inputs: (inputs != "-").then(|| inputs.to_owned()),
            }
        };
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(one).collect()
    }

    fn goes(text: &str, to: &str) -> String {
        match way(&revisions(text), to) {
            Way::To(Deed::RollBack { to, .. }) => format!("to {to}"),
            Way::To(_) => "unchanged".to_owned(),
            Way::Later => "later".to_owned(),
            Way::Beyond => "beyond".to_owned(),
        }
    }

    #[test]
    fn a_release_gets_what_it_had_when_the_run_was_over() {
        let plain = "1 superseded r1 a\n 2 superseded r3 b\n 3 deployed r5 c";
        for (to, expected) in [
            ("r0", "later"),
            ("r1", "to 1"),
            ("r2", "to 1"),
            ("r3", "to 2"),
            ("r4", "to 2"),
            ("r5", "unchanged"),
            ("r9", "unchanged"),
        ] {
            assert_eq!(goes(plain, to), expected, "{to}");
        }
    }

    #[test]
    fn what_failed_was_never_there_and_what_is_broken_now_is_mended() {
        let failed = "1 superseded r1 a\n 2 deployed r2 b\n 3 failed r3 c";
        assert_eq!((goes(failed, "r3"), goes(failed, "r2")), ("to 2".to_owned(), "to 2".to_owned()));
        assert_eq!(goes("1 deployed r1 a\n 2 pending-upgrade r2 b", "r1"), "to 1");
        assert_eq!(goes("1 failed r1 a", "r1"), "later", "it never was there");
    }

    #[test]
    fn a_rollback_is_a_run_of_its_own() {
        let after = "1 superseded r1 a\n 2 superseded r2 b\n 3 deployed r3 a";
        assert_eq!(goes(after, "r1"), "unchanged", "the same again");
        assert_eq!(goes(after, "r2"), "to 2", "and forward");
        assert_eq!(goes(after, "r3"), "unchanged");
    }

    #[test]
    fn a_helm_by_hand_keeps_labels() {
        let by_hand = "1 superseded r1 a\n 2 superseded r2 b\n 3 deployed r2 b";
        assert_eq!(goes(by_hand, "r2"), "to 2");
        assert_eq!(goes(by_hand, "r1"), "to 1");
    }

    #[test]
    fn a_history_that_is_too_short_is_told_from_a_later_release() {
        let long = "11 superseded r11 a\n 12 deployed r12 b";
        assert_eq!((goes(long, "r10"), goes(long, "r11")), ("beyond".to_owned(), "to 11".to_owned()));
        assert_eq!(goes("1 deployed r5 a", "r4"), "later");
        assert_eq!(goes("4 superseded - -\n 5 deployed r5 a", "r4"), "beyond");
    }
}
