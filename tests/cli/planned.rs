//! Plans that are saved, and applied as they are or not at all; the guard in the post-renderer; and what is remembered of
//! renders.

use std::fs;
use std::os::unix::fs::PermissionsExt;

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
