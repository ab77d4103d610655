//! Signed bundles: made with a key, and taken or refused by every verb, whatever names the keys that are trusted.

use std::fs;
use std::path::PathBuf;

use crate::assert_screen;
use crate::shop::Shop;
use crate::support::keys::{KEY, LOCKED, LOCKED_PUBLIC, PASSWORD, PUBLIC, STRANGER};
use crate::support::{BundleFile, Output, Platctl, put};

/// A shop with keys beside the platform: `key.sec`, `locked.sec`, `own.pub`, `locked.pub`, `stranger.pub`.
fn shop() -> Shop {
    let shop = Shop::new();
    shop.run(&["lock"]).ok();
    let keys = [
        ("key.sec", KEY),
        ("locked.sec", LOCKED),
        ("own.pub", PUBLIC),
        ("locked.pub", LOCKED_PUBLIC),
        ("stranger.pub", STRANGER),
    ];
    for (name, text) in keys {
        put(&shop.path().join(name), text);
    }
    shop
}

fn signing(shop: &Shop, key: &str, file: &str) -> Platctl {
    let args = ["bundle", "-e", "prod", "--platctl", "../platctl-to-carry", "--sign"];
    shop.platctl().args(args).args([format!("../{key}"), "-o".into(), format!("../{file}")])
}

fn beside(shop: &Shop, name: &str) -> PathBuf {
    shop.path().join(name)
}

/// Runs a verb at the site with keys that are trusted.
fn trusting(shop: &Shop, keys: &[&str], args: &[&str]) -> Output {
    let keys = keys.iter().flat_map(|key| ["--trust-key".to_owned(), format!("../{key}")]);
    shop.platctl().args(args).args(keys).run()
}

/// Every verb that opens a bundle.
const VERBS: [&[&str]; 10] = [
    &["inspect", "../platform.tar"],
    &["inspect", "../platform.tar", "--verify", "--images"],
    &["unpack", "../platform.tar", "../unpacked"],
    &["push", "../platform.tar"],
    &["values", "-e", "prod", "--bundle", "../platform.tar"],
    &["template", "-e", "prod", "--bundle", "../platform.tar"],
    &["plan", "-e", "prod", "--bundle", "../platform.tar"],
    &["apply", "-e", "prod", "--bundle", "../platform.tar"],
    &["status", "-e", "prod", "--bundle", "../platform.tar"],
    &["doctor", "-e", "prod", "--bundle", "../platform.tar"],
];

#[test]
fn a_signed_bundle_is_made_and_taken() {
    let shop = shop();
    assert_screen!(shop.path(), "signed", signing(&shop, "key.sec", "platform.tar").run().ok().screen());
    let first = fs::read(beside(&shop, "platform.tar")).unwrap();
    signing(&shop, "key.sec", "platform.tar").run().ok();
    assert!(first == fs::read(beside(&shop, "platform.tar")).unwrap(), "the same lock, binary and key");
    let file = BundleFile::open(&beside(&shop, "platform.tar"));
    let names: Vec<&str> = file.entries.iter().take(4).map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["platctl", "oci-layout", "index.json", "index.json.minisig"]);
    for name in ["index.json", "index.json.minisig"] {
        assert_eq!(file.read(name), fs::read(beside(&shop, &format!("platform.tar.{name}"))).unwrap());
    }
    let inspect = ["inspect", "../platform.tar"];
    assert_screen!(shop.path(), "inspect_good", trusting(&shop, &["stranger.pub", "own.pub"], &inspect).ok().screen());
    assert_screen!(shop.path(), "inspect_unchecked", shop.run(&inspect).ok().screen());
    trusting(&shop, &["own.pub"], &["inspect", "../platform.tar", "--verify"]).ok();
    trusting(&shop, &["own.pub"], &["template", "-e", "prod", "--bundle", "../platform.tar"]).ok();
    // Without a key none of it is left beside.
    shop.bundle("platform.tar").ok();
    assert!(!beside(&shop, "platform.tar.index.json").exists());
    assert!(!beside(&shop, "platform.tar.index.json.minisig").exists());
}

#[test]
fn every_verb_refuses_what_nobody_trusted_signed() {
    let shop = shop();
    shop.bundle("platform.tar").ok();
    shop.upstream.reset();
    shop.forget_calls();
    let refused = |name: &str, keys: &[&str]| {
        for verb in VERBS {
            let output = trusting(&shop, keys, verb).exits(4);
            assert!(output.stderr.starts_with("error[E0331]"), "{}", output.screen());
            assert_eq!(output.stdout, "", "nothing of it is shown");
            assert_screen!(shop.path(), name, output.screen());
        }
        assert_eq!(shop.calls(), Vec::<String>::new());
        assert!(!beside(&shop, "unpacked").exists());
    };
    refused("unsigned", &["own.pub", "stranger.pub"]);
    signing(&shop, "key.sec", "platform.tar").run().ok();
    shop.forget_calls();
    refused("unknown_key", &["stranger.pub"]);
    let file = BundleFile::open(&beside(&shop, "platform.tar"));
    file.altered("index.json", &beside(&shop, "bad.tar"));
    fs::rename(beside(&shop, "bad.tar"), beside(&shop, "platform.tar")).unwrap();
    refused("altered", &["own.pub", "stranger.pub"]);
}

