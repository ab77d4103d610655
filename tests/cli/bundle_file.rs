//! `inspect`, `unpack` and `push`: what they show of a good bundle, and that nothing happens with a damaged one.

use std::fs;
use std::path::{Path, PathBuf};

use crate::assert_screen;
use crate::shop::Shop;
use crate::support::{BundleFile, Output, SiteRegistry, files, read};

/// A bundle of prod for a site's registry. Nothing but the bundle is at the site.
struct Site {
    shop: Shop,
    registry: SiteRegistry,
}

impl Site {
    fn new() -> Site {
        let registry = SiteRegistry::start();
        Site { shop: Shop::bundled(&registry.host), registry }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.shop.path().join(name)
    }

    /// Runs the program at the site: an empty folder, an empty cache, no internet.
    fn run(&self, args: &[&str]) -> Output {
        let site = self.file("site");
        fs::create_dir_all(&site).unwrap();
        let _ = fs::remove_dir_all(self.file("site-cache"));
        let program = self.shop.platctl().folder(&site).env("PLATCTL_MIRROR", "*=http://127.0.0.1:9");
        program.env("PLATCTL_CACHE_DIR", self.file("site-cache")).args(args).run()
    }
}

#[test]
fn what_a_bundle_holds() {
    let site = Site::new();
    for (name, args) in [
        ("inspect", &["inspect", "../platform.tar"][..]),
        ("inspect_images", &["inspect", "../platform.tar", "--images"]),
        ("inspect_verify", &["inspect", "../platform.tar", "--verify"]),
    ] {
        assert_screen!(site.shop.path(), name, site.run(args).ok().screen());
    }
    let json = site.run(&["inspect", "../platform.tar", "-o", "json"]).ok();
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&json["apiVersion"], &json["environment"]), (&"platctl.dev/v1".into(), &"prod".into()));
    assert_eq!(json["images"].as_array().unwrap().len(), 6);
    assert_eq!(json["images"][0]["platforms"], serde_json::json!(["linux/amd64"]));
    assert!(!site.file("site-cache").exists(), "inspect leaves nothing behind");
}

#[test]
fn the_definition_comes_out_as_it_went_in() {
    let site = Site::new();
    assert_screen!(site.shop.path(), "unpack", site.run(&["unpack", "../platform.tar", "."]).ok().screen());
    for file in files(&site.file("site")) {
        let inside = file.strip_prefix(site.file("site")).unwrap();
        assert_eq!(read(&file), read(&site.shop.file(&inside.display().to_string())), "{}", inside.display());
    }
    assert_screen!(site.shop.path(), "unpack_again", site.run(&["unpack", "../platform.tar", "."]).exits(1).screen());
    let locked = site.run(&["template", "-e", "prod", "--bundle", "../platform.tar"]).ok();
    let bundled = site.run(&["template", "-C", "../platform", "-e", "prod", "--bundle", "../platform.tar"]).ok();
    assert_eq!(locked.stdout, bundled.stdout);
}

#[test]
fn a_bundle_is_for_one_environment() {
    let site = Site::new();
    let args = ["plan", "-e", "test", "--bundle", "../platform.tar"];
    assert_screen!(site.shop.path(), "other_environment", site.run(&args).exits(4).screen());
    let locking = site.run(&["lock", "--bundle", "../platform.tar"]);
    assert_screen!(site.shop.path(), "lock_of_a_bundle", locking.exits(1).screen());
}

#[test]
fn images_come_into_the_registry_once() {
    let site = Site::new();
    assert_screen!(site.shop.path(), "push", site.run(&["push", "../platform.tar"]).ok().screen());
    assert_screen!(site.shop.path(), "registry", site.registry.manifests().join("\n"));
    site.registry.forget_requests();
    assert_screen!(site.shop.path(), "push_again", site.run(&["push", "../platform.tar"]).ok().screen());
    assert_eq!(site.registry.writes(), Vec::<String>::new());
    assert!(site.registry.requests().len() <= 6, "a question for each image: {:?}", site.registry.requests());
    let nobody = site.shop.path().join("platform/environments/prod/environment.yaml");
    fs::write(&nobody, read(&nobody).replace(&site.registry.host, "127.0.0.1:9")).unwrap();
    let args = ["push", "-C", "../platform", "-e", "prod", "../platform.tar"];
    assert_screen!(site.shop.path(), "push_to_nobody", one_image(&site.run(&args).exits(1).screen()));
}

/// Which image is refused first differs from run to run.
fn one_image(screen: &str) -> String {
    let images = ["api:1.0", "jobs:1.0", "queue:1.0", "runner:7", "web:1.0", "api", "jobs", "queue", "runner", "web"];
    images.iter().fold(screen.to_owned(), |text, image| {
        let name = if image.contains(':') { "shop/store:1.0" } else { "shop/store" };
        text.replace(&format!("shop/{image}"), name)
    })
}

#[test]
fn registries_that_refuse() {
    for (name, part, status, code) in [
        ("push_401", "POST", 401, "UNAUTHORIZED"),
        ("push_403", "POST", 403, "DENIED"),
        ("push_no_project", "POST", 404, "NAME_UNKNOWN"),
        ("push_too_large", "PUT /v2/mirror/registry.example.org/shop/store/blobs", 413, "TOOLARGE"),
        ("push_manifest_refused", "PUT /v2/mirror/registry.example.org/shop/store/manifests", 400, "MANIFEST_INVALID"),
    ] {
        let site = Site::new();
        site.registry.refuse(part, status, code);
        let args = ["apply", "-e", "prod", "--bundle", "../platform.tar"];
        // What is refused before anything is sent, and what is refused later.
        let output = site.run(&args).exits(if part == "POST" { 4 } else { 1 });
        assert_eq!(site.shop.changing_calls(), Vec::<String>::new(), "images go first");
        assert_screen!(site.shop.path(), name, one_image(&output.screen()));
    }
}

