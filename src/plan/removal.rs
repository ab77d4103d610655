//! Which releases are removed: those that are no longer wanted (`--prune`), or those that somebody asked for
//! (`destroy`). Exact labels decide what is ours. Must not touch anything.

use std::collections::BTreeSet;

use serde::Serialize;

use super::backward::{BackStep, Deed, Ours, Reason, Stage, ours, stages};
use super::{Observation, Plan, Selector};
use crate::definition::Definition;

/// Everything one `destroy` will remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Destruction {
    /// Name of the platform.
    pub platform: String,
    /// Name of the environment.
    pub environment: String,
    /// In order.
    pub stages: Vec<Stage>,
    /// Releases of ours that stay: namespace and name.
    #[serde(skip)]
    pub staying: Vec<(String, String)>,
    /// Pairs of a release that is removed and one that stays and needs it.
    pub needed: Vec<(String, String)>,
}

impl Destruction {
    /// Every release of the environment that a selector means, declared or not.
    pub fn build(definition: &Definition, selector: &Selector, observed: &Observation) -> Destruction {
        let (meant, stay): (Vec<Ours>, Vec<Ours>) =
            ours(definition, observed).into_iter().partition(|ours| ours.is_meant(definition, selector));
        let removed: BTreeSet<&str> = meant.iter().filter(|o| o.declared.is_some()).map(|o| o.name).collect();
        let mut needed = Vec::new();
        for other in &stay {
            let needs = other.declared.iter().flat_map(|release| &release.needs);
            needed.extend(
                needs.filter(|need| removed.contains(need.as_str())).map(|n| (n.clone(), other.name.to_owned())),
            );
        }
        let steps = meant.iter().map(|ours| (*ours, ours.step(Deed::Remove { because: Reason::Asked })));
        Destruction {
            platform: definition.environment.platform.clone(),
            environment: definition.environment.name.clone(),
            stages: stages(definition, steps),
            staying: stay.iter().map(|ours| (ours.namespace.to_owned(), ours.name.to_owned())).collect(),
            needed,
        }
    }

    /// Every step in order.
    pub fn steps(&self) -> impl Iterator<Item = &BackStep> {
        self.stages.iter().flat_map(|stage| &stage.steps)
    }
}

impl Plan {
    /// The same with the releases removed that it would leave alone: those of ours that are no longer declared, and those
    /// that are switched off.
    pub fn pruning(mut self, definition: &Definition, observed: &Observation) -> Plan {
        let gone = leftovers(definition, observed).into_iter();
        let steps = gone.map(|(ours, because)| (ours, ours.step(Deed::Remove { because })));
        self.removals = stages(definition, steps);
        self.undeclared.clear();
        self.switched_off.clear();
        self
    }

    /// The releases that are removed.
    pub fn removed(&self) -> impl Iterator<Item = &BackStep> {
        self.removals.iter().flat_map(|stage| &stage.steps)
    }
}

/// Releases that are exactly ours by their labels, but not wanted, with why.
fn leftovers<'a>(definition: &'a Definition, observed: &'a Observation) -> Vec<(Ours<'a>, Reason)> {
    let all = ours(definition, observed).into_iter().filter(|ours| ours.declared.is_none());
    let switched_off = |name: &str| definition.environment.releases.get(name).is_some_and(|(on, _)| !on);
    all.map(|ours| (ours, if switched_off(ours.name) { Reason::SwitchedOff } else { Reason::Undeclared })).collect()
}

