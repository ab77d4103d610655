//! `lock`: what it pins, that it changes nothing without need, and what it says when the internet does not do as told.

use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::process::Signal;

use crate::assert_screen;
use crate::shop::Shop;
use crate::support::program::until;
use crate::support::put;
use crate::support::upstream::{Fault, Image};

const INDEX: &str = "/charts.example.org/stable/index.yaml";
const STORE_CHART: &str = "/charts.example.org/stable/store-1.2.0.tgz";
const QUEUE: &str = "/v2/ghcr.example.org/charts/queue/";
const STORE_IMAGE: &str = "/v2/registry.example.org/shop/store/manifests/1.0";
const STORE: &str = "templates/base/store/release.yaml";

/// Locks after a change, which fails, and compares what it says. The lock stays as it was.
fn failure(name: &str, code: i32, change: impl FnOnce(&Shop)) -> Shop {
    let shop = Shop::new();
    change(&shop);
    let output = shop.run(&["lock"]).exits(code);
    assert!(!shop.file("charts-lock.yaml").exists());
    assert_screen!(shop.path(), name, without_pins(&output.screen()));
    shop
}

/// How far it got before it failed differs from run to run.
fn without_pins(screen: &str) -> String {
    let kept: Vec<&str> = screen.lines().filter(|line| !line.starts_with("    Pinned  ")).collect();
    kept.join("\n")
}

#[test]
fn a_first_lock() {
    let shop = Shop::new();
    assert_screen!(shop.path(), "first", shop.run(&["lock"]).ok().screen());
    assert_screen!(shop.path(), "lock_file", shop.lock_text());
    assert_eq!(shop.upstream.count(INDEX), 1, "an index is read once");
    assert!(shop.upstream.bytes_of("/v2/registry.example.org/") < 40_000, "no layer is fetched");
    assert!(shop.changing_calls().is_empty());
}

/// The same places that the bundle's own list has.
#[test]
fn every_image_is_listed_with_its_places() {
    let shop = Shop::new();
    let listed = shop.run(&["lock", "-e", "prod", "--images", "-q"]).ok();
    assert_screen!(shop.path(), "images", listed.screen());
    let json = shop.run(&["lock", "-e", "prod", "--images", "-o", "json", "-q"]).ok().stdout;
    shop.bundle("platform.tar").ok();
    let inspected = shop.run(&["inspect", "../platform.tar", "--images", "-o", "json"]).ok().stdout;
    let images = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()["images"].take();
    let places = |image: &serde_json::Value| (image["ref"].clone(), image["size"].clone(), image["places"].clone());
    let of = |images: serde_json::Value| images.as_array().unwrap().iter().map(places).collect::<Vec<_>>();
    assert_eq!(of(images(&json)), of(images(&inspected)));
    assert_eq!(images(&json).as_array().unwrap().len(), 6);
}

#[test]
fn a_second_lock_changes_nothing() {
    let shop = Shop::locked();
    let before = (shop.lock_text(), inode(&shop));
    assert_screen!(shop.path(), "second", shop.run(&["lock"]).ok().screen());
    assert_screen!(shop.path(), "check_fresh", shop.run(&["lock", "--check"]).ok().screen());
    assert_eq!((shop.lock_text(), inode(&shop)), before, "the file was not even written");
    assert!(shop.upstream.requests().is_empty(), "{:?}", shop.upstream.requests());
}

/// Writing a file atomically gives it another one.
fn inode(shop: &Shop) -> u64 {
    fs::metadata(shop.file("charts-lock.yaml")).unwrap().ino()
}

#[test]
fn another_cache_gives_the_same_lock() {
    let shop = Shop::locked();
    let text = shop.lock_text();
    fs::remove_file(shop.file("charts-lock.yaml")).unwrap();
    shop.platctl().env("PLATCTL_CACHE_DIR", shop.path().join("other")).args(["lock"]).run().ok();
    assert_eq!(shop.lock_text(), text);
}

#[test]
fn check_fails_when_the_lock_is_stale() {
    let shop = Shop::locked();
    let text = shop.lock_text();
    shop.edit("templates/apps/jobs/release.yaml", "runner:7", "runner:8");
    assert_screen!(shop.path(), "check_stale", shop.run(&["lock", "--check"]).exits(1).screen());
    assert_eq!(shop.lock_text(), text);
    assert_screen!(shop.path(), "relock", shop.run(&["lock"]).ok().screen());
    assert!(shop.lock_text().contains("runner:8") && !shop.lock_text().contains("runner:7"));
    shop.run(&["lock", "--check"]).ok();
}