const APPLY: [&str; 5] = ["apply", "-e", "prod", "--bundle", "../bad.tar"];

/// Applies a damaged copy: refused before the cluster is touched.
fn refused(site: &Site, name: &str) -> Output {
    site.shop.forget_calls();
    site.registry.forget_requests();
    let output = site.run(&APPLY);
    assert!(output.code == 4 || output.code == 1, "{name}: {}", output.screen());
    assert_eq!(site.shop.changing_calls(), Vec::<String>::new(), "{name}: {}", output.screen());
    output
}

#[test]
fn one_altered_byte_is_found_before_anything_happens() {
    let site = Site::new();
    let file = BundleFile::open(&site.file("platform.tar"));
    let parts = [
        ("index", "index.json".to_owned()),
        ("image_manifest", file.manifest("shop/store").0),
        ("chart", file.layer("\"store\"")),
        ("tool", file.layer("kubectl")),
        ("definition", file.layer("definition")),
        ("platctl", "platctl".to_owned()),
    ];
    for (name, entry) in parts {
        file.altered(&entry, &site.file("bad.tar"));
        let output = refused(&site, name).exits(4);
        assert_eq!(site.registry.writes(), Vec::<String>::new(), "{name} was altered");
        assert_screen!(site.shop.path(), format!("altered_{name}"), output.screen());
        assert_ne!(site.run(&["inspect", "../bad.tar", "--verify"]).code, 0, "{name}: verify finds it");
    }
    // The last is needed by no step before the cluster is changed: a plan says it too.
    let planned = site.run(&["plan", "-e", "prod", "--bundle", "../bad.tar"]).ok();
    let said = planned.stdout.split_once("apply would change nothing, for 1 reason\n").map(|(_, said)| said);
    assert!(said.is_some_and(|said| said.contains("platctl")), "{}", planned.screen());
}

#[test]
fn an_altered_configuration_reaches_no_cluster() {
    let site = Site::new();
    let file = BundleFile::open(&site.file("platform.tar"));
    let (_, image) = file.manifest("shop/store");
    file.altered(&file.blob(&image["config"]["digest"]), &site.file("bad.tar"));
    assert_screen!(site.shop.path(), "altered_config", refused(&site, "config").exits(4).screen());
}

#[test]
fn an_altered_layer_reaches_no_cluster() {
    let site = Site::new();
    let file = BundleFile::open(&site.file("platform.tar"));
    let (_, image) = file.manifest("shop/store");
    let last = image["layers"].as_array().unwrap().last().unwrap();
    file.altered(&file.blob(&last["digest"]), &site.file("bad.tar"));
    assert_screen!(site.shop.path(), "altered_layer", refused(&site, "layer").exits(4).screen());
    assert!(site.registry.manifests().iter().all(|name| !name.contains("shop/store/")), "no image that is not whole");
    let verified = site.run(&["inspect", "../bad.tar", "--verify"]).exits(1);
    assert_screen!(site.shop.path(), "altered_layer_verify", verified.screen());
}

#[test]
fn an_altered_platctl_is_found_by_verify() {
    let site = Site::new();
    let file = BundleFile::open(&site.file("platform.tar"));
    file.altered("platctl", &site.file("bad.tar"));
    let verified = site.run(&["inspect", "../bad.tar", "--verify"]).exits(1);
    assert_screen!(site.shop.path(), "altered_platctl_verify", verified.screen());
}

#[test]
fn a_file_that_was_cut_short_is_no_bundle() {
    let site = Site::new();
    let file = BundleFile::open(&site.file("platform.tar"));
    let index = &file.entry("index.json").bytes;
    let size = file.size();
    for (name, length) in [
        ("cut_to_nothing", 0),
        ("cut_in_platctl", 3000),
        ("cut_before_index", index.start - 512),
        ("cut_in_index", index.end - 10),
        ("cut_after_index", index.end),
        ("cut_in_the_middle", size / 2),
        ("cut_near_the_end", size - 100_000),
        ("cut_last_block", size - 512),
        ("cut_last_byte", size - 1),
    ] {
        file.cut(length, &site.file("bad.tar"));
        let output = refused(&site, name).exits(4);
        assert_eq!(site.registry.writes(), Vec::<String>::new(), "{name}");
        assert_screen!(site.shop.path(), name, output.screen());
    }
}

#[test]
fn files_that_are_no_bundles() {
    let site = Site::new();
    let path = site.file("bad.tar");
    for (name, bytes) in [("no_tar", b"hello, world\n".repeat(100)), ("zeros", vec![0; 10_240])] {
        fs::write(&path, bytes).unwrap();
        assert_screen!(site.shop.path(), name, refused(&site, name).exits(4).screen());
    }
    let mut bytes = fs::read(site.file("platform.tar")).unwrap();
    bytes.extend(b"more");
    fs::write(&path, bytes).unwrap();
    assert_screen!(site.shop.path(), "trailing", refused(&site, "trailing").exits(4).screen());
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_screen!(site.shop.path(), "folder", refused(&site, "folder").exits(4).screen());
    assert!(Path::new(&path).is_dir());
}
