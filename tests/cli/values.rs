//! `values`: what values are and where they come from, without cluster, network, lock or key.

use crate::assert_screen;
use crate::shop::Shop;
use crate::support::put;

/// A shop with something to explain: overridden, deleted, given by templates, below a key with dots.
fn shop() -> Shop {
    let shop = Shop::new();
    shop.add(
        "environments/base/values.yaml",
        "mlflow: {host: mlflow.local, old: 1}\nlabels: {app.kubernetes.io/part-of: shop}\n",
    );
    shop.add("environments/prod/values.yaml", "mlflow: {host: \"mlflow.{{ values.domain }}\", old: null}\n");
    put(&shop.file("environments/prod/releases/store.yaml"), "replicas: 5\n");
    shop
}

fn screen(shop: &Shop, name: &str, args: &[&str], code: i32) {
    let output = shop.run(&[&["values", "-e", "prod"], args].concat()).exits(code);
    assert_screen!(shop.path(), name, output.screen());
}

#[test]
fn of_an_environment_and_of_releases() {
    let shop = shop();
    screen(&shop, "environment", &[], 0);
    screen(&shop, "release", &["-l", "name=store"], 0);
    screen(&shop, "releases", &["-l", "tier=apps"], 0);
    screen(&shop, "json", &["-l", "name=store", "-o", "json"], 0);
    screen(&shop, "no_release", &["-l", "name=stroe"], 3);
    // Nothing was asked or written: no tool, no server, no lock, no cache.
    assert!(shop.calls().is_empty() && shop.upstream.requests().is_empty());
    assert!(!shop.file("charts-lock.yaml").exists() && !shop.path().join("home/cache").exists());
}

#[test]
fn where_they_come_from() {
    let shop = shop();
    screen(&shop, "explain", &["--explain", "mlflow.host"], 0);
    screen(&shop, "explain_deleted", &["--explain", "mlflow.old"], 0);
    screen(&shop, "explain_map", &["--explain", "store"], 0);
    screen(&shop, "explain_quoted", &["--explain", "labels[\"app.kubernetes.io/part-of\"]"], 0);
    screen(&shop, "explain_item", &["--explain", "hosts[1]", "-l", "name=store"], 0);
    screen(&shop, "explain_release", &["--explain", "replicas", "-l", "name=store"], 0);
    screen(&shop, "explain_json", &["--explain", "replicas", "-l", "name=store", "-o", "json"], 0);
    screen(&shop, "explain_nowhere", &["--explain", "mlflow.hots"], 1);
    screen(&shop, "explain_far", &["--explain", "store.x"], 1);
    screen(&shop, "explain_no_path", &["--explain", "mlflow..host"], 64);
}

#[test]
fn secrets_by_their_names() {
    let shop = shop();
    let secret = "\"ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]\"";
    put(&shop.file("environments/base/secrets.yaml"), format!("store: {{password: {secret}}}\nsops: {{mac: m}}\n"));
    shop.add("environments/base/values.yaml", "key: \"{{ secret('store.password') }}\"\n");
    let uri = "uri: \"pg://store:{{ secret('store.password', encode='url') }}@db\"\nkeys: [\"{{ values.key }}\"]\n";
    shop.add("templates/base/store/values.yaml", uri);
    screen(&shop, "secrets", &[], 0);
    screen(&shop, "secrets_release", &["-l", "name=store"], 0);
    screen(&shop, "secrets_json", &["-l", "name=store", "-o", "json"], 0);
    screen(&shop, "secrets_explain", &["--explain", "uri", "-l", "name=store"], 0);
    screen(&shop, "secrets_explain_json", &["--explain", "keys", "-l", "name=store", "-o", "json"], 0);
    for args in [&[][..], &["-l", "tier=base"], &["--explain", "key"], &["--explain", "key", "-o", "json"]] {
        let said = shop.run(&[&["values", "-e", "prod"], args].concat()).ok().screen();
        assert!(!said.contains("platctl-secret-") && said.contains("<secret store.password>"), "{said}");
    }
}
