//! `bundle`: the same bytes every time, whatever goes wrong on the way.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use rustix::process::Signal;

use crate::assert_screen;
use crate::shop::Shop;
use crate::support::program::until;
use crate::support::upstream::{Fault, Image, Settings, Size};
use crate::support::{BundleFile, put};

const STORE_BLOBS: &str = "/v2/registry.example.org/shop/store/blobs/";

/// An image that takes a while, so that there is something to interrupt.
fn big(settings: &mut Settings) {
    let reference = "registry.example.org/shop/store".to_owned();
    settings.images.retain(|image| image.reference != reference);
    settings.images.push(Image { reference, layers: vec![Size(24 << 20), Size(12 << 20)], ..Image::default() });
}

fn locked_with(change: impl FnOnce(&mut Settings)) -> Shop {
    let shop = Shop::with(change);
    shop.run(&["lock"]).ok();
    shop.upstream.reset();
    shop
}

fn bytes(shop: &Shop, file: &str) -> Vec<u8> {
    fs::read(shop.path().join(file)).unwrap()
}

/// The path of a layer of [`big`]: the largest that was fetched, or the one after it.
fn layer(shop: &Shop, place: usize) -> (String, u64) {
    let mut blobs: Vec<_> = shop.upstream.requests().into_iter().filter(|r| r.path.contains(STORE_BLOBS)).collect();
    blobs.sort_by_key(|request| std::cmp::Reverse(request.bytes));
    (blobs[place].path.clone(), blobs[place].bytes)
}

/// The bundle as it is made when nothing goes wrong.
fn whole(shop: &Shop) -> Vec<u8> {
    shop.bundle("whole.tar").ok();
    shop.upstream.reset();
    bytes(shop, "whole.tar")
}

#[test]
fn a_bundle_and_the_same_again() {
    let shop = Shop::locked();
    assert_screen!(shop.path(), "made", shop.bundle("platform.tar").ok().screen());
    let layers = shop.upstream.count("/blobs/");
    let args = ["bundle", "-e", "prod", "--platctl", "../platctl-to-carry", "-o", "../again.tar"];
    let output = shop.platctl().env("PLATCTL_CACHE_DIR", shop.path().join("empty")).args(args).run().ok();
    assert!(output.stdout.is_empty());
    assert_eq!(bytes(&shop, "platform.tar"), bytes(&shop, "again.tar"));
    assert!(shop.upstream.count("/blobs/") >= 2 * layers, "images are not kept in the cache");
    let file = BundleFile::open(&shop.path().join("platform.tar"));
    let first: Vec<&str> = file.entries.iter().take(3).map(|entry| entry.name.as_str()).collect();
    assert_eq!(first, ["platctl", "oci-layout", "index.json"]);
    let names: std::collections::BTreeSet<&str> = file.entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names.len(), file.entries.len(), "no blob is there twice");
}

#[test]
fn a_bundle_holds_one_site() {
    let shop = Shop::locked();
    shop.bundle("platform.tar").ok();
    shop.run(&["unpack", "../platform.tar", "../site"]).ok();
    assert!(shop.path().join("site/environments/prod").is_dir() && shop.path().join("site/environments/base").is_dir());
    assert!(!shop.path().join("site/environments/test").exists(), "another site's settings stay at home");
}

#[test]
fn what_passes_is_tried_again() {
    let shop = Shop::locked();
    let whole = whole(&shop);
    for fault in [
        Fault::status(STORE_BLOBS, 503).times(2),
        Fault::status(STORE_BLOBS, 429).header("Retry-After", "0").times(2),
        Fault::truncate(STORE_BLOBS, 1000).times(3),
    ] {
        shop.upstream.fault(fault.clone());
        let output = shop.bundle("again.tar");
        shop.upstream.clear_faults();
        assert_eq!(output.code, 0, "{fault:?}\n{}", output.screen());
        assert!(bytes(&shop, "again.tar") == whole, "{fault:?} changed the bundle");
    }
}

#[test]
fn a_layer_that_was_cut_goes_on_where_it_ended() {
    let shop = locked_with(big);
    shop.bundle("whole.tar").ok();
    let (layer, _) = layer(&shop, 0);
    shop.upstream.reset();
    shop.upstream.fault(Fault::truncate(layer, 6 << 20).times(1));
    shop.bundle("platform.tar").ok();
    let resumed: Vec<String> = shop.upstream.requests().into_iter().filter_map(|request| request.range).collect();
    assert!(resumed.iter().any(|range| range == &format!("bytes={}-", 6 << 20)), "{resumed:?}");
}

#[test]
fn what_stays_wrong_is_told() {
    for (name, fault) in [
        ("blob_altered", Fault::alter(STORE_BLOBS)),
        ("blob_404", Fault::status(STORE_BLOBS, 404)),
        ("blob_401", Fault::status(STORE_BLOBS, 401)),
        ("manifest_404", Fault::status("/v2/registry.example.org/shop/store/manifests/sha256", 404)),
        ("manifest_altered", Fault::alter("/v2/registry.example.org/shop/store/manifests/sha256")),
    ] {
        let shop = Shop::locked();
        shop.upstream.fault(fault);
        let output = shop.bundle("platform.tar").exits(1);
        assert!(!shop.path().join("platform.tar").exists(), "half a bundle is none");
        assert_screen!(shop.path(), name, output.screen());
        shop.upstream.clear_faults();
        shop.bundle("platform.tar").ok();
    }
}