#[test]
fn one_environment_keeps_what_the_others_have() {
    let shop = Shop::locked();
    put(&shop.file("environments/prod/releases/web.yaml"), "image: registry.example.org/shop/web:2.0\n");
    let before = shop.lock_text();
    shop.run(&["lock", "-e", "test"]).ok();
    assert_eq!(shop.lock_text(), before);
    shop.run(&["lock", "-e", "prod"]).ok();
    let after = shop.lock_text();
    assert!(after.contains("shop/web:2.0") && after.contains("shop/web:1.0") && after.contains("- test/apps/web"));
    assert_screen!(shop.path(), "lock_of_no_environment", shop.run(&["lock", "-e", "proud"]).exits(1).screen());
}

#[test]
fn charts_are_laid_out_on_request() {
    let shop = Shop::locked();
    shop.run(&["lock", "--vendor", "vendored"]).ok();
    let names: Vec<String> = crate::support::files(&shop.file("vendored"))
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, ["api-0.1.0.tgz", "jobs-0.9.1.tgz", "queue-2.0.0.tgz", "store-1.2.0.tgz", "web-3.1.0.tgz"]);
}

#[test]
fn charts_that_are_not_there() {
    failure("no_version", 1, |shop| shop.edit(STORE, "version: 1.2.0", "version: 1.3.0"));
    failure("no_chart", 1, |shop| shop.edit(STORE, "name: store", "name: stroe"));
    failure("no_repository", 1, |shop| shop.edit(STORE, "/stable", "/staple"));
    failure("no_oci_chart", 1, |shop| shop.edit("templates/base/queue/release.yaml", "2.0.0", "2.0.1"));
    failure("no_archive", 1, |shop| shop.upstream.fault(Fault::status(STORE_CHART, 404)));
    failure("no_tool", 1, |shop| shop.edit("environments/base/environment.yaml", "1.34.4}", "1.34.5}"));
    failure("no_own_chart", 1, |shop| fs::remove_dir_all(shop.file("templates/apps/api/chart")).unwrap());
}

#[test]
fn repositories_that_refuse() {
    failure("repository_401", 1, |shop| shop.upstream.fault(Fault::status(INDEX, 401)));
    failure("oci_403", 1, |shop| shop.upstream.fault(Fault::status(QUEUE, 403)));
    let limited = Fault::status(STORE_IMAGE, 429).header("Retry-After", "0");
    failure("image_429", 1, |shop| shop.upstream.fault(limited));
}

#[test]
fn nobody_is_there() {
    let shop = Shop::new();
    let output = shop.platctl().env("PLATCTL_MIRROR", "*=http://127.0.0.1:9").args(["lock"]).run().exits(1);
    assert_screen!(shop.path(), "nobody_there", output.screen());
}

#[test]
fn what_is_damaged_on_the_way() {
    failure("index_cut", 1, |shop| shop.upstream.fault(Fault::truncate(INDEX, 100)));
    failure("manifest_altered", 1, |shop| shop.upstream.fault(Fault::alter(STORE_IMAGE)));
    failure("index_no_yaml", 1, |shop| {
        shop.upstream.fault(Fault::new(INDEX, alter_at(0)));
    });
}

fn alter_at(offset: u64) -> crate::support::upstream::What {
    crate::support::upstream::What::Alter { offset: Some(offset) }
}

#[test]
fn what_passes_is_tried_again() {
    for (path, fault) in [
        (INDEX, Fault::status(INDEX, 503)),
        (STORE_CHART, Fault::status(STORE_CHART, 502)),
        (STORE_CHART, Fault::truncate(STORE_CHART, 50)),
        (STORE_IMAGE, Fault::status(STORE_IMAGE, 429).header("Retry-After", "0")),
        (INDEX, Fault::truncate(INDEX, 100)),
    ] {
        let shop = Shop::new();
        shop.upstream.fault(fault.clone().times(2));
        shop.run(&["lock"]).ok();
        assert_eq!(shop.upstream.count(&format!("GET {path}")), 3, "{fault:?}");
    }
}

#[test]
fn an_interrupt_ends_it_soon() {
    let shop = Shop::new();
    shop.upstream.fault(Fault::status(INDEX, 503).header("Retry-After", "60"));
    let running = shop.platctl().args(["lock"]).start(shop.path());
    until("it waits for the repository", || shop.upstream.count(INDEX) > 0);
    running.signal(Signal::INT);
    assert_screen!(shop.path(), "interrupted", running.wait().exits(130).screen());
    assert!(!shop.file("charts-lock.yaml").exists());
}

#[test]
fn a_chart_that_changed_upstream_keeps_its_pin() {
    let shop = Shop::locked();
    let text = shop.lock_text();
    put(&shop.path().join("changed/Chart.yaml"), "apiVersion: v2\nname: store\nversion: 1.2.0\ndescription: Other.\n");
    shop.upstream.put_chart("https://charts.example.org/stable", &shop.path().join("changed")).unwrap();
    shop.run(&["lock"]).ok();
    assert_eq!(shop.lock_text(), text);
    let elsewhere = shop.platctl().env("PLATCTL_CACHE_DIR", shop.path().join("other"));
    assert_screen!(shop.path(), "chart_changed", elsewhere.args(["lock"]).run().exits(1).screen());
    let queue = crate::shop::fixture().join("charts/queue");
    crate::support::copy_folder(&queue, &shop.path().join("queue"));
    put(&shop.path().join("queue/values.yaml"), "other: 1\n");
    shop.upstream.put_chart("oci://ghcr.example.org/charts", &shop.path().join("queue")).unwrap();
    let elsewhere = shop.platctl().env("PLATCTL_CACHE_DIR", shop.path().join("another"));
    elsewhere.args(["lock", "-e", "test"]).run().exits(1);
}

