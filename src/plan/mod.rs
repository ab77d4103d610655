//! What is to be done, as final data: built by a pure function from the desired state and one observation of the
//! cluster. Must not touch anything; whoever executes it decides nothing.

mod backward;
mod foresee;
mod images;
mod inputs;
mod keeps;
mod labels;
mod observe;
mod overwritten;
mod removal;
mod revisions;
mod rollback;
mod saved;
mod select;
mod taken;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::definition::{Definition, Release, RenderGuard};

pub use backward::{BackStep, Deed, Reason, Stage};
pub use foresee::{Fixed, fixed, foresee, has_install_hooks};
pub use images::image_digests;
pub use inputs::{Decisive, inputs, secrets};
pub use keeps::{Claim, Keeps, own_secrets};
pub use labels::{labels, labels_until_done, object_labels};
pub use observe::{Observation, Observed};
pub use overwritten::{Overwritten, overwritten};
pub use removal::Destruction;
pub use revisions::{Revision, Revisions, RunRecord};
pub use rollback::Rollback;
pub use saved::{Moved, Place, Saved, Seen, UnreadablePlan};
pub use select::{InvalidSelector, Selector};
pub use taken::Taken;

/// Labels on helm's record of a release.
pub mod label {
    /// Name of the platform.
    pub const PLATFORM: &str = "platctl.dev/platform";
    /// Name of the environment.
    pub const ENVIRONMENT: &str = "platctl.dev/environment";
    /// The run that made it.
    pub const RUN: &str = "platctl.dev/run";
    /// Hash of everything that decides it.
    pub const INPUTS: &str = "platctl.dev/inputs";
    /// The tier it was applied in: what is no longer declared is removed in its turn.
    pub const TIER: &str = "platctl.dev/tier";
    /// The release that an object of ours is made for.
    pub const RELEASE: &str = "platctl.dev/release";
    /// Version of its chart.
    pub const CHART_VERSION: &str = "platctl.dev/chart-version";
}

/// Everything one `apply` will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// Name of the platform.
    pub platform: String,
    /// Name of the environment.
    pub environment: String,
    /// Tiers in order.
    pub tiers: Vec<TierPlan>,
    /// Releases with our labels that the definition no longer has, as NAMESPACE/NAME; they are left alone.
    pub undeclared: Vec<String>,
    /// Releases with our labels that the environment switches off; they are left alone too.
    pub switched_off: Vec<String>,
    /// What is removed at the end, when everything else went well.
    pub removals: Vec<Stage>,
    /// What steps take over of what is in the cluster, by release.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub taken: BTreeMap<String, Taken>,
}

/// What is done in one tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TierPlan {
    /// Its name.
    pub name: String,
    /// The next tier waits for this one.
    pub gate: bool,
    /// Its releases.
    pub steps: Vec<Step>,
}

/// What is done with one release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// The release.
    pub release: String,
    /// Its namespace.
    pub namespace: String,
    /// Releases that come first.
    pub needs: Vec<String>,
    /// What is done.
    pub action: Action,
    /// Version of the chart it will have.
    pub version: String,
    /// The hash of everything that decides it.
    pub inputs: String,
    /// Kubernetes Secrets that are made before it, where anything is done with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Why it may render otherwise live than planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<String>,
}

/// What is done with a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Action {
    /// It is as it should be.
    Unchanged,
    /// It is not there.
    Install,
    /// It is there and differs.
    Upgrade {
        /// Version of the chart it has, as far as known.
        from: Option<String>,
        /// Why it is not unchanged.
        because: Because,
    },
    /// It is there and is what it should be, but was made by others: it becomes ours.
    Adopt {
        /// helm's revision of it.
        revision: u64,
    },
    /// It is in a state that must be cleared first.
    Blocked {
        /// Why.
        reason: Blocked,
    },
}

/// Why a release is upgraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Because {
    /// What decides it has changed.
    Inputs,
    /// Somebody's helm upgraded it, or rolled it back, since.
    ByHand,
    /// Its last run did not end well.
    Failed,
    /// The same, and none before it did.
    NeverDeployed,
    /// The same, and it has hooks for the installation alone: it is installed again.
    InstallHooks,
    /// Live objects are not what was installed.
    Drifted,
    /// Others made it, and it becomes ours.
    Adopted,
}

/// Why nothing may be done with a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Blocked {
    /// helm left it in the middle of an operation.
    Pending {
        /// helm's status.
        status: String,
        /// The newest revision that was deployed, if there is one.
        deployed: Option<u64>,
    },
    /// It belongs to somebody else.
    Foreign {
        /// Whose it is, as far as its labels say.
        owner: Option<String>,
    },
}

