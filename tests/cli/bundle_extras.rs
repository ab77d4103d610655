//! `extras`: files by address and content that travel in the bundle.

use std::fs;
use std::path::Path;

use crate::assert_screen;
use crate::shop::Shop;
use crate::support::upstream::{Fault, hex_digest};
use crate::support::{BundleFile, SiteRegistry, put};

const MODEL: &str = "/files.example.org/models/model.bin";

fn model() -> Vec<u8> {
    (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8 | 1).collect()
}

/// A shop whose prod wants two files.
fn shop() -> Shop {
    let shop = Shop::locked();
    put(&shop.path().join("files/files.example.org/models/model.bin"), model());
    put(&shop.path().join("files/files.example.org/notes.txt"), "notes");
    declare(&shop, &hex_digest(&model()));
    shop
}

fn declare(shop: &Shop, model: &str) {
    let notes = hex_digest(b"notes");
    let text = format!(
        "extras:\n- {{name: model.bin, url: \"https://files.example.org/models/model.bin\", digest: \"sha256:{model}\"}}\n\
         - {{name: notes.txt, url: \"https://files.example.org/notes.txt\", digest: \"sha256:{notes}\"}}\n"
    );
    shop.add("environments/prod/environment.yaml", &text);
}

fn bytes(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

#[test]
fn extras_go_with_the_bundle_and_come_out_again() {
    let shop = shop();
    shop.bundle("platform.tar").ok();
    assert!(!files_hold(&shop.path().join("home/cache"), &model()), "no second copy");
    assert_screen!(shop.path(), "inspect", shop.run(&["inspect", "../platform.tar"]).ok().screen());
    let json = shop.run(&["inspect", "../platform.tar", "-o", "json"]).ok().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["extras"][0]["name"], "model.bin");
    assert_eq!(json["extras"][0]["digest"], format!("sha256:{}", hex_digest(&model())));
    shop.run(&["inspect", "../platform.tar", "--verify"]).ok();
    assert_screen!(
        shop.path(),
        "unpack",
        shop.run(&["unpack", "../platform.tar", "../site", "--extras"]).ok().screen()
    );
    assert!(bytes(&shop.path().join("site/extras/model.bin")) == model());
    assert_eq!(bytes(&shop.path().join("site/extras/notes.txt")), b"notes");
    shop.run(&["unpack", "../platform.tar", "../without"]).ok();
    assert!(!shop.path().join("without/extras").exists());

    let file = BundleFile::open(&shop.path().join("platform.tar"));
    let entry = format!("blobs/sha256/{}", hex_digest(&model()));
    file.altered(&entry, &shop.path().join("bad.tar"));
    let bad = shop.run(&["unpack", "../bad.tar", "../bad", "--extras"]).exits(4);
    assert_screen!(shop.path(), "unpack_altered", bad.screen());
    assert!(fs::read_dir(shop.path().join("bad/extras")).unwrap().next().is_none(), "half a file has no name");
}

fn files_hold(folder: &Path, bytes: &[u8]) -> bool {
    crate::support::files(folder).iter().any(|file| fs::metadata(file).unwrap().len() == bytes.len() as u64)
}

#[test]
fn extras_are_resumed_checked_and_told() {
    let shop = shop();
    shop.bundle("whole.tar").ok();
    let whole = bytes(&shop.path().join("whole.tar"));
    for fault in [
        Fault::truncate(MODEL, 1_000_000).times(2),
        Fault::alter(MODEL).times(1),
        Fault::status(MODEL, 503).times(2),
        Fault::no_range(MODEL),
    ] {
        shop.upstream.reset();
        shop.upstream.fault(fault.clone());
        shop.bundle("again.tar").ok();
        shop.upstream.clear_faults();
        assert!(bytes(&shop.path().join("again.tar")) == whole, "{fault:?}");
    }
    for (name, fault) in [("gone", Fault::status(MODEL, 404)), ("altered", Fault::alter(MODEL))] {
        shop.upstream.fault(fault);
        assert_screen!(shop.path(), name, shop.bundle("platform.tar").exits(1).screen());
        shop.upstream.clear_faults();
    }
    // It broke off again and again and the run gave up: the next one goes on inside the file.
    let _ = fs::remove_file(shop.path().join("platform.tar.partial"));
    shop.upstream.fault(Fault::truncate(MODEL, 150_000));
    shop.bundle("platform.tar").exits(1);
    shop.upstream.clear_faults();
    shop.upstream.reset();
    shop.bundle("platform.tar").ok();
    let ranges: Vec<_> = shop.upstream.requests().into_iter().filter_map(|request| request.range).collect();
    assert!(ranges.contains(&"bytes=750000-".to_owned()), "{ranges:?}");
    assert!(bytes(&shop.path().join("platform.tar")) == whole);
}

#[test]
fn an_extra_that_is_something_else() {
    let shop = shop();
    let declared = crate::support::read(&shop.file("environments/prod/environment.yaml"));
    put(&shop.file("environments/prod/environment.yaml"), declared.split("extras:").next().unwrap());
    declare(&shop, &hex_digest(b"another model"));
    assert_screen!(shop.path(), "another_digest", shop.bundle("platform.tar").exits(1).screen());
    put(&shop.file("environments/prod/environment.yaml"), declared.replace("name: model.bin", "name: ../model.bin"));
    assert_screen!(shop.path(), "strange_name", shop.bundle("platform.tar").exits(1).screen());
}

#[test]
fn extras_upgrade_nothing() {
    let registry = SiteRegistry::start();
    let shop = Shop::bundled(&registry.host);
    let inputs = || {
        shop.forget_calls();
        shop.run(&["apply", "-e", "prod", "--bundle", "../platform.tar"]).ok();
        let calls = shop.calls().join("\n");
        let words = calls.split(|c: char| c.is_whitespace() || c == ',').filter(|word| word.contains("dev/inputs="));
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    let before = inputs();
    assert!(before.len() > 3, "{:?}", shop.calls());
    declare(&shop, &hex_digest(&model()));
    assert!(inputs().is_empty(), "nothing is upgraded: {:?}", shop.calls());
}
