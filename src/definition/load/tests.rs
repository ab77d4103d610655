//! Definitions brought together, and what is refused.

use std::time::Duration;

use super::*;

const ENVIRONMENT: &str =
    "apiVersion: platctl.dev/v1\nkubeVersion: \"1.34.4\"\ntools: {helm: 4.3.1, kubectl: 1.34.4}\n";

fn tree(files: &[(&str, &str)]) -> Tree {
    let mut tree = Tree::default();
    tree.insert("environments/prod/environment.yaml", ENVIRONMENT);
    tree.insert("environments/prod/values.yaml", "domain: d\n");
    for (tier, order) in [("infra", 10), ("apps", 20)] {
        let text = format!("apiVersion: platctl.dev/v1\norder: {order}\ndefaults: {{timeout: 5m}}\n");
        tree.insert(format!("templates/{tier}/tier.yaml"), text);
    }
    for (path, text) in files {
        tree.insert(*path, *text);
    }
    tree
}

fn release(rest: &str) -> String {
    format!("apiVersion: platctl.dev/v1\nchart: {{path: ./chart}}\nnamespace: x\n{rest}")
}

#[test]
fn releases_come_in_tier_order_with_their_values() {
    let definition = Definition::load(
        &tree(&[
            ("templates/apps/a/release.yaml", &release("needs: [z]\n")),
            (
                "templates/apps/a/values.yaml",
                "host: \"{{ release.name }}.{{ values.domain }}.{{ environment.name }}\"\nsize: 1\n",
            ),
            ("environments/prod/releases/a.yaml", "size: 2\n"),
            ("templates/infra/z/release.yaml", &release("")),
        ]),
        "prod",
    )
    .unwrap();
    let names: Vec<_> = definition.releases.iter().map(|r| definition.place(r)).collect();
    assert_eq!(names, ["prod/infra/z", "prod/apps/a"]);
    let a = &definition.releases[1];
    assert_eq!(a.values.to_json(), serde_json::json!({"host": "a.d.prod", "size": 2}));
    assert_eq!(a.timeout, Duration::from_secs(300));
}

#[test]
fn all_problems_are_reported_at_once() {
    let mut tree = tree(&[
        ("templates/apps/a/release.yaml", &release("needs: [b, nope]\n")),
        ("templates/apps/b/release.yaml", &release("needs: [a]\n")),
        ("templates/infra/z/release.yaml", &release("needs: [a]\n")),
        ("templates/infra/a/release.yaml", &release("")),
        ("templates/apps/bad/release.yaml", "x: 1\n"),
    ]);
    tree.insert("environments/prod/environment.yaml", format!("{ENVIRONMENT}releases: {{ghost: false}}\n"));
    let problems = Definition::load(&tree, "prod").unwrap_err().to_string();
    for expected in [
        "templates/apps/bad/release.yaml:1:1: the release has no `apiVersion`",
        "release `a` is in two tiers, infra and apps",
        "no release `ghost` in any tier",
        "a needs `nope`, and there is no such release",
    ] {
        assert!(problems.contains(expected), "{expected} in\n{problems}");
    }
}

#[test]
fn tiers_that_share_a_namespace_agree_about_its_labels() {
    let mut tree =
        tree(&[("templates/apps/a/release.yaml", &release("")), ("templates/infra/z/release.yaml", &release(""))]);
    for (tier, order, level) in [("infra", 10, "privileged"), ("apps", 20, "baseline")] {
        let text =
            format!("apiVersion: platctl.dev/v1\norder: {order}\ndefaults: {{namespaceLabels: {{psa: {level}}}}}\n");
        tree.insert(format!("templates/{tier}/tier.yaml"), text);
    }
    let problems = Definition::load(&tree, "prod").unwrap_err().to_string();
    assert!(problems.contains("namespace `x` has releases of infra and apps, which want label psa"), "{problems}");
}

#[test]
fn cycles_and_later_tiers_are_refused() {
    let problems = Definition::load(
        &tree(&[
            ("templates/apps/a/release.yaml", &release("needs: [b]\n")),
            ("templates/apps/b/release.yaml", &release("needs: [a]\n")),
            ("templates/infra/z/release.yaml", &release("needs: [a]\n")),
        ]),
        "prod",
    )
    .unwrap_err()
    .to_string();
    assert!(problems.contains("templates/apps/a/release.yaml:4:9: a and `b` need each other"), "{problems}");
    assert!(problems.contains("z needs `a` of the later tier apps"), "{problems}");
}
