//! Plans that are saved, and applied as they are or not at all; the guard in the post-renderer; and what is remembered of
//! renders.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::assert_screen;
use crate::shop::Shop;
use crate::support::{SiteRegistry, put, read};

const SAVE: [&str; 5] = ["plan", "-e", "prod", "--save", "../plan.json"];
const APPLY: [&str; 3] = ["apply", "--plan", "../plan.json"];

fn deployment(image: &str, replicas: u32) -> String {
    format!(
        "---\n# Source: api/templates/deployment.yaml\napiVersion: apps/v1\nkind: Deployment\n\
         metadata: {{name: api, namespace: shop}}\nspec:\n  replicas: {replicas}\n  template:\n    spec:\n      \
         containers:\n      - {{name: main, image: \"registry.example.org/shop/{image}\"}}\n"
    )
}

/// A shop with a saved plan of its first apply.
fn planned() -> Shop {
    let shop = Shop::locked();
    shop.run(&SAVE).ok();
    shop
}

/// The beginnings of digests, which are others wherever a port is in what is hashed.
fn without_digests(screen: &str) -> String {
    let is_digest = |word: &str| word.len() == 12 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let line = |line: &str| match line.rsplit_once(' ') {
        Some((start, word)) if is_digest(word) => format!("{start} [digest]\n"),
        _ => format!("{line}\n"),
    };
    screen.lines().map(line).collect()
}

/// A refusal that changed nothing.
fn refused(shop: &Shop, name: &str, args: &[&str], code: i32) {
    assert_screen!(shop.path(), name, without_digests(&shop.run(args).exits(code).screen()));
    assert_eq!(shop.changing_calls(), Vec::<String>::new());
}

#[test]
fn a_plan_is_saved_and_applied() {
    let shop = Shop::locked();
    shop.edit("templates/apps/web/release.yaml", "namespace:", "render: {guard: live, reason: it looks}\nnamespace:");
    assert_screen!(shop.path(), "saved", shop.run(&SAVE).ok().screen());
    let file = shop.path().join("plan.json");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!read(&file).contains("not-in-any-argument"), "no value is in it");
    assert!(shop.changing_calls().is_empty());
    assert_screen!(shop.path(), "applied", shop.run(&APPLY).ok().screen());
    assert_eq!(shop.upgraded(), ["queue", "store", "api", "jobs", "web"]);
    shop.forget_calls();
    refused(&shop, "applied_twice", &APPLY, 4);
}

#[test]
fn a_plan_of_some_releases_is_applied_to_these() {
    let shop = Shop::locked();
    shop.run(&["plan", "-e", "prod", "-l", "tier=base", "--save", "../plan.json"]).ok();
    refused(&shop, "selector", &["apply", "--plan", "../plan.json", "-l", "tier=apps"], 64);
    shop.run(&["apply", "--plan", "../plan.json", "--dry-run"]).ok();
    assert!(shop.changing_calls().is_empty());
    shop.run(&APPLY).ok();
    assert_eq!(shop.upgraded(), ["queue", "store"]);
}

#[test]
fn a_plan_is_for_one_place() {
    let shop = planned();
    refused(&shop, "environment", &["apply", "-e", "base", "--plan", "../plan.json"], 4);
    put(&shop.fake("uid"), "another-cluster");
    refused(&shop, "cluster", &APPLY, 4);
    put(&shop.fake("uid"), crate::shop::UID);
    shop.add("templates/apps/web/release.yaml", "# a note\n");
    refused(&shop, "definition", &APPLY, 4);
    // Another platform, as far as helm's labels go; the lock, whoever moved it.
    shop.edit("templates/apps/web/release.yaml", "# a note\n", "");
    shop.edit("environments/base/environment.yaml", "platform: shop", "platform: stall");
    refused(&shop, "platform", &APPLY, 4);
    shop.edit("environments/base/environment.yaml", "platform: stall", "platform: shop");
    shop.add("charts-lock.yaml", "# somebody wrote into it\n");
    refused(&shop, "lock", &APPLY, 4);
}

