//! Every revision of every release that helm still knows, and the runs that made them, read off the labels of helm's
//! records. Must not touch anything.

use std::collections::{BTreeMap, BTreeSet};

use super::observe::{self, Observed};
use super::{Selector, backward, label};
use crate::definition::Definition;

/// One revision of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Its number.
    pub number: u64,
    /// helm's status.
    pub status: String,
    /// The run that made it.
    pub run: Option<String>,
    /// Version of its chart.
    pub version: Option<String>,
    /// The hash of everything that decided it.
    pub inputs: Option<String>,
}

impl Revision {
    /// Whether it was, or is, what the cluster has.
    pub fn went_well(&self) -> bool {
        matches!(self.status.as_str(), "deployed" | "superseded")
    }
}

/// All revisions of the releases of an environment.
#[derive(Debug, Clone, Default)]
pub struct Revisions {
    /// By namespace and release, the oldest first; never empty.
    pub releases: BTreeMap<(String, String), Vec<Revision>>,
    tiers: BTreeMap<(String, String), Option<String>>,
}

/// What helm's records tell of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunRecord {
    /// First revisions that it made.
    pub installed: usize,
    /// Later ones.
    pub upgraded: usize,
    /// Those that did not go well, in either.
    pub failed: usize,
}

impl Revisions {
    /// Reads a table of records; only releases whose newest record has exactly our labels count.
    pub fn parse(table: &str, definition: &Definition) -> Revisions {
        let environment = &definition.environment;
        let mut found: BTreeMap<(String, String), BTreeMap<u64, Observed>> = BTreeMap::new();
        for (place, record) in observe::records(table) {
            found.entry(place).or_default().insert(record.revision, record);
        }
        let mut revisions = Revisions::default();
        let declared: BTreeMap<(&str, &str), usize> =
            definition.releases.iter().map(|r| ((r.namespace.as_str(), r.name.as_str()), r.tier)).collect();
        for (place, records) in found {
            let Some(newest) = records.values().next_back() else { continue };
            if !backward::is_ours(newest, &environment.platform, &environment.name) || newest.status == "uninstalled" {
                continue;
            }
            let tier = declared.get(&(place.0.as_str(), place.1.as_str())).map(|index| &definition.tiers[*index].name);
            let tier = tier.cloned().or_else(|| newest.label(label::TIER).map(str::to_owned));
            revisions.tiers.insert(place.clone(), tier);
            revisions.releases.insert(place, records.into_values().map(revision).collect());
        }
        revisions
    }

    /// Those of the releases that a selector means.
    pub fn selected(mut self, selector: &Selector) -> Revisions {
        let tiers = &self.tiers;
        self.releases.retain(|place, _| {
            let tier = tiers.get(place).and_then(Option::as_deref);
            selector.means(tier, &place.1)
        });
        self
    }

    /// What the records tell of runs, by their names, which sort by time.
    pub fn runs(&self) -> BTreeMap<String, RunRecord> {
        let mut runs: BTreeMap<String, RunRecord> = BTreeMap::new();
        for revision in self.releases.values().flatten() {
            let Some(run) = &revision.run else { continue };
            let record = runs.entry(run.clone()).or_default();
            *(if revision.number == 1 { &mut record.installed } else { &mut record.upgraded }) += 1;
            record.failed += usize::from(!revision.went_well());
        }
        runs
    }

    /// The names of the runs that made what is there now.
    pub fn current(&self) -> BTreeSet<&str> {
        self.releases.values().filter_map(|all| all.last()?.run.as_deref()).collect()
    }
}

fn revision(record: Observed) -> Revision {
    let text = |key: &str| record.label(key).map(str::to_owned);
    Revision {
        number: record.revision,
        run: text(label::RUN),
        version: text(label::CHART_VERSION),
        inputs: text(label::INPUTS),
        status: record.status,
    }
}
