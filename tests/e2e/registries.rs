//! Bundles from real registries that want passwords, tokens and trust, and into one; and several platforms.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::platform::Small;
use crate::real_registry::{Authority, Registry, Tokens, Way};
use crate::rig::rig;
use crate::support::{Output, Platctl, put, static_executable};

const IMAGE: &str = "registry.example.org/e2e/app";
const PASSWORD: &str = "hunter2";

/// A small platform whose image lies in a real registry's storage.
struct Stored {
    small: Small,
    storage: PathBuf,
}

impl Stored {
    fn new(name: &'static str) -> Stored {
        let small = Small::new(name).release("one", "app", "").locked();
        static_executable(&small.folder().join("carried"));
        let storage = small.folder().join("storage");
        let plain = Registry::start(&storage, "", "");
        let file = "environments/site/environment.yaml";
        small.edit(file, &rig().registry, &plain.address);
        small.run(&BUNDLE).ok();
        small.run(&["push", "../platform.tar"]).ok();
        small.edit(file, &plain.address, &rig().registry);
        fs::remove_file(small.folder().join("platform.tar")).unwrap();
        fs::remove_file(small.path("charts-lock.yaml")).unwrap();
        Stored { small, storage }
    }

    fn folder(&self) -> &Path {
        self.small.folder()
    }

    /// The program, with images from a registry at an address.
    fn from(&self, url: &str, args: &[&str]) -> Platctl {
        let mirror = format!("registry.example.org={url}/{}/registry.example.org", self.small.name);
        self.small.platctl().args(args).args(["--mirror", &mirror])
    }