/// What a plan was saved from, and then another bundle in its place.
#[test]
fn a_plan_is_for_one_bundle() {
    let registry = SiteRegistry::start();
    let shop = Shop::bundled(&registry.host);
    let run = |bundle: &str, args: &[&str]| {
        let program = shop.platctl().folder(shop.path()).env("PLATCTL_CACHE_DIR", shop.path().join("site-cache"));
        program.env("PLATCTL_MIRROR", "").env("PLATCTL_BUNDLE", bundle).args(args).run()
    };
    run("platform.tar", &["plan", "--save", "plan.json"]).ok();
    shop.add("templates/apps/web/release.yaml", "# a note\n");
    shop.bundle("other.tar").ok();
    shop.forget_calls();
    let output = run("other.tar", &["apply", "--plan", "plan.json"]).exits(4);
    assert_screen!(shop.path(), "bundle", without_digests(&output.screen()));
    assert_eq!(shop.changing_calls(), Vec::<String>::new());
    assert!(registry.manifests().is_empty(), "nothing is pushed");
    run("platform.tar", &["apply", "--plan", "plan.json"]).ok();
}

#[test]
fn inputs_that_moved_are_named() {
    let shop = planned();
    put(&shop.file("environments/prod/releases/web.yaml"), "replicas: 7\n");
    shop.add("environments/prod/environment.yaml", "releases: {jobs: false}\n");
    refused(&shop, "inputs", &APPLY, 4);
}

#[test]
fn a_cluster_that_moved_is_named() {
    let shop = Shop::locked();
    shop.run(&["apply", "-e", "prod"]).ok();
    put(&shop.file("environments/prod/releases/web.yaml"), "replicas: 7\n");
    shop.run(&SAVE).ok();
    shop.forget_calls();
    // Somebody's helm upgrades one; what it records bears no label of ours. Another is gone.
    let records = read(&shop.fake("records"));
    let without: Vec<&str> = records.lines().filter(|line| !line.contains("name=queue,")).collect();
    let theirs = "shop   sh.helm.release.v1.web.v2   helm.sh/release.v1   1   5m   name=web,owner=helm,status=deployed,version=2";
    put(&shop.fake("records"), format!("{}\n{theirs}\n", without.join("\n")));
    refused(&shop, "cluster_moved", &APPLY, 4);
}

#[test]
fn what_is_no_plan_is_not_applied() {
    let shop = planned();
    let (file, good) = (shop.path().join("plan.json"), read(&shop.path().join("plan.json")));
    put(&file, good.replace("\"install\"", "\"unchanged\""));
    refused(&shop, "damaged", &APPLY, 4);
    put(&file, good.replace("\"platctl\": \"", "\"platctl\": \"9."));
    refused(&shop, "other_platctl", &APPLY, 4);
    put(&file, "apiVersion: v1\n");
    refused(&shop, "no_plan", &APPLY, 4);
    fs::remove_file(&file).unwrap();
    refused(&shop, "no_file", &APPLY, 1);
}

#[test]
fn a_chart_that_renders_otherwise_than_planned_is_not_applied() {
    let shop = planned();
    put(&shop.fake("render/api.yaml"), deployment("api:1.0", 2));
    shop.forget_renders();
    refused(&shop, "renders_since", &APPLY, 4);
}

/// What is rendered live, and not before.
#[test]
fn a_chart_that_renders_otherwise_live_is_refused() {
    let shop = Shop::locked();
    put(&shop.fake("render/api.yaml"), deployment("api:1.0", 1));
    let map = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\n";
    put(&shop.fake("live/api.yaml"), deployment("api:1.0", 3) + map);
    assert_screen!(shop.path(), "guarded", shop.run(&["apply", "-e", "prod", "-l", "name=api"]).exits(1).screen());
    assert_eq!(read(&shop.fake("applied-api")), "", "helm was given nothing to install");
    assert!(read(&shop.fake("records")).is_empty());

    shop.edit("templates/apps/api/release.yaml", "namespace:", "render: {guard: live, reason: it looks}\nnamespace:");
    put(&shop.fake("live/api.yaml"), deployment("other:1.0", 3));
    let output = shop.run(&["apply", "-e", "prod", "-l", "name=api"]).exits(1);
    assert!(
        output.stderr.contains("error[PL201]: api: image `registry.example.org/shop/other:1.0`"),
        "{}",
        output.screen()
    );
    put(&shop.fake("live/api.yaml"), deployment("api:1.0", 3) + map);
    shop.run(&["apply", "-e", "prod", "-l", "name=api"]).ok();
}

