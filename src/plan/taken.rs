//! What a plan takes over of what is in the cluster: fields that drifted, and releases that others made. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Action, Because, Blocked, Plan};

/// What a release's step takes over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Taken {
    /// The release, or objects of it, were made by others and become ours.
    pub adopted: bool,
    /// The revision of helm's that is what it should be already: it only gets our labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equal: Option<u64>,
    /// Fields that become what they should be, with who set them as they are, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// Objects that become the release's, or that are gone and made again, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
}

impl Plan {
    /// The same plan, in which releases that drifted are upgraded, and those that are adopted are ours.
    pub fn taking(mut self, taken: BTreeMap<String, Taken>) -> Plan {
        for step in self.tiers.iter_mut().flat_map(|tier| &mut tier.steps) {
            let Some(taken) = taken.get(&step.release) else { continue };
            step.action = match (&step.action, taken) {
                (Action::Unchanged, Taken { adopted: false, .. }) => {
                    Action::Upgrade { from: Some(step.version.clone()), because: Because::Drifted }
                }
                (Action::Blocked { reason: Blocked::Foreign { .. } }, Taken { equal: Some(revision), .. }) => {
                    Action::Adopt { revision: *revision }
                }
                (Action::Blocked { reason: Blocked::Foreign { .. } }, Taken { adopted: true, .. }) => {
                    Action::Upgrade { from: None, because: Because::Adopted }
                }
                (action, _) => action.clone(),
            };
        }
        self.taken = taken;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Step, TierPlan};
    use super::*;

    fn plan() -> Plan {
        let step = |release: &str, action| Step {
            release: release.into(),
            namespace: "n".into(),
            needs: Vec::new(),
            action,
            version: "1".into(),
            inputs: "i".into(),
            secrets: Vec::new(),
            live: None,
        };
        let foreign = || Action::Blocked { reason: Blocked::Foreign { owner: None } };
        let steps = vec![
            step("drifted", Action::Unchanged),
            step("same", Action::Unchanged),
            step("equal", foreign()),
            step("other", foreign()),
            step("strange", foreign()),
            step("new", Action::Install),
        ];
        Plan {
            platform: "p".into(),
            environment: "e".into(),
            tiers: vec![TierPlan { name: "t".into(), gate: true, steps }],
            undeclared: Vec::new(),
            switched_off: Vec::new(),
            removals: Vec::new(),
            taken: BTreeMap::new(),
        }
    }

    #[test]
    fn what_is_taken_is_done_and_nothing_else() {
        let fields = vec!["Deployment n/a: spec.replicas".to_owned()];
        let adopted = Taken { adopted: true, ..Taken::default() };
        let taken = [
            ("drifted", Taken { fields, ..Taken::default() }),
            ("equal", Taken { equal: Some(4), ..adopted.clone() }),
            ("other", adopted.clone()),
            ("new", adopted),
        ];
        let plan = plan().taking(taken.map(|(name, taken)| (name.to_owned(), taken)).into());
        let actions: Vec<Action> = plan.steps().map(|step| step.action.clone()).collect();
        let expected = [
            Action::Upgrade { from: Some("1".into()), because: Because::Drifted },
            Action::Unchanged,
            Action::Adopt { revision: 4 },
            Action::Upgrade { from: None, because: Because::Adopted },
            Action::Blocked { reason: Blocked::Foreign { owner: None } },
            Action::Install,
        ];
        assert_eq!(actions, expected);
    }
}
