//! `lint`: what it finds, in which environments, and that it needs neither cluster nor keys nor network; and that the
//! closed world holds at every other verb.

use crate::assert_screen;
use crate::shop::Shop;
use crate::support::{files, put};

/// A chart that downloads, one whose image floats, one whose image nobody locked.
fn open_world(shop: &Shop) {
    let pod = |name: &str, containers: &str| {
        format!(
            "---\n# Source: {name}/templates/pod.yaml\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  containers:\n{containers}"
        )
    };
    let image = "image: registry.example.org/shop";
    let script = "    args: [-c, \"apk add --no-cache kubectl && kubectl apply -f /crds\"]\n";
    put(&shop.fake("render/web.yaml"), pod("web", &format!("  - {image}/web:1.0\n    command: [sh]\n{script}")));
    put(&shop.fake("render/store.yaml"), pod("store", &format!("  - {image}/store\n")));
    put(&shop.fake("render/queue.yaml"), pod("queue", &format!("  - {image}/other:2.0\n")));
}

#[test]
fn nothing_is_wrong() {
    let shop = Shop::locked();
    assert_screen!(shop.path(), "clean", shop.run(&["lint"]).ok().screen().replace(&seconds(&shop), "(0.0s)"));
    assert!(shop.upstream.requests().is_empty(), "{:?}", shop.upstream.requests());
    assert!(shop.calls().iter().all(|call| call.starts_with("helm template")), "{:?}", shop.calls());
}

/// Times differ from run to run.
fn seconds(shop: &Shop) -> String {
    let said = shop.run(&["lint"]).stderr;
    let at = said.rfind('(').unwrap_or_default();
    said[at..].trim_end().to_owned()
}

#[test]
fn an_open_world_is_told_with_every_place() {
    let shop = Shop::locked();
    open_world(&shop);
    let output = shop.run(&["lint", "-q"]).exits(1);
    assert_screen!(shop.path(), "open_world", output.screen());
    assert_screen!(
        shop.path(),
        "open_world_json",
        shop.run(&["lint", "-q", "-e", "prod", "-o", "json"]).exits(1).screen()
    );
}

#[test]
fn files_that_are_wrong_do_not_hide_other_environments() {
    let shop = Shop::locked();
    shop.add("environments/prod/environment.yaml", "kubeversion: 1.34.4\n");
    put(
        &shop.fake("fail/template-web"),
        "Error: execution error at (web/templates/a.yaml:3:4): replicas must be odd\n",
    );
    assert_screen!(shop.path(), "files", shop.run(&["lint", "-q"]).exits(1).screen());
}

#[test]
fn what_is_not_locked_is_told_whole() {
    let shop = Shop::new();
    let bare = shop.run(&["lint", "-q"]).exits(1);
    assert_screen!(shop.path(), "no_lock", bare.screen());
}

#[test]
fn a_download_is_refused_by_every_verb_unless_there_is_a_reason() {
    let shop = Shop::locked();
    open_world(&shop);
    for render in ["store", "queue"] {
        std::fs::remove_file(shop.fake(&format!("render/{render}.yaml"))).unwrap();
    }
    let lock = shop.run(&["lock"]).exits(1);
    assert_screen!(shop.path(), "download", lock.screen());
    for (args, code) in [
        (&["bundle", "-e", "prod", "--platctl", "../platctl-to-carry", "-o", "../platform.tar"][..], 4),
        (&["template", "-e", "prod"], 4),
        (&["apply", "-e", "prod"], 4),
    ] {
        let output = shop.run(args).exits(code);
        assert!(
            output.stderr.contains("error[PL203]: web: `apk add --no-cache kubectl`"),
            "{args:?}: {}",
            output.stderr
        );
    }
    assert!(shop.changing_calls().is_empty(), "{:?}", shop.changing_calls());
    assert!(!files(shop.path()).iter().any(|file| file.ends_with("platform.tar")));

    shop.add(
        "templates/apps/web/release.yaml",
        "lint: {ignore: [{rule: PL203, place: Pod/web, reason: the script is patched at the site}]}\n",
    );
    for args in [&["lock"][..], &["lint"], &["template", "-e", "prod"], &["apply", "-e", "prod"]] {
        shop.run(args).ok();
    }
    assert!(shop.upgraded().contains(&"web".to_owned()));
}

/// No object shows it, so that only the declaration can tell: the bundle would lack it.
#[test]
fn a_declared_image_that_is_not_locked_is_not_forgotten() {
    let shop = Shop::locked();
    shop.edit("templates/apps/jobs/release.yaml", "runner:7", "runner:8");
    assert_screen!(shop.path(), "declared", shop.run(&["lint", "-q"]).exits(1).screen());
    let bundle = shop.bundle("platform.tar").exits(4);
    assert!(
        bundle.stderr.contains("error[PL201]: jobs: image `registry.example.org/shop/runner:8`"),
        "{}",
        bundle.stderr
    );
}
