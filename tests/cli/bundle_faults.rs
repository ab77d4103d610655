//! `bundle` and an internet that misbehaves: what passes changes no byte, what stays is told, and nothing that was
//! fetched is lost by it.

use std::fs;
use std::path::Path;

use crate::assert_screen;
use crate::shop::Shop;
use crate::support::upstream::{Fault, Image, Settings, Size};
use crate::support::{BundleFile, Output};

const STORE: &str = "/shop/store/blobs/";
const STORE_MANIFEST: &str = "/shop/store/manifests/sha256";
const REFERENCE: &str = "registry.example.org/shop/store";

/// Patient for a second, where a stalled server would otherwise take a minute each time.
fn shop(change: impl FnOnce(&mut Image)) -> Shop {
    let shop = Shop::with(|settings: &mut Settings| {
        settings.images.retain(|image| image.reference != REFERENCE);
        let layers = vec![Size(1_500_000), Size(40_000)];
        let mut image = Image { reference: REFERENCE.to_owned(), layers, ..Image::default() };
        change(&mut image);
        settings.images.push(image);
    });
    shop.edit("environments/base/environment.yaml", "request: 20s", "request: 1s");
    shop
}

fn locked(change: impl FnOnce(&mut Image)) -> Shop {
    let shop = shop(change);
    shop.run(&["lock"]).ok();
    shop.upstream.reset();
    shop
}

fn bytes(shop: &Shop, file: &str) -> Vec<u8> {
    fs::read(shop.path().join(file)).unwrap()
}

/// The largest layer's path.
fn layer(shop: &Shop) -> String {
    let requests = shop.upstream.requests();
    requests.iter().filter(|r| r.path.contains(STORE)).max_by_key(|r| r.bytes).unwrap().path.clone()
}

#[test]
fn what_passes_changes_nothing() {
    let shop = locked(|_| {});
    shop.bundle("whole.tar").ok();
    let (whole, layer) = (bytes(&shop, "whole.tar"), layer(&shop));
    let passing: &[(&str, &[Fault])] = &[
        ("truncated", &[Fault::truncate(&layer, 600_000).times(3)]),
        ("altered", &[Fault::alter(&layer).times(1)]),
        ("stalled", &[Fault::stall(&layer, 600_000, 30).times(2)]),
        ("stalled at the first byte", &[Fault::stall(&layer, 0, 30).times(1)]),
        ("slow", &[Fault::slow(&layer, 5)]),
        ("429 with Retry-After", &[Fault::status(STORE, 429).header("Retry-After", "1").times(2)]),
        ("429 without Retry-After", &[Fault::status(STORE, 429).times(2)]),
        ("503", &[Fault::status(STORE, 503).times(2)]),
        ("503 of a manifest", &[Fault::status(STORE_MANIFEST, 503).times(2)]),
        ("no Range", &[Fault::truncate(&layer, 600_000).times(1), Fault::no_range(&layer)]),
        ("Content-Length too long", &[Fault::length(&layer, 1000).times(2)]),
        ("Content-Length too short", &[Fault::length(&layer, -1000).times(2)]),
        ("altered and truncated", &[Fault::alter(&layer).times(1), Fault::truncate(&layer, 900_000).times(2)]),
    ];
    for (name, faults) in passing {
        shop.upstream.reset();
        faults.iter().for_each(|fault| shop.upstream.fault(fault.clone()));
        let output = shop.bundle("again.tar");
        shop.upstream.clear_faults();
        assert_eq!(output.code, 0, "{name}\n{}", output.screen());
        assert!(bytes(&shop, "again.tar") == whole, "{name} changed the bundle");
        let fetched = shop.upstream.bytes_of(&layer);
        // A connection that ends too early may take with it what had arrived and was not read yet.
        let most = match *name {
            name if name.contains("no Range") || name.contains("altered") => 4_000_000,
            name if name.contains("too long") => 4_700_000,
            _ => 1_900_000,
        };
        assert!(fetched <= most, "{name}: {fetched} bytes were sent");
    }
}

#[test]
fn retry_after_is_waited_for() {
    let shop = locked(|_| {});
    shop.upstream.fault(Fault::status(STORE, 429).header("Retry-After", "3").times(1));
    let begun = std::time::Instant::now();
    shop.bundle("platform.tar").ok();
    assert!(begun.elapsed().as_secs_f64() > 3.0, "{:?}", begun.elapsed());
}

