//! The second step of a plan, when it is known what is rendered and what is stored: which releases are installed again,
//! and which objects have fields that the API server may refuse to change. Pure.

mod fixed;

use std::collections::BTreeMap;

use super::{Action, Because, Plan};
use crate::object::{Hook, Stream};

pub use fixed::{Fixed, fixed};

/// The plan, where releases that were never deployed and whose render has hooks for the installation alone are installed
/// again: helm would upgrade them, and these hooks would never run.
pub fn foresee(mut plan: Plan, rendered: &BTreeMap<&str, &Stream>) -> Plan {
    for step in plan.tiers.iter_mut().flat_map(|tier| &mut tier.steps) {
        let hooks = rendered.get(step.release.as_str()).is_some_and(|stream| has_install_hooks(stream));
        if let Action::Upgrade { because: because @ Because::NeverDeployed, .. } = &mut step.action
            && hooks
        {
            *because = Because::InstallHooks;
        }
    }
    plan
}

impl Action {
    /// Whether helm upgrades.
    pub fn is_upgrade(&self) -> bool {
        matches!(self, Action::Upgrade { because, .. } if *because != Because::InstallHooks)
    }
}

/// Whether something runs only when helm installs.
pub fn has_install_hooks(stream: &Stream) -> bool {
    let only = |hook: &Hook, install: &str, upgrade: &str| {
        hook.events.iter().any(|event| event == install) && !hook.events.iter().any(|event| event == upgrade)
    };
    let hooks = stream.objects.iter().filter_map(|object| object.hook.as_ref());
    hooks.into_iter().any(|hook| only(hook, "pre-install", "pre-upgrade") || only(hook, "post-install", "post-upgrade"))
}

#[cfg(test)]
mod tests {
    use super::super::{Step, TierPlan};
    use super::*;

    fn plan(because: Because) -> Plan {
        let step = Step {
            release: "a".into(),
            namespace: "n".into(),
            needs: Vec::new(),
            action: Action::Upgrade { from: None, because },
            version: "1".into(),
            inputs: "i".into(),
            secrets: Vec::new(),
            live: None,
        };
        let tiers = vec![TierPlan { name: "t".into(), gate: true, steps: vec![step] }];
        let (platform, environment) = ("p".to_owned(), "e".to_owned());
        Plan {
            platform,
            environment,
            tiers,
            undeclared: Vec::new(),
            switched_off: Vec::new(),
            removals: Vec::new(),
            taken: BTreeMap::new(),
        }
    }

    fn hook(events: &str) -> Stream {
        let text = format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: h, annotations: {{helm.sh/hook: \"{events}\"}}}}\n"
        );
        Stream::parse(text).unwrap()
    }

    #[test]
    fn what_was_never_deployed_and_has_install_hooks_is_installed_again() {
        for (events, because, after) in [
            ("pre-install", Because::NeverDeployed, Because::InstallHooks),
            ("post-install,pre-upgrade", Because::NeverDeployed, Because::InstallHooks),
            ("pre-install,pre-upgrade", Because::NeverDeployed, Because::NeverDeployed),
            ("post-delete", Because::NeverDeployed, Because::NeverDeployed),
            ("pre-install", Because::Failed, Because::Failed),
        ] {
            let stream = hook(events);
            let foreseen = foresee(plan(because), &BTreeMap::from([("a", &stream)]));
            assert_eq!(foreseen, plan(after), "{events}");
        }
    }
}