#[test]
fn a_guard_without_a_reason_is_none() {
    let shop = Shop::locked();
    shop.edit("templates/apps/api/release.yaml", "namespace:", "render: {guard: live}\nnamespace:");
    assert_screen!(shop.path(), "no_reason", shop.run(&["lint", "-q", "-e", "prod"]).exits(1).screen());
}

/// The releases that helm rendered since it was asked last.
fn rendered(shop: &Shop) -> Vec<String> {
    let calls = shop.calls();
    let calls = calls.iter().filter_map(|call| call.strip_prefix("helm template "));
    let mut names: Vec<String> = calls.map(|rest| rest.split(' ').next().unwrap().to_owned()).collect();
    names.sort();
    let _ = fs::remove_file(shop.fake("calls"));
    names
}

#[test]
fn what_was_rendered_is_not_rendered_again() {
    let shop = Shop::locked();
    let all = ["api", "jobs", "queue", "store", "web"];
    let first = shop.run(&["template", "-e", "prod"]).ok();
    assert_eq!(rendered(&shop), all);
    assert_eq!(shop.run(&["template", "-e", "prod"]).ok(), first);
    shop.run(&["lint", "-e", "prod"]).ok();
    shop.run(&SAVE).ok();
    assert_eq!(rendered(&shop), Vec::<String>::new());
    put(&shop.file("environments/prod/releases/web.yaml"), "replicas: 7\n");
    shop.run(&["lint", "-e", "prod"]).ok();
    assert_eq!(rendered(&shop), ["web"]);
    for verb in [&["template"][..], &["lint"], &["plan", "--save", "../plan.json"]] {
        shop.run(&[verb, &["-e", "prod", "--no-cache"]].concat()).ok();
        assert_eq!(rendered(&shop), all, "{verb:?}");
    }
    // An upgrade is another render than a first install.
    shop.run(&["apply", "-e", "prod"]).ok();
    assert_eq!(rendered(&shop), Vec::<String>::new());
    put(&shop.file("environments/prod/releases/web.yaml"), "replicas: 8\n");
    shop.run(&["template", "-e", "prod"]).ok();
    shop.run(&SAVE).ok();
    let calls =
        shop.calls().iter().filter(|call| call.contains("helm template web") && call.contains("--is-upgrade")).count();
    assert_eq!((calls, rendered(&shop)), (1, vec!["web".to_owned(), "web".to_owned()]));
    shop.run(&["apply", "-e", "prod"]).ok();
    assert_eq!(rendered(&shop), Vec::<String>::new());

    // Damage and a closed folder cost time, and nothing else.
    let renders = shop.path().join("home/cache/renders");
    for entry in fs::read_dir(&renders).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    }
    shop.run(&["template", "-e", "prod"]).ok();
    assert_eq!(rendered(&shop), all);
    fs::remove_dir_all(&renders).unwrap();
    put(&renders, "in the way");
    shop.run(&["template", "-e", "prod"]).ok();
    assert_eq!(rendered(&shop), all);
}

const CRD: &str = "---
# Source: store/crds/stores.yaml
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: stores.example.org}
spec:
  group: example.org
  names: {kind: Store, plural: stores}
  scope: Namespaced
  versions: [{name: v1, served: true, storage: true}]
";

/// A plan says what apply does beside helm's part.
#[test]
fn a_plan_names_definitions_that_change() {
    let shop = Shop::locked();
    put(&shop.fake("render/store.yaml"), CRD);
    let store = ["plan", "-e", "prod", "-l", "name=store"];
    let plan = |expected: Option<&str>| {
        let output = shop.run(&store).ok();
        let line = output.stdout.lines().find(|line| line.contains("CustomResourceDefinition"));
        assert_eq!(line.map(str::trim), expected, "{}", output.screen());
    };
    plan(Some("CustomResourceDefinition stores.example.org  new"));
    let there = |version: &str| {
        format!(
            r#"{{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {{"name": "stores.example.org"}},
            "spec": {{"scope": "Namespaced", "versions": [{{"name": "{version}", "served": true, "storage": true}}]}}}}"#
        )
    };
    put(&shop.fake("existing"), there("v1"));
    plan(None);
    put(&shop.fake("existing"), there("v1beta1"));
    let lossy = "changed, objects that are there may lose something: see `platctl diff`";
    plan(Some(&format!("CustomResourceDefinition stores.example.org  {lossy}")));
    // What the API server would say to it is asked, with apply's own words for it.
    let conflict =
        "error: Apply failed with 1 conflict: conflict with \"NAME\" using apiextensions.k8s.io/v1: .spec.versions\n";
    put(&shop.fake("fail/apply"), conflict.replace("NAME", "cainjector"));
    let output = shop.run(&store).ok();
    let said = "apply would change something, and then fail, for 1 reason\n\
                error[E0410]: store: cannot apply its custom resource definitions: kubectl failed\n";
    assert!(output.stdout.contains(said), "{}", output.screen());
    put(&shop.fake("fail/apply"), conflict.replace("NAME", "helm"));
    assert!(!shop.run(&store).ok().stdout.contains("E0410"));
    put(&shop.fake("fail/get---ignore-not-found"), "Error from server (Forbidden): no\n");
    let output = shop.run(&store).ok();
    assert!(output.stderr.contains("warning: resource definitions are not compared"), "{}", output.screen());
}