#[test]
fn what_stays_is_told() {
    type Make = fn(&str) -> Fault;
    let staying: [(&str, Make); 11] = [
        ("truncated", |layer| Fault::truncate(layer, 1000)),
        ("altered", |layer| Fault::alter(layer)),
        ("stalled", |layer| Fault::stall(layer, 1000, 30)),
        ("limited", |layer| Fault::status(layer, 429)),
        ("unavailable", |layer| Fault::status(layer, 503)),
        ("gone", |layer| Fault::status(layer, 404)),
        ("no_login", |layer| Fault::status(layer, 401)),
        ("length_too_short", |layer| Fault::length(layer, -1000)),
        ("manifest_gone", |_| Fault::status(STORE_MANIFEST, 404)),
        ("manifest_altered", |_| Fault::alter(STORE_MANIFEST)),
        ("manifest_stalled", |_| Fault::stall(STORE_MANIFEST, 0, 30)),
    ];
    std::thread::scope(|scope| {
        for (name, fault) in staying {
            scope.spawn(move || {
                let shop = locked(|_| {});
                shop.bundle("whole.tar").ok();
                shop.upstream.fault(fault(&layer(&shop)));
                let output = shop.bundle("platform.tar").exits(1);
                assert!(!shop.path().join("platform.tar").exists(), "{name}: half a bundle is none");
                assert_screen!(shop.path(), name, without_sizes(&output));
                shop.upstream.clear_faults();
                shop.upstream.reset();
                shop.bundle("platform.tar").ok();
                if !name.starts_with("manifest") {
                    let others = shop.upstream.requests();
                    let again = others.iter().filter(|r| r.path.contains("/blobs/") && !r.path.contains(STORE));
                    let again: u64 = again.map(|r| r.bytes).sum();
                    assert!(again < 20_000, "{name}: layers of other images were fetched again, {again} bytes");
                }
            });
        }
    });
}

