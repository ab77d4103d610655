//! A plan in a file: what is to be done, what was found in the cluster, what each changing release renders, and what it
//! all was made from; and whether that still holds. Holds no secret: what is hashed was rendered with tokens. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Action, Because, Observation, Observed, Plan, Step, TierPlan, label};
use crate::definition::{API_VERSION, Definition, LOCK_PATH, Tree};
use crate::digest::{Digest, Hasher};
use crate::render::{Expected, Salt};

/// What the file says that it is.
const KIND: &str = "Plan";
/// The version of the file's content.
const FORMAT: u64 = 1;

/// A plan with everything that has to hold when it is applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Saved {
    /// What is to be done.
    pub plan: Plan,
    /// The releases that were meant, as `-l` takes them; all, when none.
    pub selector: Option<String>,
    /// What it was made from.
    pub place: Place,
    /// What was found of each release of the plan.
    pub seen: Vec<Seen>,
    /// What the hashes are made with.
    pub salt: Salt,
    /// What changing releases render with tokens in place of secrets; those that may render otherwise live are left out.
    pub expected: BTreeMap<String, Expected>,
}

/// What a plan is made from and for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Place {
    /// Uid of the cluster's namespace kube-system.
    pub cluster: String,
    /// The bundle's index.
    pub bundle: Option<Digest>,
    /// The definition's files, without those of other environments and without the lock.
    pub definition: Digest,
    /// The lock.
    pub lock: Digest,
}

/// What was found of a release; nothing, when it was not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Seen {
    /// The release.
    pub release: String,
    /// Its namespace.
    pub namespace: String,
    /// helm's revision.
    pub revision: Option<u64>,
    /// helm's status.
    pub status: Option<String>,
    /// The hash of what decided it.
    pub inputs: Option<String>,
}

/// A file that holds no plan to apply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadablePlan {
    /// It is something else.
    #[error("it is no plan")]
    NoPlan,
    /// It was saved by another platctl.
    #[error("it was saved by platctl {saved}, and this is {own}")]
    OtherPlatctl {
        /// The one that saved it.
        saved: String,
        /// This one.
        own: String,
    },
    /// Something of it was changed or lost.
    #[error("it is damaged, or was changed by hand")]
    Damaged,
}

/// Something that is no longer as it was when a plan was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    /// It is for something else.
    Place {
        /// What: `environment`, `cluster`, `bundle` …
        what: &'static str,
        /// What it was made for.
        then: String,
        /// What is at hand.
        now: String,
    },
    /// A release is decided by something else, or there is one more or less.
    Inputs {
        /// The release.
        release: String,
        /// How.
        how: &'static str,
    },
    /// A release in the cluster is another, or in another state.
    Cluster {
        /// The release.
        release: String,
        /// What was found then: `revision 3, deployed`.
        then: String,
        /// What is found now.
        now: String,
    },
    /// Something else would be done now.
    Steps,
}

impl Place {
    /// What a plan of a definition is made from.
    pub fn new(cluster: String, bundle: Option<Digest>, tree: &Tree, definition: &Definition) -> Place {
        let environment = &definition.environment;
        let names = [environment.layers.as_slice(), std::slice::from_ref(&environment.name)].concat();
        let mut hasher = Hasher::default();
        for (path, bytes) in tree.for_environments(&names).iter().filter(|(path, _)| *path != LOCK_PATH) {
            hasher.update(format!("{} {path}{} ", path.len(), bytes.len()).as_bytes());
            hasher.update(bytes);
        }
        let lock = Digest::of(tree.get(LOCK_PATH).unwrap_or_default());
        Place { cluster, bundle, definition: hasher.finish(), lock }
    }

    /// What is another, of what is asked first and last: where it goes to, and what it comes from.
    fn moved(&self, now: &Place) -> (Vec<Moved>, Vec<Moved>) {
        let moved = |what, then: String, now: String| (then != now).then_some(Moved::Place { what, then, now });
        let bundle = |bundle: Option<Digest>| bundle.map_or("none".to_owned(), |digest| digest.short());
        let to = [
            moved("cluster", self.cluster.clone(), now.cluster.clone()),
            moved("bundle", bundle(self.bundle), bundle(now.bundle)),
        ];
        let from = [
            moved("definition", self.definition.short(), now.definition.short()),
            moved("lock", self.lock.short(), now.lock.short()),
        ];
        (to.into_iter().flatten().collect(), from.into_iter().flatten().collect())
    }
}