#[test]
fn a_plan_names_images_that_are_pushed_or_lacking() {
    let registry = SiteRegistry::start();
    let shop = Shop::bundled(&registry.host);
    let from_bundle = ["plan", "-e", "prod", "--bundle", "../platform.tar"];
    assert_screen!(shop.path(), "from_bundle", shop.run(&from_bundle).ok().screen().replace(&registry.host, "[site]"));
    let dry = shop.run(&["apply", "-e", "prod", "--bundle", "../platform.tar", "--dry-run"]).ok();
    assert_screen!(shop.path(), "dry_run_from_bundle", dry.screen().replace(&registry.host, "[site]"));
    let without = shop.run(&["plan", "-e", "prod", "-l", "name=api"]).ok();
    assert_screen!(shop.path(), "lacking", without.screen().replace(&registry.host, "[site]"));
    assert_eq!(registry.manifests(), Vec::<String>::new(), "it was only asked");
    assert!(shop.changing_calls().is_empty());

    shop.run(&["push", "../platform.tar"]).ok();
    for args in [&from_bundle[..], &["plan", "-e", "prod"]] {
        let output = shop.run(args).ok();
        let said = format!("\n{} has 6 images already\n", registry.host);
        assert!(output.stdout.contains(&said), "{}", output.screen());
    }
    let json: Value =
        serde_json::from_str(&shop.run(&[&from_bundle[..], &["-o", "json"]].concat()).ok().stdout).unwrap();
    assert_eq!((&json["foreseen"]["images"]["needed"], &json["foreseen"]["images"]["push"]), (&json!(6), &json!({})));
}

#[test]
fn a_plan_says_what_apply_would_be_refused_for() {
    let shop = Shop::locked();
    let web = ["-e", "prod", "-l", "name=web"];
    let needs = shop.run(&[&["plan"], &web[..]].concat()).ok();
    assert_screen!(shop.path(), "would_be_refused", needs.screen());
    let json = shop.run(&[&["plan", "-o", "json"], &web[..]].concat()).ok();
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["foreseen"]["refused"][0]["code"], "E0405");
    let skipped = shop.run(&[&["apply", "--dry-run", "--skip-needs"], &web[..]].concat()).ok();
    assert!(!skipped.stderr.contains("E0405"), "{}", skipped.screen());

    // What does not render, or may not run, is told as apply tells it; what is known of the steps is shown.
    let own = |output: &crate::support::Output| {
        let from = output.stderr.find("error[").unwrap_or_else(|| panic!("{}", output.screen()));
        output.stderr[from..].to_owned()
    };
    put(&shop.file("environments/prod/releases/web.yaml"), "image: registry.example.org/shop/web:9\n");
    let apply = shop.run(&["apply", "-e", "prod"]).exits(4);
    for args in [&["plan", "-e", "prod"][..], &["apply", "-e", "prod", "--dry-run"], &SAVE] {
        let output = shop.run(args).exits(4);
        assert_eq!(own(&output), own(&apply), "{args:?}");
        assert!(output.screen().contains("web                       install  3.1.0"), "{}", output.screen());
    }
    assert!(!shop.path().join("plan.json").exists());
    put(&shop.file("environments/prod/releases/web.yaml"), "replicas: 2\n");
    put(&shop.fake("fail/template-web"), "Error: execution error at (web/templates/a.yaml:1:2): no\n");
    let apply = shop.run(&["apply", "-e", "prod"]).exits(1);
    assert_eq!(own(&shop.run(&["plan", "-e", "prod"]).exits(1)), own(&apply));
}

