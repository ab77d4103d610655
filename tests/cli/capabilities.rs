//! What helm is told that the cluster offers, and that it is the same whatever else is rendered.

use std::collections::BTreeSet;

use crate::assert_screen;
use crate::shop::Shop;
use crate::support::{put, read};

const DEFINITION: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: shops.example.org}
spec:
  group: example.org
  names: {kind: Shop, plural: shops}
  versions: [{name: v1, served: true}]
";

/// A shop whose release `api` brings a definition, and whose release `web` asks what there is.
fn asking() -> Shop {
    let shop = Shop::new();
    put(&shop.file("templates/apps/api/chart/crds/shops.yaml"), DEFINITION);
    put(&shop.fake("render/api.yaml"), format!("---\n# Source: api/crds/shops.yaml\n{DEFINITION}"));
    put(&shop.file("environments/base/releases/web.yaml"), "note: \"{{ .Capabilities.APIVersions }}\"\n");
    shop.run(&["lock"]).ok();
    shop.forget_calls();
    shop
}

/// The releases that were rendered, one for each time, sorted.
fn rendered(shop: &Shop) -> Vec<String> {
    let calls = shop.calls();
    let names = calls.iter().filter_map(|call| call.strip_prefix("helm template ")?.split(' ').next());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    shop.forget_calls();
    names
}

fn told(shop: &Shop, release: &str) -> BTreeSet<String> {
    read(&shop.fake(&format!("apis/{release}"))).lines().map(str::to_owned).collect()
}

#[test]
fn every_release_is_rendered_once_and_told_the_same_whatever_is_selected() {
    let shop = asking();
    shop.run(&["template", "-e", "prod", "--output-dir", "../all"]).ok();
    assert_eq!(rendered(&shop), ["api", "jobs", "queue", "store", "web"]);
    let all = told(&shop, "web");
    for wanted in ["policy/v1/PodDisruptionBudget", "v1/Pod", "apps/v1/Scale", "example.org/v1", "example.org/v1/Shop"]
    {
        assert!(all.contains(wanted), "{wanted} is missing");
    }
    assert!(!told(&shop, "store").contains("example.org/v1"));

    let one = shop.run(&["template", "-e", "prod", "-l", "name=web"]).ok();
    assert_eq!(rendered(&shop), ["api", "web"]);
    assert_eq!(told(&shop, "web"), all);
    assert_eq!(one.stdout, read(&shop.path().join("all/apps/web.yaml")));

    shop.run(&["template", "-e", "prod", "-l", "name=store"]).ok();
    assert_eq!(rendered(&shop), ["api", "store"]);
}

#[test]
fn lock_bundle_and_apply_tell_the_same() {
    let shop = asking();
    shop.run(&["template", "-e", "prod"]).ok();
    let expected = told(&shop, "web");
    for args in [&["lock", "-e", "prod"][..], &["apply", "-e", "prod", "-l", "name=web", "--skip-needs"]] {
        put(&shop.fake("apis/web"), "");
        shop.forget_renders();
        shop.run(args).ok();
        assert_eq!(told(&shop, "web"), expected, "{args:?}");
    }
    put(&shop.fake("apis/web"), "");
    shop.forget_renders();
    shop.bundle("platform.tar").ok();
    assert_eq!(told(&shop, "web"), expected);
}

#[test]
fn a_release_that_brings_and_asks_is_rendered_again_only_for_what_is_new() {
    let shop = asking();
    put(&shop.file("environments/prod/releases/api.yaml"), "note: APIVersions\n");
    shop.run(&["template", "-e", "prod", "-l", "name=api"]).ok();
    assert_eq!(rendered(&shop), ["api", "api"]);
    assert!(told(&shop, "api").contains("example.org/v1/Shop"));
    // A cluster that has the definition already: nothing is new.
    let recorded = "apiVersion: platctl.dev/v1\nkubeVersion: \"1.34.0\"\napis:\n  example.org/v1: [Shop]\n";
    put(&shop.file("environments/prod/capabilities.yaml"), recorded);
    shop.run(&["template", "-e", "prod", "-l", "name=api"]).ok();
    assert_eq!(rendered(&shop), ["api"]);
    assert_eq!(told(&shop, "api").into_iter().collect::<Vec<_>>(), ["example.org/v1", "example.org/v1/Shop"]);
}

#[test]
fn another_list_is_another_release() {
    let shop = Shop::locked();
    shop.run(&["apply", "-e", "prod"]).ok();
    shop.forget_calls();
    shop.run(&["apply", "-e", "prod"]).ok();
    assert!(shop.upgraded().is_empty());
    let recorded = "apiVersion: platctl.dev/v1\nkubeVersion: \"1.34.0\"\napis:\n  apps/v1: [Deployment]\n";
    put(&shop.file("environments/prod/capabilities.yaml"), recorded);
    shop.run(&["apply", "-e", "prod"]).ok();
    assert_eq!(shop.upgraded().len(), 5);
}

#[test]
fn a_list_travels_in_the_bundle() {
    let shop = asking();
    let recorded = "apiVersion: platctl.dev/v1\nkubeVersion: \"1.34.0\"\napis:\n  only.here/v1: [Thing]\n";
    put(&shop.file("environments/base/capabilities.yaml"), recorded);
    shop.bundle("platform.tar").ok();
    std::fs::create_dir(shop.path().join("site")).unwrap();
    let bundle = shop.path().join("platform.tar");
    let args = ["template", "-e", "prod", "-l", "name=web", "--bundle", bundle.to_str().unwrap()];
    shop.platctl().folder(&shop.path().join("site")).args(args).run().ok();
    let expected = ["example.org/v1", "example.org/v1/Shop", "only.here/v1", "only.here/v1/Thing"];
    assert_eq!(told(&shop, "web").into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn what_nobody_says_or_contradicts_is_refused() {
    let shop = Shop::locked();
    shop.edit("environments/base/environment.yaml", "kubeVersion: \"1.34.4\"", "kubeVersion: \"1.99.0\"");
    assert_screen!(shop.path(), "no_table", shop.run(&["template", "-e", "prod"]).exits(1).screen());
    let recorded = "apiVersion: platctl.dev/v1\nkubeVersion: \"1.34.4\"\napis: {v1: [Pod]}\n";
    put(&shop.file("environments/prod/capabilities.yaml"), recorded);
    assert_screen!(shop.path(), "other_minor", shop.run(&["plan", "-e", "prod"]).exits(1).screen());
    assert!(shop.calls().is_empty());
}

#[test]
fn a_chart_that_does_not_render_shows_no_list() {
    let shop = Shop::locked();
    put(&shop.fake("fail/template-store"), "Error: template: no\n");
    let output = shop.run(&["template", "-e", "prod", "-l", "name=store"]).exits(1);
    assert!(
        !output.stderr.contains("PodDisruptionBudget") && output.stderr.contains("--api-versions="),
        "{}",
        output.stderr
    );
    assert!(output.stderr.lines().all(|line| line.len() < 1000));
}