impl Seen {
    /// What was found of a step's release.
    pub fn of(step: &Step, observed: &Observation) -> Seen {
        let found = observed.get(&step.namespace, &step.release);
        Seen {
            release: step.release.clone(),
            namespace: step.namespace.clone(),
            revision: found.map(|found| found.revision),
            status: found.map(|found| found.status.clone()),
            inputs: found.and_then(|found| found.label(label::INPUTS)).map(str::to_owned),
        }
    }

    fn moved(&self, now: Option<&Observed>) -> Option<Moved> {
        let inputs = now.and_then(|now| now.label(label::INPUTS));
        let same = self.revision == now.map(|now| now.revision)
            && self.status.as_deref() == now.map(|now| now.status.as_str())
            && self.inputs.as_deref() == inputs;
        let told = |revision: Option<u64>, status: Option<&str>| match (revision, status) {
            (Some(revision), Some(status)) => format!("revision {revision}, {status}"),
            _ => "not there".to_owned(),
        };
        (!same).then(|| Moved::Cluster {
            release: self.release.clone(),
            then: told(self.revision, self.status.as_deref()),
            now: told(now.map(|now| now.revision), now.map(|now| now.status.as_str())),
        })
    }
}

impl Saved {
    /// The file's text.
    pub fn to_json(&self, platctl: &str) -> String {
        let content = serde_json::to_value(self).unwrap_or_default();
        let json = serde_json::json!({
            "apiVersion": API_VERSION, "kind": KIND, "format": FORMAT, "platctl": platctl,
            "digest": Digest::of(content.to_string()), "content": content,
        });
        format!("{json:#}\n")
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// [`UnreadablePlan`].
    pub fn read(bytes: &[u8], platctl: &str) -> Result<Saved, UnreadablePlan> {
        let mut json: Json = serde_json::from_slice(bytes).map_err(|_| UnreadablePlan::NoPlan)?;
        if json["apiVersion"] != API_VERSION || json["kind"] != KIND {
            return Err(UnreadablePlan::NoPlan);
        }
        if json["platctl"] != platctl || json["format"] != FORMAT {
            let saved = json["platctl"].as_str().unwrap_or("an unknown version").to_owned();
            return Err(UnreadablePlan::OtherPlatctl { saved, own: platctl.to_owned() });
        }
        let content = json["content"].take();
        let digest = json["digest"].as_str().and_then(|digest| digest.parse::<Digest>().ok());
        if digest != Some(Digest::of(content.to_string())) {
            return Err(UnreadablePlan::Damaged);
        }
        serde_json::from_value(content).map_err(|_| UnreadablePlan::Damaged)
    }

    /// Everything that is no longer as it was: only where it goes to, when that is another; else what decides releases
    /// and what was found of them; and when all that is the same, what it comes from.
    pub fn moved(&self, place: &Place, now: &Plan, observed: &Observation) -> Vec<Moved> {
        let (to, from) = self.place.moved(place);
        if !to.is_empty() {
            return to;
        }
        let mut moved = self.inputs_moved(now);
        let seen = |seen: &Seen| seen.moved(observed.get(&seen.namespace, &seen.release));
        moved.extend(self.seen.iter().filter_map(seen));
        if moved.is_empty() {
            moved = from;
        }
        let steps = as_observed(&self.plan) != as_observed(now);
        let others = self.plan.removals != now.removals || self.plan.taken != now.taken;
        if moved.is_empty() && (steps || others) {
            moved.push(Moved::Steps);
        }
        moved
    }

    fn inputs_moved(&self, now: &Plan) -> Vec<Moved> {
        let decided = |plan: &Plan| -> BTreeMap<String, (String, String)> {
            plan.steps().map(|s| (s.release.clone(), (s.inputs.clone(), s.namespace.clone()))).collect()
        };
        let (then, now) = (decided(&self.plan), decided(now));
        let all: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
        let how = |release: &&String| match (then.get(*release), now.get(*release)) {
            (Some(then), Some(now)) if then == now => None,
            (Some(_), Some(_)) => Some("what decides it has changed"),
            (Some(_), None) => Some("it is no longer meant"),
            (None, _) => Some("the plan does not know it"),
        };
        let moved = |release: &String, how| Moved::Inputs { release: release.clone(), how };
        all.into_iter().filter_map(|release| Some(moved(release, how(&release)?))).collect()
    }
}

/// Tiers without what only a render tells: that is compared by itself.
fn as_observed(plan: &Plan) -> Vec<TierPlan> {
    let mut tiers = plan.tiers.clone();
    for step in tiers.iter_mut().flat_map(|tier| &mut tier.steps) {
        if let Action::Upgrade { because: because @ Because::InstallHooks, .. } = &mut step.action {
            *because = Because::NeverDeployed;
        }
    }
    tiers
}

#[cfg(test)]
mod tests;
