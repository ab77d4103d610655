//! `inspect`: what it shows of a bundle, by image, by release, what is shared, and what is new.

use std::fs;

use serde_json::Value;

use crate::assert_screen;
use crate::shop::Shop;
use crate::support::{Output, read};

fn bundled() -> Shop {
    Shop::bundled("registry.site:5000")
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", output.stdout))
}

/// Sizes change with every word of the definition.
fn without_sizes(screen: &str) -> String {
    let line = |line: &str| match line.split_once("\": ") {
        Some((key, value)) if value.trim_end_matches(',').parse::<u64>().is_ok() => {
            format!("{key}\": [n]{}\n", if value.ends_with(',') { "," } else { "" })
        }
        _ => format!("{line}\n"),
    };
    screen.lines().map(line).collect()
}

#[test]
fn who_needs_what() {
    let shop = bundled();
    for (name, flag) in [("images", "--images"), ("releases", "--releases"), ("shared", "--shared")] {
        assert_screen!(shop.path(), name, shop.run(&["inspect", "../platform.tar", flag]).ok().screen());
    }
    let all = ["inspect", "../platform.tar", "--images", "--releases", "--shared", "--verify", "-o", "json"];
    let output = shop.run(&all).ok();
    assert_screen!(shop.path(), "json", without_sizes(&output.screen()));
    let json = json(&output);
    assert_eq!(json["apiVersion"], "platctl.dev/v1");
    // Alone and shared come to what is there: chart packages, configurations and layers.
    let sum = |key: &str| json["releases"].as_array().unwrap().iter().map(|r| r[key].as_u64().unwrap()).sum::<u64>();
    let images: u64 = json["images"].as_array().unwrap().iter().map(|image| image["size"].as_u64().unwrap()).sum();
    assert!(sum("sizeAlone") <= images && sum("sizeAlone") + sum("sizeShared") >= images / 2, "{json:#}");
}

#[test]
fn what_is_new_since_an_older_bundle() {
    let shop = bundled();
    fs::rename(shop.path().join("platform.tar"), shop.path().join("old.tar")).unwrap();
    let nothing = ["inspect", "../old.tar", "--diff", "../old.tar"];
    assert_screen!(shop.path(), "diff_nothing", shop.run(&nothing).ok().screen());

    let lock = read(&shop.file("environments/prod/environment.yaml"));
    fs::write(shop.file("environments/prod/environment.yaml"), lock + "releases: {queue: false}\n").unwrap();
    let changed = shop.run(&["lock"]);
    assert!(changed.code == 0, "{}", changed.screen());
    shop.bundle("platform.tar").ok();
    let args = ["inspect", "../platform.tar", "--diff", "../old.tar"];
    assert_screen!(shop.path(), "diff", shop.run(&args).ok().screen());
    let back = shop.run(&["inspect", "../old.tar", "--diff", "../platform.tar", "-o", "json"]).ok();
    assert_screen!(shop.path(), "diff_json", without_sizes(&back.screen()));
    let json = json(&back);
    assert!(json["diff"]["newBytes"].as_u64().unwrap() > 0);
    assert!(json["diff"]["newBytes"].as_u64() < json["diff"]["allBytes"].as_u64());
}

#[test]
fn a_damaged_entry_names_all_who_need_it() {
    let shop = bundled();
    let file = crate::support::BundleFile::open(&shop.path().join("platform.tar"));
    let (_, image) = file.manifest("shop/store");
    let layer = file.blob(&image["layers"][0]["digest"]);
    file.altered(&layer, &shop.path().join("bad.tar"));
    let output = shop.run(&["inspect", "../bad.tar", "--verify", "-o", "json"]).exits(1);
    let damaged = &json(&output)["verified"]["damaged"];
    assert_eq!(damaged.as_array().unwrap().len(), 1);
    assert_eq!((&damaged[0]["entry"], damaged[0]["actual"] == damaged[0]["expected"]), (&layer.into(), false));
    assert!(damaged[0]["neededBy"].to_string().contains("shop/store"), "{damaged}");
}
