//! A chart that lies in a real registry; a bundle that others read; and a login that others use.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::platform::Small;
use crate::pushing::Cargo;
use crate::rig::{bin, rig};
use crate::site_process::SiteProcess;
use crate::support::{BundleFile, put, read};

#[test]
fn a_chart_from_a_real_registry() {
    let small = Small::new("from-oci").release("one", "app", "");
    let (chart, packed) = (small.path("templates/one/app/chart"), small.folder().join("packed"));
    small.edit("templates/one/app/chart/Chart.yaml", "1.0.0", "1.0.0+build.7");
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    rig().helm(&["package", &text(&chart), "--destination", &text(&packed)]);
    let registry = &rig().registry;
    let archive = text(&packed.join("app-1.0.0+build.7.tgz"));
    rig().helm(&["push", &archive, &format!("oci://{registry}/charts"), "--plain-http"]);
    small.edit(
        "templates/one/app/release.yaml",
        "{path: ./chart}",
        "{repository: \"oci://charts.example.org/team\", name: app, version: 1.0.0+build.7}",
    );
    std::fs::remove_dir_all(chart).unwrap();
    small.run(&["lock", "--mirror", &format!("oci://charts.example.org/team=http://{registry}/charts")]).ok();
    let lock = read(&small.path("charts-lock.yaml"));
    assert!(lock.contains("url: oci://charts.example.org/team/app:1.0.0_build.7"), "{lock}");
    assert!(!lock.contains(registry), "the mirror leaves no trace in the lock");
    small.apply().ok();
    assert_eq!(small.states(), [("app".to_owned(), "deployed".to_owned())]);
    let status = small.run(&["status", "-e", "site"]).ok();
    assert!(status.stdout.contains("1.0.0"), "{}", status.screen());
}

