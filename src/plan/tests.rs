//! Plans: every action has its reason.

use super::*;
use crate::definition::Tree;

fn definition() -> Definition {
    let mut tree = Tree::default();
    tree.insert(
        "environments/prod/environment.yaml",
        "apiVersion: platctl.dev/v1\nkubeVersion: \"1.34.4\"\ntools: {helm: 4.3.1, kubectl: 1.34.4}\nplatform: ml\n",
    );
    tree.insert("templates/apps/tier.yaml", "apiVersion: platctl.dev/v1\norder: 1\n");
    for name in ["a", "b", "c", "d", "e", "f", "g"] {
        let text = "apiVersion: platctl.dev/v1\nchart: {path: ./chart}\nnamespace: ns\n";
        tree.insert(format!("templates/apps/{name}/release.yaml"), text);
    }
    Definition::load(&tree, "prod").unwrap()
}

fn record(name: &str, revision: u64, status: &str, labels: &str) -> String {
    format!(
        "ns  sh.helm.release.v1.{name}.v{revision}  helm.sh/release.v1  1  5m  name={name},owner=helm,status={status},version={revision}{labels}\n"
    )
}

#[test]
fn every_action_has_its_reason() {
    let ours = ",platctl.dev/platform=ml,platctl.dev/environment=prod,platctl.dev/chart-version=1.0.0";
    let same = format!("{ours},platctl.dev/inputs=i");
    let table = [
        record("a", 1, "superseded", &same),
        record("a", 2, "deployed", &same),
        record("b", 1, "deployed", &format!("{ours},platctl.dev/inputs=old")),
        record("c", 1, "superseded", &same),
        record("c", 2, "failed", &same),
        record("d", 1, "deployed", &same),
        record("d", 2, "pending-upgrade", &same),
        record("e", 1, "deployed", ""),
        record("g", 1, "superseded", &format!("{same},platctl.dev/run=r")),
        record("g", 2, "deployed", &format!("{same},platctl.dev/run=r")),
        record("gone", 1, "deployed", &same),
        record("others", 1, "deployed", ",platctl.dev/platform=ml,platctl.dev/environment=dev"),
    ]
    .concat();
    let definition = definition();
    let desired: Vec<_> = definition
        .releases
        .iter()
        .map(|release| Desired { release, version: "1.0.0".into(), inputs: "i".into() })
        .collect();
    let plan = Plan::build(&definition, &desired, &Observation::parse(&table));
    let actions: Vec<_> = plan.steps().map(|step| step.action.clone()).collect();
    let from = Some("1.0.0".to_owned());
    let expected = [
        Action::Unchanged,
        Action::Upgrade { from: from.clone(), because: Because::Inputs },
        Action::Upgrade { from, because: Because::Failed },
        Action::Blocked { reason: Blocked::Pending { status: "pending-upgrade".into(), deployed: Some(1) } },
        Action::Blocked { reason: Blocked::Foreign { owner: None } },
        Action::Install,
        Action::Upgrade { from: None, because: Because::ByHand },
    ];
    assert_eq!(actions, expected);
    assert_eq!(plan.undeclared, ["ns/gone"]);
    assert_eq!(plan.counts(), (1, 3, 1));
}