    /// Docker's configuration with a login for a host.
    fn docker(&self, host: &str) -> PathBuf {
        let login = STANDARD.encode(format!("me:{PASSWORD}"));
        put(&self.folder().join("docker/config.json"), format!(r#"{{"auths": {{"{host}": {{"auth": "{login}"}}}}}}"#));
        self.folder().join("docker")
    }

    fn bundle(&self) -> Vec<u8> {
        fs::read(self.folder().join("platform.tar")).unwrap()
    }
}

const BUNDLE: [&str; 7] = ["bundle", "-e", "site", "--platctl", "../carried", "-o", "../platform.tar"];

fn shows_no_password(output: Output) -> Output {
    assert!(!output.screen().contains(PASSWORD), "{}", output.screen());
    output
}

#[test]
fn a_registry_with_passwords_and_an_authority_of_its_own() {
    let stored = Stored::new("passwords");
    let authority = Authority::new();
    let hash = bcrypt::hash(PASSWORD, 4).unwrap().replacen("$2b$", "$2y$", 1);
    put(&stored.folder().join("htpasswd"), format!("me:{hash}\n"));
    let auth = format!("auth: {{htpasswd: {{realm: e2e, path: \"{}/htpasswd\"}}}}\n", stored.folder().display());
    let registry = Registry::start(&stored.storage, &authority.tls(stored.folder()), &auth);
    let url = format!("https://{}", registry.address);
    put(&stored.folder().join("ca.pem"), authority.pem());
    put(&stored.folder().join("other.pem"), Authority::new().pem());
    let ca = |name: &str| stored.folder().join(name);

    let untrusted = stored.from(&url, &["lock"]).env("PLATCTL_CA_FILE", ca("other.pem")).run().exits(1);
    assert!(untrusted.stderr.contains("is not trusted"), "{}", untrusted.screen());
    let nobody = stored.from(&url, &["lock"]).env("PLATCTL_CA_FILE", ca("ca.pem")).run().exits(1);
    assert!(nobody.stderr.contains("401") && nobody.stderr.contains("docker login"), "{}", nobody.screen());

    let docker = stored.docker(&registry.address);
    let known = |args: &[&str]| {
        let program = stored.from(&url, args).env("PLATCTL_CA_FILE", ca("ca.pem"));
        shows_no_password(program.env("DOCKER_CONFIG", &docker).run())
    };
    known(&["lock"]).ok();
    known(&BUNDLE).ok();
    let whole = stored.bundle();

    // The same by a program that docker calls.
    let helper = stored.folder().join("bin/docker-credential-e2e");
    put(&helper, format!("#!/bin/sh\ncat >/dev/null\necho '{{\"Username\":\"me\",\"Secret\":\"{PASSWORD}\"}}'\n"));
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    put(&docker.join("config.json"), format!(r#"{{"credHelpers": {{"{}": "e2e"}}}}"#, registry.address));
    let path = format!("{}:{}", helper.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let program = stored.from(&url, &BUNDLE).env("PLATCTL_CA_FILE", ca("ca.pem")).env("DOCKER_CONFIG", &docker);
    shows_no_password(program.env("PATH", path).run()).ok();
    assert!(stored.bundle() == whole);
}

#[test]
fn a_token_that_runs_out_in_the_middle_of_a_blob() {
    let stored = Stored::new("tokens");
    // Good for three seconds, and said to be good for five minutes: a registry whose clock or mind differs.
    let tokens = Tokens::start(stored.folder(), &format!("me:{PASSWORD}"), 3, 300);
    let registry = Registry::start(&stored.storage, "", &tokens.auth());
    let direct = format!("http://{}", registry.address);
    let refused = stored.from(&direct, &["lock"]).run().exits(1);
    assert!(refused.stderr.contains("no token from"), "{}", refused.screen());
    let docker = stored.docker(&registry.address);
    // Nothing leaves the tests' internet unless it is named: neither do tokens.
    let own = format!("{0}=http://{0}", tokens.address);
    let known =
        |program: Platctl| shows_no_password(program.args(["--mirror", &own]).env("DOCKER_CONFIG", &docker).run());
    known(stored.from(&direct, &["lock"])).ok();
    known(stored.from(&direct, &BUNDLE)).ok();
    let whole = stored.bundle();

    // The connection breaks inside the largest layer, and by then the token has run out.
    let way = Way::start(&registry.address, 40_000, Duration::from_secs(5), Duration::ZERO);
    stored.docker(&way.address);
    let before = tokens.given.load(Ordering::Relaxed);
    known(stored.from(&format!("http://{}", way.address), &BUNDLE)).ok();
    assert!(stored.bundle() == whole);
    let seen = way.seen.lock().unwrap().clone();
    assert!(
        seen.contains(&"broken".to_owned()) && seen.iter().any(|line| line.starts_with("range: bytes=")),
        "{seen:?}"
    );
    assert!(tokens.given.load(Ordering::Relaxed) - before >= 2, "another token was fetched");
}

#[test]
fn a_push_that_outlives_its_tokens() {
    let stored = Stored::new("push-tokens");
    let small = &stored.small;
    small.run(&["lock"]).ok();
    small.run(&BUNDLE).ok();
    let tokens = Tokens::start(stored.folder(), &format!("me:{PASSWORD}"), 2, 2);
    let registry = Registry::start(&stored.folder().join("empty"), "", &tokens.auth());
    let way = Way::start(&registry.address, u64::MAX, Duration::ZERO, Duration::from_millis(40));
    small.edit("environments/site/environment.yaml", &rig().registry, &way.address);
    let docker = stored.docker(&way.address);
    let push = ["push", "../platform.tar"];
    let begun = std::time::Instant::now();
    let pushed = shows_no_password(small.platctl().args(push).env("DOCKER_CONFIG", &docker).run()).ok();
    assert!(pushed.stderr.contains("1 of 1 image new"), "{}", pushed.screen());
    assert!(begun.elapsed() > Duration::from_secs(3), "it took longer than a token lasts: {:?}", begun.elapsed());
    assert!(tokens.given.load(Ordering::Relaxed) >= 4, "{} tokens", tokens.given.load(Ordering::Relaxed));
    let again = small.platctl().args(push).env("DOCKER_CONFIG", &docker).run().ok();
    assert!(again.stderr.contains("there already"), "{}", again.screen());
}

#[test]
fn several_platforms_from_lock_to_pull() {
    let small = Small::new("platforms").release("one", "app", "");
    static_executable(&small.folder().join("carried"));
    let environment = "environments/site/environment.yaml";
    small.edit(environment, "platform: platforms\n", "platform: platforms\nplatforms: [linux/amd64, linux/arm64]\n");
    small.run(&["lock"]).ok();
    small.run(&BUNDLE).ok();
    let inspected = small.run(&["inspect", "../platform.tar", "-o", "json"]).ok();
    let json: serde_json::Value = serde_json::from_str(&inspected.stdout).unwrap();
    assert_eq!(json["images"][0]["platforms"], serde_json::json!(["linux/amd64", "linux/arm64"]));
    let tools: Vec<_> = json["tools"].as_array().unwrap().iter().map(|tool| tool["platform"].clone()).collect();
    assert_eq!(tools, ["linux/amd64", "linux/arm64", "linux/amd64", "linux/arm64"]);
    small.run(&["push", "../platform.tar"]).ok();

    // What pods are given is an index of both, and both are there.
    let rendered = small.run(&["template", "-e", "site", "--bundle", "../platform.tar"]).ok();
    let digest = json["images"][0]["digest"].as_str().unwrap();
    let image = format!("{}/platforms/{IMAGE}@{digest}", rig().registry);
    assert!(rendered.stdout.contains(&image), "{}", rendered.stdout);
    assert_ne!(json["images"][0]["digest"], json["images"][0]["sourceDigest"], "an index of what is carried");
    for arch in ["amd64", "arm64"] {
        let to = small.folder().join(arch);
        let mut skopeo = Command::new("skopeo");
        skopeo.args([
            "--insecure-policy",
            "--override-os=linux",
            "--override-arch",
            arch,
            "copy",
            "--src-tls-verify=false",
        ]);
        skopeo.arg(format!("docker://{image}")).arg(format!("dir:{}", to.display()));
        let copied = skopeo.output().unwrap_or_else(|e| panic!("skopeo, which this test pulls with: {e}"));
        assert!(copied.status.success(), "{arch}: {}", String::from_utf8_lossy(&copied.stderr));
        let manifest: serde_json::Value = serde_json::from_slice(&fs::read(to.join("manifest.json")).unwrap()).unwrap();
        let config = manifest["config"]["digest"].as_str().unwrap().trim_start_matches("sha256:");
        let config: serde_json::Value = serde_json::from_slice(&fs::read(to.join(config)).unwrap()).unwrap();
        assert_eq!(config["architecture"], arch);
    }
    small.run(&["apply", "-e", "site", "--bundle", "../platform.tar"]).ok();
    assert_eq!(small.states(), [("app".to_owned(), "deployed".to_owned())]);
}
