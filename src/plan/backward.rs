//! What is taken away or taken back, as final data: stages in reverse order of the tiers, and in each the releases with
//! what they need, which comes after them. Must not touch anything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::observe::{Observation, Observed};
use super::{Selector, label};
use crate::definition::{Definition, Release};

/// One stage: a tier, gone through before the tiers below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    /// The tier; none for releases of which nobody knows it any more.
    pub tier: Option<String>,
    /// The tiers above wait for this one when they are applied: when something of theirs is still there, this one is left.
    pub gate: bool,
    /// Its releases.
    pub steps: Vec<BackStep>,
}

/// What is done with one release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackStep {
    /// The release.
    pub release: String,
    /// Its namespace.
    pub namespace: String,
    /// Releases that it needs, as far as known: they come after it.
    pub needs: Vec<String>,
    /// helm's status.
    pub status: String,
    /// Its newest revision.
    pub revision: u64,
    /// Version of its chart, as far as known.
    pub version: Option<String>,
    /// What is done.
    pub deed: Deed,
}

/// What is done with a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Deed {
    /// It is removed.
    Remove {
        /// Why.
        because: Reason,
    },
    /// It gets what an earlier revision had.
    RollBack {
        /// The revision.
        to: u64,
        /// The run that made it.
        run: String,
        /// The version of its chart.
        version: Option<String>,
    },
    /// It has that already.
    Unchanged,
}

/// Why a release is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The definition no longer has it.
    Undeclared,
    /// The environment switches it off.
    SwitchedOff,
    /// It was asked for.
    Asked,
}

impl BackStep {
    /// `namespace/release`: what tells it from every other.
    pub fn id(&self) -> String {
        format!("{}/{}", self.namespace, self.release)
    }
}

/// A release that is ours by its labels, and what the definition says of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ours<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    pub observed: &'a Observed,
    pub declared: Option<&'a Release>,
}

/// Every release with exactly our labels.
pub(super) fn ours<'a>(definition: &'a Definition, observed: &'a Observation) -> Vec<Ours<'a>> {
    let environment = &definition.environment;
    let declared: BTreeMap<(&str, &str), &Release> =
        definition.releases.iter().map(|r| ((r.namespace.as_str(), r.name.as_str()), r)).collect();
    observed
        .iter()
        .filter(|(_, _, o)| is_ours(o, &environment.platform, &environment.name) && o.status != "uninstalled")
        .map(|(namespace, name, observed)| {
            let declared = declared.get(&(namespace, name)).copied();
            Ours { namespace, name, observed, declared }
        })
        .collect()
}

/// Whether labels are exactly those of an environment.
pub(super) fn is_ours(observed: &Observed, platform: &str, environment: &str) -> bool {
    observed.label(label::PLATFORM) == Some(platform) && observed.label(label::ENVIRONMENT) == Some(environment)
}

impl Ours<'_> {
    /// Its tier: what the definition says, else what helm's record does.
    pub fn tier<'d>(&'d self, definition: &'d Definition) -> Option<&'d str> {
        let declared = self.declared.map(|release| definition.tiers[release.tier].name.as_str());
        declared.or_else(|| self.observed.label(label::TIER))
    }

    /// Whether a selector means it.
    pub fn is_meant(&self, definition: &Definition, selector: &Selector) -> bool {
        selector.means(self.tier(definition), self.name)
    }

    pub fn step(&self, deed: Deed) -> BackStep {
        BackStep {
            release: self.name.to_owned(),
            namespace: self.namespace.to_owned(),
            needs: self.declared.map(|release| release.needs.clone()).unwrap_or_default(),
            status: self.observed.status.clone(),
            revision: self.observed.revision,
            version: self.observed.label(label::CHART_VERSION).map(str::to_owned),
            deed,
        }
    }
}

/// Steps in stages: first those whose tier nobody knows any more, because nothing that is declared can need them; then the
/// last tier, and the first one at the end.
pub(super) fn stages<'a>(definition: &Definition, steps: impl IntoIterator<Item = (Ours<'a>, BackStep)>) -> Vec<Stage> {
    let mut by_tier: BTreeMap<Option<usize>, Vec<BackStep>> = BTreeMap::new();
    let index: BTreeMap<&str, usize> =
        definition.tiers.iter().enumerate().map(|(index, tier)| (tier.name.as_str(), index)).collect();
    for (ours, step) in steps {
        let tier = ours.tier(definition).and_then(|tier| index.get(tier).copied());
        by_tier.entry(tier).or_default().push(step);
    }
    let unknown = by_tier.remove(&None).map(|steps| Stage { tier: None, gate: true, steps });
    let known = by_tier.into_iter().rev().filter_map(|(tier, steps)| {
        let tier = &definition.tiers[tier?];
        Some(Stage { tier: Some(tier.name.clone()), gate: tier.gate, steps })
    });
    unknown.into_iter().chain(known).collect()
}