#[test]
fn an_older_bundle_is_checked_too() {
    let shop = shop();
    shop.bundle("old.tar").ok();
    signing(&shop, "key.sec", "platform.tar").run().ok();
    let output = trusting(&shop, &["own.pub"], &["inspect", "../platform.tar", "--diff", "../old.tar"]).exits(4);
    assert!(output.stderr.contains("old.tar is not signed"), "{}", output.screen());
}

#[test]
fn keys_are_named_by_flag_by_variable_or_lie_in_a_folder() {
    let shop = shop();
    signing(&shop, "key.sec", "platform.tar").run().ok();
    let inspect = || shop.platctl().args(["inspect", "../platform.tar"]);
    let good = "good, by key BBF8E20012754414";
    let by_variable = inspect().env("PLATCTL_TRUST_KEY", "../stranger.pub, ../own.pub").run().ok();
    assert!(by_variable.stdout.contains(good), "{}", by_variable.screen());
    inspect().env("PLATCTL_TRUST_KEY", "../stranger.pub").run().exits(4);
    // A folder of the user, wherever the configuration is.
    put(&shop.path().join("home/.config/platctl/trust.d/own.pub"), PUBLIC);
    let by_folder = inspect().run().ok();
    assert!(by_folder.stdout.contains(good) && by_folder.stdout.contains("trust.d/own.pub"), "{}", by_folder.screen());
    put(&shop.path().join("elsewhere/platctl/trust.d/stranger.pub"), STRANGER);
    inspect().env("XDG_CONFIG_HOME", shop.path().join("elsewhere")).run().exits(4);
    // Both together: one that fits is enough.
    inspect().env("PLATCTL_TRUST_KEY", "../stranger.pub").run().ok();
    put(&shop.path().join("home/.config/platctl/trust.d/more.pub"), "no key");
    assert_screen!(shop.path(), "no_key", inspect().run().exits(1).screen());
    assert_screen!(
        shop.path(),
        "no_such_key",
        trusting(&shop, &["none.pub"], &["inspect", "../platform.tar"]).exits(1).screen()
    );
}

#[test]
fn nothing_in_a_bundle_is_a_reason_to_trust_it() {
    let shop = shop();
    // A definition may carry files; a key among them is no key of the site's.
    put(&shop.file("environments/prod/own.pem"), PUBLIC);
    put(&shop.file("templates/apps/web/files/trust.d/own.pub"), PUBLIC);
    signing(&shop, "key.sec", "platform.tar").run().ok();
    trusting(&shop, &["stranger.pub"], &["apply", "-e", "prod", "--bundle", "../platform.tar"]).exits(4);
    trusting(&shop, &["stranger.pub"], &["apply", "-C", ".", "-e", "prod", "--bundle", "../platform.tar"]).exits(4);
}

#[test]
fn a_password_comes_from_the_surroundings_and_goes_nowhere() {
    let shop = shop();
    shop.upstream.reset();
    shop.forget_calls();
    let wrong = signing(&shop, "locked.sec", "platform.tar").env("PLATCTL_SIGN_PASSWORD", "wrong horse").run();
    assert_screen!(shop.path(), "wrong_password", wrong.exits(1).screen());
    assert_eq!(shop.calls(), Vec::<String>::new(), "it is known before any work");
    let none = signing(&shop, "own.pub", "platform.tar").run();
    assert_screen!(shop.path(), "no_secret_key", none.exits(1).screen());
    let output = signing(&shop, "locked.sec", "platform.tar").env("PLATCTL_SIGN_PASSWORD", PASSWORD).run().ok();
    assert!(!output.screen().contains(PASSWORD));
    assert!(!shop.calls().is_empty());
    for file in crate::support::files(&shop.fake("env")) {
        assert!(!crate::support::read(&file).contains(PASSWORD), "{} was given the password", file.display());
    }
    trusting(&shop, &["locked.pub"], &["inspect", "../platform.tar"]).ok();
}

#[test]
fn a_file_with_a_password_and_nobody_to_ask() {
    let shop = shop();
    // A session of its own has no terminal.
    let program = env!("CARGO_BIN_EXE_platctl");
    let args =
        ["bundle", "-e", "prod", "--platctl", "../platctl-to-carry", "--sign", "../locked.sec", "-o", "../x.tar"];
    let output = shop.platctl().through(&["setsid", "--wait", program]).args(args).run();
    assert_screen!(shop.path(), "nobody_to_ask", output.exits(1).screen());
}

#[test]
fn a_password_is_asked_at_the_terminal_and_not_shown() {
    let shop = shop();
    let program = env!("CARGO_BIN_EXE_platctl");
    let line = format!(
        "{program} bundle -e prod --platctl ../platctl-to-carry --sign ../locked.sec -o ../platform.tar </dev/null"
    );
    let typed =
        shop.platctl().through(&["script", "-qec", &line, "/dev/null"]).typed("Password of", &format!("{PASSWORD}\n"));
    let output = typed.run().ok();
    assert!(output.stdout.contains("Password of ../locked.sec"), "{}", output.screen());
    assert!(!output.stdout.contains(PASSWORD), "{}", output.screen());
    trusting(&shop, &["locked.pub"], &["inspect", "../platform.tar"]).ok();
}