/// How much came before the last try is another number each time.
fn without_sizes(output: &Output) -> String {
    let screen = output.screen();
    let lines = screen.lines().map(|line| match line.split_once("broke after ") {
        Some((before, after)) => {
            let rest = after.split_once(" (at").map_or("", |(_, rest)| rest);
            format!("{before}broke after [some] bytes (at{rest}")
        }
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_image_that_failed_is_told() {
    let shop = locked(|_| {});
    shop.upstream.fault(Fault::status("/shop/store/blobs/", 404));
    shop.upstream.fault(Fault::status("/shop/api/blobs/", 403));
    shop.upstream.fault(Fault::alter("/shop/web/blobs/"));
    assert_screen!(shop.path(), "several_images", sorted(&shop.bundle("platform.tar").exits(1)));
    shop.upstream.clear_faults();
    shop.upstream.fault(Fault::status("/manifests/sha256", 404));
    assert_screen!(shop.path(), "several_manifests", sorted(&shop.bundle("platform.tar").exits(1)));
}

/// Failures come as the network has it.
fn sorted(output: &Output) -> String {
    let screen = output.screen();
    let (head, failures) = screen.split_once("error[").unwrap();
    let mut failures: Vec<&str> = failures.split("\nerror[").map(str::trim_end).collect();
    failures.sort_unstable();
    format!("{head}error[{}", failures.join("\nerror["))
}

#[test]
fn a_tag_that_moved_is_still_what_was_locked() {
    let shop = locked(|_| {});
    shop.bundle("whole.tar").ok();
    let whole = bytes(&shop, "whole.tar");
    // The tag now stands for something else; the digest that is locked is still there.
    shop.upstream.fault(Fault::replace("/shop/store/manifests/1.0", "application/json", "{}"));
    shop.bundle("again.tar").ok();
    assert!(bytes(&shop, "again.tar") == whole);
    assert_eq!(shop.upstream.count("/shop/store/manifests/1.0"), 0, "nobody asks for the tag");
    shop.upstream.clear_faults();
    // Now the registry serves the new image under the old digest.
    let other = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#;
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    shop.upstream.fault(Fault::replace(STORE_MANIFEST, manifest, other));
    assert_screen!(shop.path(), "digest_moved", shop.bundle("again.tar").exits(1).screen());
}

#[test]
fn images_that_no_bundle_can_carry() {
    type Change = fn(&mut Image);
    let odd: [(&str, Change); 3] = [
        ("foreign_layer", |image| image.foreign = true),
        ("schema_1", |image| {
            image.manifest = Some("application/vnd.docker.distribution.manifest.v1+prettyjws".to_owned());
        }),
        ("unknown_media_type", |image| image.manifest = Some("application/vnd.example.thing+json".to_owned())),
    ];
    for (name, change) in odd {
        let shop = locked(change);
        let output = shop.bundle("platform.tar").exits(1);
        assert!(!shop.path().join("platform.tar").exists());
        assert_screen!(shop.path(), name, output.screen());
    }
    let shop = shop(|_| {});
    let schema_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    shop.upstream.fault(Fault::replace("/shop/store/manifests/1.0", schema_1, r#"{"schemaVersion":1}"#));
    assert_screen!(shop.path(), "lock_schema_1", last_failure(&shop.run(&["lock"]).exits(1)));
}

#[test]
fn an_index_without_the_platform() {
    let shop = shop(|image| image.platforms = vec!["linux/arm64".to_owned()]);
    assert_screen!(shop.path(), "lock_no_platform", last_failure(&shop.run(&["lock"]).exits(1)));
    // A platform that came into the environment after it was locked.
    let shop = locked(|_| {});
    shop.edit(
        "environments/prod/environment.yaml",
        "extends: base",
        "extends: base\nplatforms: [linux/amd64, linux/arm64]",
    );
    assert_screen!(shop.path(), "platform_not_locked", shop.bundle("platform.tar").exits(1).screen());
}

fn last_failure(output: &Output) -> String {
    output.stderr.find("error[").map_or(output.screen(), |at| output.stderr[at..].to_owned())
}

#[test]
fn a_partial_that_is_not_ours_is_not_trusted() {
    let shop = locked(|_| {});
    shop.bundle("whole.tar").ok();
    let whole = bytes(&shop, "whole.tar");
    let file = BundleFile::open(&shop.path().join("whole.tar"));
    let partial = shop.path().join("platform.tar.partial");
    let one = &file.entry(&file.layer("shop/store")).bytes;
    for (name, left) in [
        ("a file of something else", vec![7; whole.len()]),
        ("longer than the bundle", [&whole[..], &vec![1; 100_000]].concat()),
        ("one byte altered", {
            let mut bytes = whole.clone();
            bytes[usize::midpoint(one.start as usize, one.end as usize)] ^= 1;
            bytes
        }),
        ("a piece of zeros", {
            let mut bytes = whole.clone();
            bytes[one.start as usize + 4096..one.start as usize + 8192].fill(0);
            bytes
        }),
    ] {
        fs::write(&partial, left).unwrap();
        shop.bundle("platform.tar").ok();
        assert!(bytes(&shop, "platform.tar") == whole, "{name}");
        fs::remove_file(shop.path().join("platform.tar")).unwrap();
    }
}

/// Runs in a mount namespace of its own with a small file system at `small`; none where that is not allowed.
fn on_a_small_disk(shop: &Shop, options: &str, before: &str, args: &[&str]) -> Option<Output> {
    let small = shop.path().join("small");
    fs::create_dir_all(&small).unwrap();
    let script = format!("mount -t tmpfs -o {options} tmpfs \"$0\" || exit 99; {before} exec \"$@\"");
    let unshare = ["--user", "--map-root-user", "--mount", "sh", "-c", &script, small.to_str().unwrap()];
    let output = shop.platctl().within("unshare", &unshare).args(args).run();
    let refused = output.code == 99 || output.stderr.starts_with("unshare:");
    if refused {
        eprintln!("no mount namespace here: a disk that is full was not tried\n{}", output.stderr);
    }
    (!refused).then_some(output)
}

fn made(shop: &Shop, path: &Path) {
    assert!(!path.exists());
    shop.bundle("platform.tar").ok();
}

#[test]
fn a_disk_that_is_full() {
    let shop = locked(|_| {});
    let args = ["bundle", "-e", "prod", "--platctl", "../platctl-to-carry", "-o", "../small/platform.tar"];
    if let Some(output) = on_a_small_disk(&shop, "size=500k", "", &args) {
        assert_screen!(shop.path(), "no_space", output.exits(1).screen());
        made(&shop, &shop.path().join("small/platform.tar"));
    }
    let store = ["bundle", "-e", "prod", "--platctl", "../platctl-to-carry", "-o", "../other.tar"];
    let cache = "export PLATCTL_CACHE_DIR=\"$0/cache\";";
    if let Some(output) = on_a_small_disk(&shop, "size=16k", cache, &store) {
        assert_screen!(shop.path(), "no_space_for_the_cache", output.exits(1).screen());
        made(&shop, &shop.path().join("other.tar"));
    }
}

#[test]
fn a_file_system_that_is_read_only() {
    let shop = locked(|_| {});
    let args = ["bundle", "-e", "prod", "--platctl", "../platctl-to-carry", "-o", "../small/platform.tar"];
    if let Some(output) = on_a_small_disk(&shop, "ro", "", &args) {
        assert_screen!(shop.path(), "read_only", output.exits(1).screen());
        made(&shop, &shop.path().join("small/platform.tar"));
    }
}

/// A limit on the size of files needs no right to mount anything.
#[test]
fn a_file_that_may_not_be_so_long() {
    let shop = locked(|_| {});
    let limited = ["-c", "trap '' XFSZ; ulimit -f 1000; exec \"$0\" \"$@\""];
    let args = ["bundle", "-e", "prod", "--platctl", "../platctl-to-carry", "-o", "../platform.tar"];
    let output = shop.platctl().within("sh", &limited).args(args).run().exits(1);
    assert_screen!(shop.path(), "too_long", output.screen());
    shop.bundle("platform.tar").ok();
}