#[test]
fn an_own_chart_that_changed_is_locked_anew() {
    let shop = Shop::locked();
    shop.add("templates/apps/api/chart/values.yaml", "x: 1\n");
    shop.run(&["lock", "--check"]).exits(1);
    assert_screen!(shop.path(), "own_chart_not_locked", shop.run(&["template", "-e", "prod"]).exits(1).screen());
    shop.run(&["lock"]).ok();
    shop.run(&["lock", "--check"]).ok();
}

#[test]
fn images_that_can_not_be_pinned() {
    let pods = |image: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p, namespace: data}}\nspec:\n  containers:\n  - {{name: c, image: {image}}}\n"
        )
    };
    failure("image_floats", 1, |shop| put(&shop.fake("render/store.yaml"), pods("quay.io/example/app:latest")));
    failure("image_without_tag", 1, |shop| put(&shop.fake("render/store.yaml"), pods("quay.io/example/app")));
    failure("image_no_reference", 1, |shop| put(&shop.fake("render/store.yaml"), pods("quay.io/Example/app:1")));
    failure("image_not_there", 1, |shop| shop.upstream.fault(Fault::status(STORE_IMAGE, 404)));
    failure("render_fails", 1, |shop| {
        let word = "Error: execution error at (store/templates/a.yaml:3:4): a password is required\n";
        put(&shop.fake("fail/template-store"), word);
    });
    failure("render_guarded", 1, |shop| {
        let word = "Error: execution error at (store/templates/NOTES.txt:123:4): \n\nUnrecognized images:\n  - r.example/shop/store:1\n\n\
            If you are sure you want to proceed with non-standard containers, you can skip container image verification by \
            setting the global parameter 'global.security.allowInsecureImages' to true.\n";
        put(&shop.fake("fail/template-store"), word);
    });
    failure("render_no_object", 1, |shop| put(&shop.fake("render/store.yaml"), "---\njust text\n"));
}

/// What is only probable is asked, and nothing is locked until somebody answers; either answer will do.
#[test]
fn what_may_be_an_image_is_a_question() {
    const FETCHED: &str = "registry.example.org/shop/store:2";
    let pod = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: p, namespace: data}}\nspec:\n  containers:\n  - {{name: c, image: \"registry.example.org/shop/store:1.0\", args: [--fetch={FETCHED}]}}\n"
    );
    let shop = failure("image_undecided", 1, |shop| put(&shop.fake("render/store.yaml"), pod));
    for (answer, locked) in [
        (format!("  ignore: [{{ref: \"{FETCHED}\", reason: \"never pulled\"}}]\n"), false),
        (format!("  extra: [\"{FETCHED}\"]\n"), true),
    ] {
        shop.edit(
            "templates/base/store/release.yaml",
            "namespace: data\n",
            &format!("namespace: data\nimages:\n{answer}"),
        );
        shop.run(&["lock"]).ok();
        assert_eq!(shop.lock_text().contains(FETCHED), locked);
        let shown = shop.run(&["template", "-e", "prod"]).ok().stdout;
        assert_eq!(shown.contains(&format!("--fetch={FETCHED}")), !locked, "{shown}");
        shop.edit("templates/base/store/release.yaml", &format!("images:\n{answer}"), "");
    }
}

#[test]
fn an_image_that_is_not_made_for_the_nodes() {
    let shop = Shop::with(|settings| {
        let reference = "registry.example.org/shop/store".to_owned();
        settings.images.retain(|image| image.reference != reference);
        let platforms = vec!["linux/arm64".to_owned(), "linux/s390x".to_owned()];
        settings.images.push(Image { reference, platforms, ..Image::default() });
    });
    assert_screen!(shop.path(), "image_platform", without_pins(&shop.run(&["lock"]).exits(1).screen()));
}

#[test]
fn values_and_passwords_are_in_no_argument() {
    let shop = Shop::locked();
    shop.run(&["template", "-e", "prod"]).ok();
    assert!(shop.calls().iter().any(|call| call.starts_with("helm template store")));
    assert!(shop.calls().iter().all(|call| !call.contains("not-in-any-argument")), "{:?}", shop.calls());
    let values = crate::support::read(&shop.fake("stdin/helm-template-store"));
    assert_eq!(values, "{\"password\":\"not-in-any-argument\",\"hosts\":[\"a\",\"b\"],\"replicas\":3}\n");
}