/// Runs a tool of this machine; what it prints.
#[track_caller]
fn ran(tool: &str, args: &[&str]) -> String {
    let output = Command::new(tool).args(args).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{tool}: {error}: apt-get install {tool}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {args:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// skopeo comes from the distribution, not from the rig.
fn skopeo_is_here() -> bool {
    let here = Command::new("skopeo").arg("--version").output().is_ok();
    if !here {
        let _ = writeln!(
            std::io::stderr(),
            "NOT TESTED: what skopeo reads, because it is not here: apt-get install skopeo"
        );
    }
    here
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The digest that a bundle gives for an image.
fn digest(bundle: &Path, image: &str) -> String {
    let index: Value = serde_json::from_slice(&BundleFile::open(bundle).read("index.json")).unwrap();
    let all = index["manifests"].as_array().unwrap();
    let found = all.iter().find(|one| one["annotations"]["org.opencontainers.image.ref.name"] == image);
    found.unwrap_or_else(|| panic!("no {image} in {index:#}"))["digest"].as_str().unwrap().to_owned()
}

#[test]
fn others_read_a_bundle() {
    let cargo = Cargo::new("readable", &[400_000, 70_000], &["a:1"]);
    let bundle = cargo.bundle("platform.tar");
    let (place, storage) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let registry = SiteProcess::start(storage.path(), "", "");
    let at = |name: &str| format!("{}/{name}", registry.address);
    let image = "registry.example.org/e2e/a:1";
    let expected = digest(&bundle, image);
    let archive = format!("oci-archive:{}:{image}", text(&bundle));

    let crane = |args: &[&str]| rig().tool("crane", args).unwrap_or_else(|error| panic!("crane {args:?}: {error}"));
    if skopeo_is_here() {
        // From the file as it is.
        let folder = place.path().join("copied");
        ran("skopeo", &["copy", "--quiet", &archive, &format!("dir:{}", text(&folder))]);
        let manifest = fs::read(folder.join("manifest.json")).unwrap();
        let entry = format!("blobs/sha256/{}", expected.trim_start_matches("sha256:"));
        assert!(manifest == BundleFile::open(&bundle).read(&entry), "skopeo copied another manifest");
        let to = format!("docker://{}", at("skopeo/a:1"));
        ran("skopeo", &["copy", "--quiet", "--dest-tls-verify=false", &archive, &to]);
        assert_eq!(crane(&["digest", &at("skopeo/a:1")]).trim(), expected);
        crane(&["validate", "--remote", &at("skopeo/a:1")]);
    }

    // crane, from the folder that it is unpacked into: everything in it, and the image by its digest.
    let layout = place.path().join("layout");
    fs::create_dir(&layout).unwrap();
    ran("tar", &["--extract", "--file", text(&bundle), "--directory", text(&layout)]);
    crane(&["push", "--index", text(&layout), &at("crane/all:1")]);
    crane(&["validate", "--remote", &at("crane/all:1")]);
    crane(&["validate", "--remote", &at(&format!("crane/all@{expected}"))]);
    helm_installs(&cargo, &registry, &bundle, &layout);
}

/// The chart of an unpacked bundle, as a file and out of the registry that crane has pushed it to.
fn helm_installs(cargo: &Cargo, registry: &SiteProcess, bundle: &Path, layout: &Path) {
    let (entry, manifest) = BundleFile::open(bundle).manifest("\"chart\"");
    let package = manifest["layers"][0]["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let file = layout.join("blobs/sha256").join(package);
    let namespace = format!("--namespace={}", cargo.small.name);
    let states = || cargo.small.states();
    rig().helm(&["install", "from-file", text(&file), &namespace, "--create-namespace", "--wait", "--timeout=60s"]);
    assert_eq!(states(), [("from-file".to_owned(), "deployed".to_owned())]);
    let pinned = format!("oci://{}/crane/all@sha256:{}", registry.address, entry.trim_start_matches("blobs/sha256/"));
    rig().helm(&["install", "from-registry", &pinned, "--plain-http", &namespace, "--wait", "--timeout=60s"]);
    assert_eq!(states().len(), 2);
    let stored = |name: &str| rig().helm(&["get", "manifest", name, &namespace]).replace(name, "");
    assert_eq!(stored("from-file"), stored("from-registry"));
}

/// A secrets.yaml as sops makes it, for a key that is made in a file.
fn sealed(plain: &Value, key: &Path) -> Vec<u8> {
    ran(text(&bin().join("age-keygen")), &["-o", text(key)]);
    let recipient = ran(text(&bin().join("age-keygen")), &["-y", text(key)]);
    let args = ["encrypt", "--input-type=json", "--output-type=yaml", "--filename-override=secrets.yaml", "--age"];
    let mut sops = Command::new(bin().join("sops"));
    sops.args(args).arg(recipient.trim()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut sops = sops.spawn().unwrap();
    sops.stdin.take().unwrap().write_all(plain.to_string().as_bytes()).unwrap();
    let output = sops.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stdout
}

/// Logins of two users, as a registry reads them.
fn htpasswd(users: &[(&str, &str)]) -> String {
    let line = |(user, password): &(&str, &str)| format!("{user}:{}\n", bcrypt::hash(password, 4).unwrap());
    users.iter().map(line).collect()
}

#[test]
fn nodes_can_log_in_with_the_pull_secret() {
    let cargo = Cargo::new("pulls", &[50_000], &["a:1"]);
    let file = "environments/site/environment.yaml";
    cargo.small.edit(file, "kubectl: 1.34.4", "kubectl: 1.34.4, sops: 3.13.3");
    cargo.small.edit(file, "plainHTTP: true", "plainHTTP: true, pullSecret: registry-pull");
    let key = cargo.small.folder().join("key");
    let plain = json!({"registry-pull": {"username": "node", "password": "pu\"ll:word"}});
    put(&cargo.small.path("environments/site/secrets.yaml"), sealed(&plain, &key));
    let bundle = cargo.bundle("platform.tar");

    let place = TempDir::new().unwrap();
    put(&place.path().join("htpasswd"), htpasswd(&[("admin", "push"), ("node", "pu\"ll:word")]));
    let auth = format!("auth: {{htpasswd: {{realm: site, path: \"{}/htpasswd\"}}}}\n", text(place.path()));
    let registry = SiteProcess::start(place.path(), "", &auth);
    let docker = |name: &str, config: &str| {
        put(&place.path().join(name).join("config.json"), config);
        place.path().join(name)
    };
    let login = STANDARD.encode("admin:push");
    let admin = docker("admin", &format!(r#"{{"auths": {{"{}": {{"auth": "{login}"}}}}}}"#, registry.address));

    let apply = ["apply", "--bundle", text(&bundle)];
    let at_site = || cargo.at(&registry.address, &apply).env("SOPS_AGE_KEY_FILE", &key);
    let nobody = at_site().run().exits(4);
    assert!(nobody.stderr.contains("the registry wants a login"), "{}", nobody.screen());
    assert!(cargo.small.states().is_empty(), "the cluster was not touched");
    at_site().env("DOCKER_CONFIG", &admin).run().ok();

    let namespace = format!("--namespace={}", cargo.small.name);
    let secret = rig().get(&["secret", "registry-pull", &namespace]);
    assert_eq!(secret["type"], "kubernetes.io/dockerconfigjson");
    let config = STANDARD.decode(secret["data"][".dockerconfigjson"].as_str().unwrap()).unwrap();
    let config = String::from_utf8(config).unwrap();
    let image = rig().get(&["deployment", "app", &namespace]);
    let image = image["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned();
    assert!(image.starts_with(&registry.address) && image.contains("@sha256:"), "{image}");
    let pulled = |config: &Path| {
        let mut crane = Command::new(bin().join("crane"));
        let output = crane.args(["validate", "--remote", &image]).env("DOCKER_CONFIG", config).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(pulled(&docker("node", &config)), (true, String::new()));
    let other = STANDARD.encode("node:another");
    let other = format!(r#"{{"auths": {{"{}": {{"auth": "{other}"}}}}}}"#, registry.address);
    let (wrong, said) = pulled(&docker("wrong", &other));
    assert!(!wrong && said.contains("UNAUTHORIZED"), "{said}");
    let file = text(place.path()).to_owned() + "/node/config.json";
    let to = format!("dir:{}/pulled", text(place.path()));
    let from = format!("docker://{image}");
    if skopeo_is_here() {
        ran("skopeo", &["copy", "--quiet", "--src-tls-verify=false", "--authfile", &file, &from, &to]);
    }
}