/// A release with what the lock says of it.
#[derive(Debug, Clone)]
pub struct Desired<'a> {
    /// The release.
    pub release: &'a Release,
    /// Version of its chart.
    pub version: String,
    /// The hash of everything that decides it.
    pub inputs: String,
}

impl Plan {
    /// Compares what is wanted with what is there.
    pub fn build(definition: &Definition, desired: &[Desired<'_>], observed: &Observation) -> Plan {
        let environment = &definition.environment;
        let step = |wanted: &Desired| {
            let Release { name, namespace, needs, secrets, guard, .. } = wanted.release;
            let action = action(observed.get(namespace, name), wanted, &environment.platform, &environment.name);
            let changes = action != Action::Unchanged;
            let live = match guard {
                RenderGuard::Live { reason } => Some(reason.clone()),
                RenderGuard::Strict => None,
            };
            Step {
                release: name.clone(),
                namespace: namespace.clone(),
                needs: needs.clone(),
                action,
                version: wanted.version.clone(),
                inputs: wanted.inputs.clone(),
                secrets: secrets.iter().filter(|_| changes).map(|secret| secret.name.clone()).collect(),
                live: live.filter(|_| changes),
            }
        };
        let tiers = definition.tiers.iter().enumerate().map(|(index, tier)| {
            let steps = desired.iter().filter(|d| d.release.tier == index).map(step).collect();
            TierPlan { name: tier.name.clone(), gate: tier.gate, steps }
        });
        let (undeclared, switched_off) = removal::left_alone(definition, observed);
        Plan {
            platform: environment.platform.clone(),
            environment: environment.name.clone(),
            tiers: tiers.filter(|tier| !tier.steps.is_empty()).collect(),
            undeclared,
            switched_off,
            removals: Vec::new(),
            taken: BTreeMap::new(),
        }
    }

    /// Every step in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.tiers.iter().flat_map(|tier| &tier.steps)
    }

    /// The steps that do something.
    pub fn changes(&self) -> impl Iterator<Item = &Step> {
        self.steps().filter(|step| step.action != Action::Unchanged)
    }

    /// Whether it does nothing at all.
    pub fn is_nothing(&self) -> bool {
        self.changes().next().is_none() && self.removals.is_empty()
    }

    /// The releases that helm upgrades: their charts are told so.
    pub fn upgrades(&self) -> BTreeSet<String> {
        self.upgraded(|because| because != Because::InstallHooks)
    }

    /// Those that are there and were never deployed.
    pub fn never_deployed(&self) -> BTreeSet<String> {
        self.upgraded(|because| because == Because::NeverDeployed)
    }

    fn upgraded(&self, meant: fn(Because) -> bool) -> BTreeSet<String> {
        let upgraded = |step: &&Step| matches!(step.action, Action::Upgrade { because, .. } if meant(because));
        self.steps().filter(upgraded).map(|step| step.release.clone()).collect()
    }

    /// How many steps only give a release our labels.
    pub fn adopted(&self) -> usize {
        self.steps().filter(|step| matches!(step.action, Action::Adopt { .. })).count()
    }

    /// How many steps install, upgrade and leave as it is.
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |wanted: fn(&Action) -> bool| self.steps().filter(|step| wanted(&step.action)).count();
        (
            count(|a| matches!(a, Action::Install)),
            count(|a| matches!(a, Action::Upgrade { .. })),
            count(|a| matches!(a, Action::Unchanged)),
        )
    }
}

fn action(observed: Option<&Observed>, wanted: &Desired, platform: &str, environment: &str) -> Action {
    let Some(observed) = observed.filter(|o| o.status != "uninstalled") else { return Action::Install };
    if !backward::is_ours(observed, platform, environment) {
        let owner = observed
            .label(label::PLATFORM)
            .map(|platform| format!("{platform}/{}", observed.label(label::ENVIRONMENT).unwrap_or("?")));
        return Action::Blocked { reason: Blocked::Foreign { owner } };
    }
    if observed.status.starts_with("pending") || observed.status == "uninstalling" {
        let (status, deployed) = (observed.status.clone(), observed.deployed);
        return Action::Blocked { reason: Blocked::Pending { status, deployed } };
    }
    let from = observed.label(label::CHART_VERSION).map(str::to_owned);
    match (observed.status.as_str(), observed.label(label::INPUTS) == Some(&wanted.inputs)) {
        // What it has is not what its labels say.
        ("deployed", _) if observed.by_hand => Action::Upgrade { from: None, because: Because::ByHand },
        ("deployed", true) => Action::Unchanged,
        ("deployed", false) => Action::Upgrade { from, because: Because::Inputs },
        _ if !observed.ever => Action::Upgrade { from, because: Because::NeverDeployed },
        _ => Action::Upgrade { from, because: Because::Failed },
    }
}

#[cfg(test)]
mod tests;
