//! Revisions that somebody else made of a release between the plan and what a run made of it: what they installed is
//! overwritten. Reads the table of helm's records. Pure.

use std::collections::BTreeMap;

use super::{label, observe};

/// A release and the revisions of somebody else that a run has overwritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overwritten {
    /// Its namespace.
    pub namespace: String,
    /// The release.
    pub release: String,
    /// Their numbers, the oldest first.
    pub revisions: Vec<u64>,
}

/// The revisions of one release since it was planned.
#[derive(Default)]
struct Since {
    ours: Vec<u64>,
    theirs: Vec<u64>,
}

/// What a run has overwritten of releases that were at these revisions when it was planned, by namespace and name.
pub fn overwritten(table: &str, planned: &BTreeMap<(String, String), Option<u64>>, run: &str) -> Vec<Overwritten> {
    let mut made: BTreeMap<(String, String), Since> = BTreeMap::new();
    for (place, record) in observe::records(table) {
        let Some(before) = planned.get(&place) else { continue };
        if record.revision > before.unwrap_or(0) {
            let since = made.entry(place).or_default();
            let is_ours = record.label(label::RUN) == Some(run);
            if is_ours { &mut since.ours } else { &mut since.theirs }.push(record.revision);
        }
    }
    let of_release = |((namespace, release), Since { ours, mut theirs })| {
        let last = ours.into_iter().max()?;
        theirs.retain(|revision| *revision < last);
        theirs.sort_unstable();
        (!theirs.is_empty()).then_some(Overwritten { namespace, release, revisions: theirs })
    };
    made.into_iter().filter_map(of_release).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_between_plan_and_run_is_overwritten() {
        let row = |revision: u64, run: &str| {
            format!("n s t 1 5m name=a,owner=helm,status=superseded,version={revision},{run}\n")
        };
        let ours = "platctl.dev/run=now";
        let planned = |revision| BTreeMap::from([(("n".to_owned(), "a".to_owned()), revision)]);
        let found = |rows: &[String], before| {
            let found = overwritten(&rows.concat(), &planned(before), "now");
            found.into_iter().flat_map(|found| found.revisions).collect::<Vec<_>>()
        };
        let rows = [row(3, "platctl.dev/run=old"), row(5, "x=y"), row(4, "x=y"), row(6, ours), row(7, "x=y")];
        assert_eq!(found(&rows, Some(3)), [4, 5], "what came later is theirs to know");
        assert_eq!(found(&rows[..3], Some(3)), [0; 0], "this run made none");
        assert_eq!(found(&[row(4, ours), row(5, ours)], Some(3)), [0; 0], "a second try of its own");
        assert_eq!(found(&[row(1, "x=y"), row(2, ours)], None), [1]);
        assert_eq!(found(&[row(1, ours)], Some(4)), [0; 0], "it was installed again from nothing");
        let other = row(4, "x=y").replace("name=a", "name=b");
        assert_eq!(found(&[other, row(4, ours)], Some(3)), [0; 0]);
    }
}