/// The same as names for people: those no longer declared, and those switched off.
pub(super) fn left_alone(definition: &Definition, observed: &Observation) -> (Vec<String>, Vec<String>) {
    let (mut undeclared, mut switched_off) = (Vec::new(), Vec::new());
    for (ours, reason) in leftovers(definition, observed) {
        let list = if reason == Reason::SwitchedOff { &mut switched_off } else { &mut undeclared };
        list.push(format!("{}/{}", ours.namespace, ours.name));
    }
    (undeclared, switched_off)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Tree;

    fn definition() -> Definition {
        let mut tree = Tree::default();
        tree.insert(
            "environments/prod/environment.yaml",
            "apiVersion: platctl.dev/v1\nkubeVersion: \"1.34.4\"\ntools: {helm: 4.3.1, kubectl: 1.34.4}\nplatform: ml\nreleases: {extra: false}\n",
        );
        for (tier, order) in [("base", 1), ("apps", 2)] {
            tree.insert(format!("templates/{tier}/tier.yaml"), format!("apiVersion: platctl.dev/v1\norder: {order}\n"));
        }
        for (path, needs) in
            [("base/db", ""), ("base/cache", "needs: [db]\n"), ("apps/web", "needs: [cache]\n"), ("apps/extra", "")]
        {
            let text = format!("apiVersion: platctl.dev/v1\nchart: {{path: ./chart}}\nnamespace: ns\n{needs}");
            tree.insert(format!("templates/{path}/release.yaml"), text);
        }
        Definition::load(&tree, "prod").unwrap()
    }

    fn table(rows: &[(&str, &str, &str, &str)]) -> Observation {
        let row = |(namespace, name, platform, rest): &(&str, &str, &str, &str)| {
            format!(
                "{namespace} sh.helm.release.v1.{name}.v1 helm.sh/release.v1 1 5m name={name},owner=helm,status=deployed,version=1,platctl.dev/platform={platform},{rest}\n"
            )
        };
        Observation::parse(&rows.iter().map(row).collect::<String>())
    }

    const OURS: &str = "platctl.dev/environment=prod";

    fn names(stages: &[Stage]) -> Vec<(Option<&str>, Vec<String>)> {
        let steps = |stage: &Stage| stage.steps.iter().map(BackStep::id).collect();
        stages.iter().map(|stage| (stage.tier.as_deref(), steps(stage))).collect()
    }

    #[test]
    fn what_differs_in_one_letter_of_a_label_is_not_ours() {
        let with_tier = format!("{OURS},platctl.dev/tier=base");
        let observed = table(&[
            ("ns", "db", "ml", OURS),
            ("ns", "old", "ml", OURS),
            ("ns", "operator", "ml", &with_tier),
            ("ns", "extra", "ml", OURS),
            ("other", "web", "ml", OURS),
            ("ns", "near", "mlx", OURS),
            ("ns", "nearer", "ml", "platctl.dev/environment=prod2"),
            ("ns", "case", "ml", "platctl.dev/environment=Prod"),
            ("ns", "none", "ml", "x=y"),
        ]);
        let definition = definition();
        let plan = Plan::build(&definition, &[], &observed);
        assert_eq!(plan.undeclared, ["ns/old", "ns/operator", "other/web"]);
        assert_eq!(plan.switched_off, ["ns/extra"]);
        assert!(plan.removals.is_empty());
        let plan = plan.pruning(&definition, &observed);
        let expected = [
            (None, vec!["ns/extra".to_owned(), "ns/old".to_owned(), "other/web".to_owned()]),
            (Some("base"), vec!["ns/operator".to_owned()]),
        ];
        assert_eq!(names(&plan.removals), expected);
        assert!(plan.undeclared.is_empty() && plan.switched_off.is_empty());
        let off = plan.removed().find(|step| step.release == "extra").unwrap();
        assert_eq!(off.deed, Deed::Remove { because: Reason::SwitchedOff });
    }

    #[test]
    fn destroying_goes_backwards_and_knows_who_still_needs_what() {
        let observed = table(&[("ns", "db", "ml", OURS), ("ns", "cache", "ml", OURS), ("ns", "web", "ml", OURS)]);
        let definition = definition();
        let all = Destruction::build(&definition, &Selector::default(), &observed);
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            names(&all.stages),
            [(Some("apps"), list(&["ns/web"])), (Some("base"), list(&["ns/cache", "ns/db"]))]
        );
        assert!(all.needed.is_empty() && all.staying.is_empty());
        let one = Destruction::build(&definition, &"name=db".parse().unwrap(), &observed);
        assert_eq!(names(&one.stages), [(Some("base"), list(&["ns/db"]))]);
        assert_eq!(one.needed, [("db".to_owned(), "cache".to_owned())]);
        assert_eq!(one.staying, [("ns".to_owned(), "cache".to_owned()), ("ns".to_owned(), "web".to_owned())]);
        let tier = Destruction::build(&definition, &"tier=base".parse().unwrap(), &observed);
        assert_eq!(tier.needed, [("cache".to_owned(), "web".to_owned())]);
    }
}
