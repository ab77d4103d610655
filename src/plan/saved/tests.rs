//! Saved plans: back as they were, or refused with what moved.

use super::*;
use crate::object::Stream;

fn step(release: &str, action: Action) -> Step {
    Step {
        release: release.to_owned(),
        namespace: "ns".to_owned(),
        needs: Vec::new(),
        action,
        version: "1.0.0".to_owned(),
        inputs: "i".to_owned(),
        secrets: Vec::new(),
        live: None,
    }
}

fn plan() -> Plan {
    let from = Some("0.9.0".to_owned());
    let steps = vec![step("a", Action::Install), step("b", Action::Upgrade { from, because: Because::Inputs })];
    let tier = TierPlan { name: "apps".to_owned(), gate: true, steps };
    Plan {
        platform: "ml".into(),
        environment: "prod".into(),
        tiers: vec![tier],
        undeclared: vec!["ns/x".into()],
        switched_off: Vec::new(),
        removals: Vec::new(),
        taken: Default::default(),
    }
}

fn observed(revision: u64, status: &str, inputs: &str) -> Observation {
    Observation::parse(&format!(
        "ns  sh.helm.release.v1.b.v{revision}  helm.sh/release.v1  1  5m  \
         name=b,owner=helm,status={status},version={revision},platctl.dev/inputs={inputs}\n"
    ))
}

fn place(cluster: &str) -> Place {
    let mut tree = Tree::default();
    tree.insert(
        "environments/prod/environment.yaml",
        "apiVersion: platctl.dev/v1\nkubeVersion: \"1.34.4\"\ntools: {helm: 4.3.1, kubectl: 1.34.4}\n",
    );
    tree.insert("environments/dev/values.yaml", "a: 1\n");
    let definition = Definition::load(&tree, "prod").unwrap();
    Place::new(cluster.to_owned(), None, &tree, &definition)
}

fn saved() -> Saved {
    let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {p: hush}\n";
    let salt = Salt::new([3; 32]);
    let expected = Expected::of(&Stream::parse(text).unwrap(), "ns", &salt);
    let found = observed(3, "deployed", "old");
    Saved {
        seen: plan().steps().map(|step| Seen::of(step, &found)).collect(),
        plan: plan(),
        selector: None,
        place: place("uid"),
        salt,
        expected: [("a".to_owned(), expected)].into(),
    }
}

#[test]
fn a_file_comes_back_and_holds_no_value() {
    let text = saved().to_json("0.1.0");
    assert!(!text.contains("hush"));
    assert_eq!(Saved::read(text.as_bytes(), "0.1.0"), Ok(saved()));
}

#[test]
fn what_is_no_whole_plan_is_none() {
    let text = saved().to_json("0.1.0");
    let read = |text: &str| Saved::read(text.as_bytes(), "0.1.0").unwrap_err();
    for text in ["", "{}", "[1]", "apiVersion: x", &text[..text.len() / 2], &text.replace("\"Plan\"", "\"Pod\"")] {
        assert_eq!(read(text), UnreadablePlan::NoPlan);
    }
    let other = UnreadablePlan::OtherPlatctl { saved: "0.1.0".into(), own: "0.2.0".into() };
    assert_eq!(Saved::read(text.as_bytes(), "0.2.0").unwrap_err(), other);
    assert!(matches!(read(&text.replace("\"format\": 1", "\"format\": 2")), UnreadablePlan::OtherPlatctl { .. }));
    for (from, to) in
        [("\"install\"", "\"unchanged\""), ("\"revision\": 3", "\"revision\": 4"), ("sha256:", "sha256:0")]
    {
        assert!(text.contains(from));
        assert_eq!(read(&text.replace(from, to)), UnreadablePlan::Damaged, "{from}");
    }
}

#[test]
fn nothing_moved() {
    assert_eq!(saved().moved(&place("uid"), &plan(), &observed(3, "deployed", "old")), []);
}

#[test]
fn whatever_moved_is_named() {
    let same = observed(3, "deployed", "old");
    let moved = saved().moved(&place("other"), &plan(), &observed(4, "deployed", "x"));
    let expected = Moved::Place { what: "cluster", then: "uid".into(), now: "other".into() };
    assert_eq!(moved, [expected], "nothing else is looked at then");

    for (found, now) in [
        (observed(4, "deployed", "old"), "revision 4, deployed"),
        (observed(3, "failed", "old"), "revision 3, failed"),
        (observed(3, "deployed", "new"), "revision 3, deployed"),
        (Observation::default(), "not there"),
    ] {
        let then = "revision 3, deployed".to_owned();
        let expected = Moved::Cluster { release: "b".into(), then, now: now.into() };
        assert_eq!(saved().moved(&place("uid"), &plan(), &found), [expected]);
    }

    let mut now = plan();
    now.tiers[0].steps[0].inputs = "j".into();
    now.tiers[0].steps[1].release = "c".into();
    let how: Vec<Moved> = saved().moved(&place("uid"), &now, &same);
    let inputs = |release: &str, how| Moved::Inputs { release: release.into(), how };
    let expected = [
        inputs("a", "what decides it has changed"),
        inputs("b", "it is no longer meant"),
        inputs("c", "the plan does not know it"),
    ];
    assert_eq!(how, expected);

    let mut now = plan();
    now.tiers[0].gate = false;
    assert_eq!(saved().moved(&place("uid"), &now, &same), [Moved::Steps]);
    let mut now = plan();
    now.removals.push(crate::plan::Stage { tier: None, gate: true, steps: Vec::new() });
    assert_eq!(saved().moved(&place("uid"), &now, &same), [Moved::Steps], "nothing is removed that nobody looked at");
    let mut other = place("uid");
    other.lock = Digest::of("another");
    assert!(matches!(&saved().moved(&other, &plan(), &same)[..], [Moved::Place { what: "lock", .. }]));
}

#[test]
fn other_environments_are_no_part_of_it() {
    let mut tree = Tree::default();
    tree.insert(
        "environments/prod/environment.yaml",
        "apiVersion: platctl.dev/v1\nkubeVersion: \"1.34.4\"\ntools: {helm: 4.3.1, kubectl: 1.34.4}\n",
    );
    let definition = Definition::load(&tree, "prod").unwrap();
    let of = |tree: &Tree| Place::new(String::new(), None, tree, &definition);
    let before = of(&tree);
    tree.insert("environments/dev/values.yaml", "a: 1\n");
    assert_eq!(of(&tree), before);
    tree.insert("environments/prod/values.yaml", "a: 1\n");
    assert_ne!(of(&tree).definition, before.definition);
    tree.insert(LOCK_PATH, "x");
    assert_ne!(of(&tree).lock, before.lock);
}
