//! `secrets generate`, `edit` and `rotate` where sops fails, is missing or too old, and where there is no folder. What
//! they do with the real sops is in tests/e2e.

use crate::assert_screen;
use crate::shop::Shop;
use crate::support::{Platctl, put, read};

const FILE: &str = "environments/prod/secrets.yaml";

/// A shop whose store has a password, which can be made anew, and a line made of it, which is not there yet.
fn shop() -> Shop {
    let shop = Shop::new();
    shop.edit("environments/base/environment.yaml", "kubectl: 1.34.4", "kubectl: 1.34.4, sops: 3.13.3");
    let secrets = "secrets:\n- name: store-db\n  data:\n    password: {ref: store.password, generate: {length: 20}}\n    \
        line: {ref: store.line, generate: {htpasswd: {user: admin, password: store.password}}}\n";
    shop.add("templates/base/store/release.yaml", secrets);
    let sealed = "store:\n  password: ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]\n\
        sops:\n  age: [{recipient: age1site, enc: x}]\n  pgp: [{fp: 85D77543B3D624B63CEA9E6DBC17301B491B3F21}]\n  \
        mac: ENC[AES256_GCM,data:m]\n  unencrypted_suffix: _unencrypted\n  version: 3.13.3\n";
    put(&shop.file(FILE), sealed);
    shop.run(&["lock"]).ok();
    shop.forget_calls();
    shop
}

/// What `generate` shows when sops ends with a status and these words; the file stays as it is.
fn failing(shop: &Shop, status: u8, words: &str) -> String {
    put(&shop.fake("fail/sops"), words);
    put(&shop.fake("fail/sops-status"), status.to_string());
    let file = read(&shop.file(FILE));
    let screen = shop.run(&["secrets", "generate", "-e", "prod"]).exits(1).screen();
    assert_eq!(read(&shop.file(FILE)), file);
    screen
}

#[test]
fn words_that_may_quote_the_file_are_left_out() {
    let shop = shop();
    for (name, status) in [("sops_fails", 1), ("sops_damaged", 25), ("sops_seal", 51)] {
        let screen = failing(&shop, status, "Input string hush-hush does not match sops' data format");
        assert!(!screen.contains("hush"), "{screen}");
        assert_screen!(shop.path(), name, screen);
    }
    let screen = failing(&shop, 128, "no key: 'AGE-SECRET-KEY-1HUSH' is malformed");
    assert!(!screen.contains("HUSH"), "{screen}");
    assert_screen!(shop.path(), "sops_no_key", screen);
}

#[test]
fn a_sops_that_cannot_do_it_is_refused_before_it_runs() {
    let shop = shop();
    shop.edit("environments/base/environment.yaml", "sops: 3.13.3", "sops: 3.10.2");
    assert_screen!(
        shop.path(),
        "sops_too_old",
        shop.run(&["secrets", "rotate", "store.password", "-e", "prod"]).exits(1).screen()
    );
    assert!(shop.calls().is_empty());
    shop.edit(FILE, "  unencrypted_suffix: _unencrypted\n", "  encrypted_regex: ^data$\n");
    shop.edit("environments/base/environment.yaml", "sops: 3.10.2", "sops: 3.13.3");
    assert_screen!(
        shop.path(),
        "sops_partly",
        shop.run(&["secrets", "rotate", "store.password", "-e", "prod"]).exits(1).screen()
    );
    assert!(shop.calls().is_empty());
}

#[test]
fn a_bundle_is_no_place_to_write_to_but_brings_the_rules() {
    let shop = shop();
    put(&shop.file(".sops.yaml"), "creation_rules: [{age: age1site}]\n");
    shop.bundle("platform.tar").ok();
    let elsewhere = |args: &[&str]| Platctl::new(shop.path()).args(args).run();
    let output = elsewhere(&["--bundle", "platform.tar", "secrets", "generate"]).exits(1);
    assert_screen!(shop.path(), "sops_bundle", output.screen());
    elsewhere(&["unpack", "platform.tar", "unpacked"]).ok();
    assert_eq!(read(&shop.path().join("unpacked/.sops.yaml")), read(&shop.file(".sops.yaml")));
}

#[test]
fn help_of_secrets() {
    let shop = Shop::new();
    assert_screen!(shop.path(), "sops_help", shop.run(&["secrets", "--help"]).ok().screen());
}