#[test]
fn a_lock_that_does_not_have_everything() {
    let shop = Shop::locked();
    let lock = shop.lock_text();
    let refused = |name: &str, code: i32| {
        let output = shop.bundle("platform.tar").exits(code);
        assert!(shop.upstream.count("/blobs/") == 0 && !shop.path().join("platform.tar.partial").exists());
        assert_screen!(shop.path(), name, output.screen());
    };
    fs::remove_file(shop.file("charts-lock.yaml")).unwrap();
    refused("no_lock", 1);
    put(&shop.file("charts-lock.yaml"), lock.replace("- prod/apps/web\n", ""));
    refused("image_not_locked", 4);
    let (head, _) = lock.split_once("images:").unwrap();
    let (_, tools) = lock.split_once("tools:").unwrap();
    put(&shop.file("charts-lock.yaml"), format!("{head}images: []\ntools:{tools}"));
    refused("no_image_locked", 1);
    put(&shop.file("charts-lock.yaml"), lock.split_once("tools:").unwrap().0);
    refused("no_tool_locked", 1);
    put(&shop.file("charts-lock.yaml"), lock.replace("name: web\n  version: 3.1.0", "name: web\n  version: 3.0.0"));
    refused("chart_not_locked", 1);
}

#[test]
fn only_a_static_executable_is_carried() {
    let shop = Shop::locked();
    let with = |name: &str, program: &str| {
        let args = ["bundle", "-e", "prod", "-o", "../x.tar", "--platctl", program];
        let output = shop.run(&args).exits(1);
        assert!(!shop.path().join("x.tar").exists());
        assert_screen!(shop.path(), name, output.screen());
    };
    with("platctl_dynamic", "/bin/ls");
    with("platctl_script", "../fake/uid");
    with("platctl_missing", "../no-platctl");
}

#[test]
fn places_that_can_not_be_written() {
    let shop = Shop::locked();
    assert_screen!(shop.path(), "no_folder", shop.bundle("no-folder/x.tar").exits(1).screen());
    fs::create_dir(shop.path().join("taken.tar")).unwrap();
    assert_screen!(shop.path(), "a_folder", shop.bundle("taken.tar").exits(1).screen());
    let folder = shop.path().join("read-only");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).unwrap();
    assert_screen!(shop.path(), "takes_no_files", bundle_into(&shop, "/proc/x.tar").exits(1).screen());
    if fs::write(folder.join("probe"), "").is_ok() {
        eprintln!("this user may write everywhere: a folder without the right to write could not be tried");
    } else {
        assert_screen!(shop.path(), "read_only", shop.bundle("read-only/x.tar").exits(1).screen());
    }
}

fn bundle_into(shop: &Shop, file: &str) -> crate::support::Output {
    shop.run(&["bundle", "-e", "prod", "--platctl", "../platctl-to-carry", "-o", file])
}

/// Starts to make a bundle.
fn started(shop: &Shop) -> crate::support::Running {
    let args = ["bundle", "-e", "prod", "--platctl", "../platctl-to-carry", "-o", "../platform.tar"];
    shop.platctl().args(args).start(shop.path())
}

#[test]
fn an_interrupt_leaves_what_was_fetched() {
    let shop = locked_with(big);
    shop.bundle("whole.tar").ok();
    let ((first, size), (second, _)) = (layer(&shop, 0), layer(&shop, 1));
    shop.upstream.reset();
    // One layer comes, the other is not to be had for a while.
    shop.upstream.fault(Fault::status(&second, 503).header("Retry-After", "20"));
    let running = started(&shop);
    let whole = BundleFile::open(&shop.path().join("whole.tar"));
    let entry = format!("blobs/sha256/{}", first.rsplit(':').next().unwrap());
    until("it has one layer in place and waits for the other", || {
        let there = fs::File::open(shop.path().join("platform.tar.partial"));
        let mut bytes = vec![0; usize::try_from(size).unwrap()];
        let read = there.and_then(|file| file.read_exact_at(&mut bytes, whole.entry(&entry).bytes.start));
        read.is_ok() && bytes == whole.read(&entry) && shop.upstream.count(&second) > 0
    });
    running.signal(Signal::INT);
    let output = running.wait().exits(130);
    assert_screen!(shop.path(), "interrupted", output.screen());
    assert!(!shop.path().join("platform.tar").exists() && partial(shop.path()));
    shop.upstream.clear_faults();
    let output = shop.bundle("platform.tar").ok();
    assert_screen!(shop.path(), "resumed", output.screen());
    assert!(bytes(&shop, "platform.tar") == bytes(&shop, "whole.tar"));
}

fn partial(folder: &Path) -> bool {
    folder.join("platform.tar.partial").exists()
}

#[test]
fn two_at_once_do_not_mix() {
    let shop = locked_with(big);
    shop.bundle("whole.tar").ok();
    shop.upstream.fault(Fault::status(layer(&shop, 0).0, 503).header("Retry-After", "20"));
    let running = started(&shop);
    until("it fetches", || shop.upstream.count("/blobs/") > 0 && partial(shop.path()));
    assert_screen!(shop.path(), "busy", shop.bundle("platform.tar").exits(1).screen());
    running.signal(Signal::TERM);
    running.wait().exits(130);
}
