//! Signatures, SBOMs and attestations: not carried, and said so.

use std::fs;

use crate::assert_screen;
use crate::shop::Shop;
use crate::support::upstream::{Fault, Settings};

fn shop() -> Shop {
    let shop = Shop::with(|settings: &mut Settings| {
        let kinds = |kinds: &[&str]| kinds.iter().map(|kind| (*kind).to_owned()).collect();
        settings.images[0].referrers = kinds(&["sig", "att", "sbom"]);
        settings.images[2].referrers = kinds(&["application/vnd.cncf.notary.signature", "application/spdx+json"]);
        settings.images.iter_mut().for_each(|image| image.docker = true);
    });
    shop.run(&["lock"]).ok();
    shop.upstream.reset();
    shop
}

const ARGS: [&str; 7] = ["bundle", "-e", "prod", "--platctl", "../platctl-to-carry", "--format", "json"];

#[test]
fn what_is_left_out_is_counted_and_named() {
    let shop = shop();
    let output = shop.run(&[&ARGS[..], &["-o", "../platform.tar"]].concat()).ok();
    assert_screen!(shop.path(), "left_out", output.stderr);
    let json: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let left_out = |image: &str| {
        let images = json["images"].as_array().unwrap();
        let image = images.iter().find(|one| one["ref"].as_str().unwrap().contains(image)).unwrap();
        let all = image["leftOut"].as_array().unwrap().iter();
        all.map(|one| one["kind"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(left_out("shop/store"), ["signature", "sbom", "attestation"]);
    assert_eq!(left_out("shop/api"), ["signature", "sbom"]);
    assert!(left_out("shop/web").is_empty());
    let per_image = shop.upstream.count("/shop/web/") - shop.upstream.count("/shop/web/blobs/");
    assert!(per_image <= 7, "few requests: {per_image}");
}

#[test]
fn attestations_in_the_index_are_counted() {
    let shop = Shop::locked();
    let output = shop.run(&[&ARGS[..], &["-o", "../platform.tar"]].concat()).ok();
    assert_screen!(shop.path(), "attestations", output.stderr);
    assert!(output.stdout.contains("attestation-manifest"), "{}", output.stdout);
}

#[test]
fn a_registry_that_does_not_say_makes_the_same_bundle() {
    let shop = shop();
    shop.bundle("whole.tar").ok();
    shop.upstream.fault(Fault::status("/shop/store/referrers/", 403));
    shop.upstream.fault(Fault::status("/shop/web/manifests/sha256-", 401));
    let output = shop.bundle("platform.tar").ok();
    assert_screen!(shop.path(), "unknown", output.screen());
    assert!(fs::read(shop.path().join("platform.tar")).unwrap() == fs::read(shop.path().join("whole.tar")).unwrap());
}