#[test]
fn a_plan_says_what_is_installed_again() {
    let shop = Shop::locked();
    let hook =
        "---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: first, annotations: {helm.sh/hook: pre-install}}\n";
    put(&shop.fake("render/api.yaml"), deployment("api:1.0", 1) + hook);
    put(&shop.fake("fail/upgrade-api"), "Error: something\n");
    shop.run(&["apply", "-e", "prod", "-l", "name=api"]).exits(1);
    let ours = "platctl.dev/platform=shop,platctl.dev/environment=prod";
    let failed = format!(
        "shop   sh.helm.release.v1.api.v1   helm.sh/release.v1   1   5m   name=api,owner=helm,status=failed,version=1,{ours}\n"
    );
    put(&shop.fake("records"), failed);
    for args in [&["plan", "-e", "prod", "-l", "name=api"][..], &["apply", "-e", "prod", "-l", "name=api", "--dry-run"]]
    {
        let output = shop.run(args).ok();
        assert!(output.screen().contains("install again  0.1.0, its first installation failed"), "{}", output.screen());
    }
}

/// What is named for nothing is not passed over: whoever named it believes that it was made anew.
#[test]
fn what_is_to_be_made_anew_must_be_there_and_change() {
    let shop = Shop::locked();
    put(&shop.fake("render/api.yaml"), deployment("api:1.0", 1));
    shop.run(&["apply", "-e", "prod"]).ok();
    let apply = |named: &[&str]| {
        let flags = named.iter().flat_map(|name| ["--recreate", name]);
        shop.run(&["apply", "-e", "prod"].into_iter().chain(flags).collect::<Vec<_>>())
    };
    let nobody = apply(&["nosuch"]).exits(64);
    assert!(nobody.stderr.contains("--recreate nosuch: there is no such release"), "{}", nobody.screen());
    let object = apply(&["Deployment/api"]).ok();
    let said = "--recreate Deployment/api: it is not upgraded, so nothing of it is made anew";
    assert!(object.stderr.contains(said), "{}", object.screen());
    let idle = apply(&["api"]).ok();
    assert!(idle.stderr.contains("--recreate api: it is not upgraded"), "{}", idle.screen());

    put(&shop.file("environments/prod/releases/api.yaml"), "replicas: 7\n");
    shop.forget_calls();
    let object = apply(&["Deployment/apj"]).exits(64);
    assert!(object.stderr.contains("--recreate Deployment/apj: no release"), "{}", object.screen());
    assert_eq!(shop.upgraded(), Vec::<String>::new());
    let idle = apply(&["api"]).ok();
    assert!(idle.stderr.contains("--recreate api: nothing of it has to be made anew"), "{}", idle.screen());
}

/// What does not change costs one list, whatever is asked of it.
#[test]
fn a_plan_without_changes_asks_nobody_else() {
    let shop = Shop::locked();
    shop.run(&["apply", "-e", "prod"]).ok();
    for args in [&["plan", "-e", "prod"][..], &["apply", "-e", "prod", "--dry-run"]] {
        shop.forget_calls();
        shop.upstream.reset();
        shop.run(args).ok();
        let calls = shop.calls();
        assert!(matches!(&calls[..], [one] if one.starts_with("kubectl get secrets")), "{calls:?}");
        assert!(shop.upstream.requests().is_empty());
    }
}

/// What helm stored of many releases is one list, for a plan as for apply.
#[test]
fn records_of_many_releases_are_one_list() {
    let shop = Shop::locked();
    shop.run(&["apply", "-e", "prod"]).ok();
    for release in ["api", "jobs", "queue", "web"] {
        put(&shop.file(&format!("environments/prod/releases/{release}.yaml")), "replicas: 7\n");
    }
    for args in [&["plan", "-e", "prod"][..], &["apply", "-e", "prod"]] {
        shop.forget_calls();
        shop.run(args).ok();
        let calls = shop.calls();
        let records =
            |part: &str| calls.iter().filter(|call| call.contains("get --raw") && call.contains(part)).count();
        let (lists, each) = (records("/api/v1/secrets?"), records("/secrets/sh.helm.release.v1."));
        assert_eq!((lists, each), (1, 0), "{calls:#?}");
    }
}
