//! Where logins come from: docker's and helm's files, and programs that docker calls for them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::assert_screen;
use crate::shop::Shop;
use crate::support::upstream::hex_digest;
use crate::support::{Output, Platctl, files, put, read};

const PASSWORD: &str = "hunter2-of-the-shop";

/// A shop whose internet wants a login for paths that contain one of these.
fn shop(parts: &[&str]) -> Shop {
    let login = |part: &&str| ((*part).to_owned(), format!("me:{PASSWORD}"));
    let shop = Shop::with(|settings| settings.logins = parts.iter().map(login).collect());
    put(&shop.path().join("files/files.example.org/private/model.bin"), "model");
    shop
}

fn host(shop: &Shop) -> String {
    shop.upstream.url().trim_start_matches("http://").to_owned()
}

/// A program that docker calls for logins: it answers for one host and keeps what it was asked.
fn helper(shop: &Shop, fails: bool) -> PathBuf {
    let folder = shop.path().join("helpers");
    let path = folder.join("docker-credential-shop");
    let answer = if fails {
        format!("echo 'no key ring for {PASSWORD}'; exit 1")
    } else {
        format!("printf '{{\"ServerURL\":\"x\",\"Username\":\"me\",\"Secret\":\"{PASSWORD}\"}}'")
    };
    put(&path, format!("#!/bin/sh\nread -r host\necho \"$1 $host\" >> {}/asked\n{answer}\n", folder.display()));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn docker(shop: &Shop, text: &str) -> PathBuf {
    put(&shop.path().join("docker/config.json"), text);
    shop.path().join("docker")
}

fn bundling(shop: &Shop) -> Platctl {
    shop.platctl().args(["bundle", "-e", "prod", "--platctl", "../platctl-to-carry", "-o", "../platform.tar"])
}

/// The password is nowhere: not on the screen, not in what was written.
fn hidden(shop: &Shop, output: &Output) {
    assert!(!output.screen().contains("hunter2"), "{}", output.screen());
    let encoded = "aHVudGVyMi1vZi10aGUtc2hvcA";
    let written = files(&shop.file("")).into_iter().chain(files(&shop.path().join("home")));
    for file in written.chain([shop.path().join("platform.tar")]).filter(|file| file.is_file()) {
        let bytes = fs::read(&file).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!holds("hunter2") && !holds(encoded), "{} holds the password", file.display());
    }
}

#[test]
fn helpers_of_docker_are_asked() {
    for key in ["credHelpers", "credsStore"] {
        let shop = shop(&["/v2/"]);
        let folder = helper(&shop, false);
        let config = match key {
            "credHelpers" => format!(r#"{{"credHelpers": {{"{}": "shop"}}}}"#, host(&shop)),
            _ => r#"{"credsStore": "shop"}"#.to_owned(),
        };
        let config = docker(&shop, &config);
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        let with = |program: Platctl| program.env("PATH", &path).env("DOCKER_CONFIG", &config).run();
        with(shop.platctl().args(["lock"])).ok();
        hidden(&shop, &with(bundling(&shop)).ok());
        let asked = read(&folder.join("asked"));
        assert_eq!(asked.lines().collect::<Vec<_>>(), vec![format!("get {}", host(&shop)); 2], "{key}: once a run");
    }
}

#[test]
fn a_helper_that_fails_is_named_without_its_words() {
    let shop = shop(&["/v2/"]);
    let folder = helper(&shop, true);
    let config = docker(&shop, r#"{"credsStore": "shop"}"#);
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let output = shop.platctl().env("PATH", &path).env("DOCKER_CONFIG", &config).args(["lock"]).run().exits(1);
    assert!(!output.screen().contains("hunter2"), "{}", output.screen());
    assert_screen!(shop.path(), "helper_fails", first_failure(&output));
}

fn first_failure(output: &Output) -> String {
    output.stderr.find("error[").map_or(output.screen(), |at| output.stderr[at..].to_owned())
}

#[test]
fn a_registry_that_docker_does_not_know_may_be_known_to_helm() {
    let shop = shop(&["/v2/"]);
    // me:hunter2-of-the-shop
    let auths = format!(r#"{{"auths": {{"{}": {{"auth": "bWU6aHVudGVyMi1vZi10aGUtc2hvcA=="}}}}}}"#, host(&shop));
    put(&shop.path().join("helm/registry/config.json"), &auths);
    let config = docker(&shop, r#"{"auths": {"other.example.org": {"auth": "eDp5"}}}"#);
    let with = |program: Platctl| {
        program.env("DOCKER_CONFIG", &config).env("HELM_CONFIG_HOME", shop.path().join("helm")).run()
    };
    with(shop.platctl().args(["lock"])).ok();
    hidden(&shop, &with(bundling(&shop)).ok());
    // In its usual place, and by its own variable.
    put(&shop.path().join("home/.config/helm/registry/config.json"), &auths);
    bundling(&shop).run().ok();
    fs::remove_dir_all(shop.path().join("home/.config")).unwrap();
    bundling(&shop).env("HELM_REGISTRY_CONFIG", shop.path().join("helm/registry/config.json")).run().ok();
    assert_screen!(shop.path(), "nobody", first_failure(&bundling(&shop).run().exits(1)));
}

fn repositories(shop: &Shop, path: &str, rest: &str) -> String {
    format!(
        "apiVersion: \"\"\nrepositories:\n- name: stable\n  url: {}/{path}\n  username: me\n  password: {PASSWORD}\n  {rest}\n",
        shop.upstream.url()
    )
}

#[test]
fn chart_repositories_and_files_take_the_login_of_helm() {
    let shop = shop(&["/charts.example.org/", "/files.example.org/private/"]);
    assert_screen!(shop.path(), "no_repository_login", first_failure(&shop.run(&["lock"]).exits(1)));
    let both = repositories(&shop, "charts.example.org/stable", "insecure_skip_tls_verify: false");
    let second = repositories(&shop, "files.example.org/private", "");
    let file = shop.path().join("repositories.yaml");
    put(&file, both + second.split("repositories:\n").nth(1).unwrap());
    let with = |program: Platctl| program.env("HELM_REPOSITORY_CONFIG", &file).run();
    with(shop.platctl().args(["lock"])).ok();
    let digest = hex_digest(b"model");
    let url = "https://files.example.org/private/model.bin";
    let extra = format!("extras:\n- {{name: model.bin, url: \"{url}\", digest: \"sha256:{digest}\"}}\n");
    shop.add("environments/prod/environment.yaml", &extra);
    hidden(&shop, &with(bundling(&shop)).ok());
    put(&file, read(&file).replace(PASSWORD, "wrong-hunter2"));
    let refused = with(bundling(&shop)).exits(1);
    assert!(!refused.screen().contains("hunter2"));
    assert_screen!(shop.path(), "wrong_login", first_failure(&refused));
    put(&file, "repositories: {hunter2: }");
    let broken = with(bundling(&shop)).exits(1);
    assert_screen!(shop.path(), "broken_repositories", first_failure(&broken));
}

#[test]
fn nothing_is_asked_of_files_that_are_not_there() {
    let shop = shop(&[]);
    let nowhere = Path::new("/nowhere/at/all");
    let with = |program: Platctl| {
        program.env("HELM_CONFIG_HOME", nowhere).env("DOCKER_CONFIG", nowhere).env("XDG_CONFIG_HOME", nowhere).run()
    };
    with(shop.platctl().args(["lock"])).ok();
    with(bundling(&shop)).ok();
}
