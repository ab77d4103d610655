//! The straight path with the platform that ships: lock and bundle where the internet is, then a site that has nothing
//! but the bundle, its cluster, its registry and the key to its secrets.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::assert_screen;
use crate::rig::rig;
use crate::shipped::{HERE, shipped};
use crate::support::{BundleFile, Output, put, read};

const NAMESPACES: [&str; 9] = [
    "cert-manager",
    "databases",
    "gpu-operator",
    "kubeflow-trainer",
    "minio",
    "mlflow",
    "monitoring",
    "node-feature-discovery",
    "training",
];
/// Releases and their namespaces.
const RELEASES: [(&str, &str); 12] = [
    ("cert-manager", "cert-manager"),
    ("gpu-operator", "gpu-operator"),
    ("kube-prometheus-stack", "monitoring"),
    ("kubeflow-trainer", "kubeflow-trainer"),
    ("minio", "minio"),
    ("mlflow", "mlflow"),
    ("mlflow-users", "mlflow"),
    ("node-feature-discovery", "node-feature-discovery"),
    ("platform-monitoring", "monitoring"),
    ("postgresql", "databases"),
    ("site-ca", "cert-manager"),
    ("trainer-runtimes", "training"),
];

/// A host at the site: the bundle, and an empty folder `site`.
struct Crossing {
    folder: TempDir,
}

impl Crossing {
    fn new() -> Crossing {
        let crossing = Crossing { folder: TempDir::new().unwrap() };
        fs::copy(shipped().bundle(), crossing.path("platform.tar")).unwrap();
        fs::create_dir(crossing.path("site")).unwrap();
        crossing
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    /// At the site: no internet, and a cache of its own.
    fn site(&self, args: &[&str], key: Option<&Path>) -> Output {
        let program = rig().platctl(self.folder.path()).folder(&self.path("site"));
        let program = program.env("PLATCTL_MIRROR", "*=http://127.0.0.1:9");
        let program = program.env("PLATCTL_CACHE_DIR", self.path("site-cache"));
        let program = if let Some(key) = key { program.env("SOPS_AGE_KEY_FILE", key) } else { program };
        program.args(args).run()
    }

    fn without_key(&self, args: &[&str]) -> Output {
        self.site(&[args, &["-e", HERE, "--bundle", "../platform.tar"]].concat(), None)
    }

    fn apply(&self) -> Output {
        self.site(&["apply", "-e", HERE, "--bundle", "../platform.tar"], Some(&shipped().key()))
    }
}

/// One test, because each part stands on the one before.
#[test]
fn from_lock_to_status() {
    let crossing = Crossing::new();
    damaged_bundles_touch_nothing(&crossing);
    assert_screen!(crossing.folder.path(), "applied", sorted(&crossing.apply().ok()));
    pods_run_what_was_bundled();
    hooks_ran_from_the_site_too();
    definitions_are_established();
    webhooks_were_asked();
    let status = crossing.without_key(&["status"]).ok();
    assert_screen!(crossing.folder.path(), "status", status.screen());
    status_as_json(&crossing);
    template_is_what_helm_stored(&crossing);
    a_second_apply_changes_nothing(&crossing);
    one_value_is_one_upgrade(&crossing);
}

/// Releases of a tier end in any order.
fn sorted(output: &Output) -> String {
    let screen = output.screen();
    let mut lines: Vec<&str> = screen.lines().collect();
    let done = |line: &str| line.starts_with("  ✔");
    lines.chunk_by_mut(|a, b| done(a) && done(b)).for_each(|chunk| chunk.sort_unstable());
    lines.join("\n")
}

fn damaged_bundles_touch_nothing(crossing: &Crossing) {
    let file = BundleFile::open(&crossing.path("platform.tar"));
    let bad = crossing.path("bad.tar");
    file.altered(&file.layer("gpu-operator"), &bad);
    let apply = || crossing.site(&["apply", "-e", HERE, "--bundle", "../bad.tar"], Some(&shipped().key())).exits(4);
    assert_screen!(crossing.folder.path(), "altered", apply().screen());
    file.cut(file.size() / 2, &bad);
    assert!(apply().stderr.contains("cut short"));
    fs::remove_file(&bad).unwrap();
    let namespaces = rig().kubectl(&["get", "namespaces", "--output=name"]);
    for namespace in NAMESPACES {
        assert!(!namespaces.contains(&format!("namespace/{namespace}\n")), "{namespace} was made");
    }
}

/// Every image of every pod and every Job.
fn images(kinds: &str) -> BTreeSet<String> {
    let mut images = BTreeSet::new();
    for namespace in NAMESPACES {
        collect(&rig().get(&[kinds, "--namespace", namespace]), &mut images);
    }
    images
}

/// The images of containers, wherever a pod's spec stands.
fn collect(value: &Value, images: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, images)),
        Value::Object(map) => {
            for key in ["containers", "initContainers"] {
                let all = map.get(key).and_then(Value::as_array).into_iter().flatten();
                images.extend(all.filter_map(|c| c["image"].as_str()).map(str::to_owned));
            }
            map.values().for_each(|inner| collect(inner, images));
        }
        _ => {}
    }
}

fn pods_run_what_was_bundled() {
    let found = images("pods");
    assert!(found.len() > 15, "{found:?}");
    let lock = read(&shipped().platform().join("charts-lock.yaml"));
    for image in &found {
        assert!(image.starts_with(&format!("{}/mirror/", rig().registry)), "{image}");
        let (_, digest) = image.split_once('@').unwrap_or_else(|| panic!("{image} is not pinned"));
        assert!(lock.contains(digest), "{image} is not what is locked");
        assert!(rig().holds(image), "the registry does not have {image}");
    }
}

fn hooks_ran_from_the_site_too() {
    let manifests: Vec<String> =
        [("minio", "minio"), ("cert-manager", "cert-manager"), ("gpu-operator", "gpu-operator")]
            .iter()
            .map(|(release, namespace)| rig().helm(&["get", "hooks", release, "--namespace", namespace]))
            .collect();
    for text in &manifests {
        let images = text.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("image:"));
        let images: Vec<&str> = images.map(|image| image.trim().trim_matches('"')).collect();
        assert!(!images.is_empty(), "{text}");
        for image in images {
            assert!(image.starts_with(&rig().registry) && image.contains("@sha256:"), "{image}");
            assert!(rig().holds(image), "{image}");
        }
    }
}

fn definitions_are_established() {
    let list = rig().get(&["customresourcedefinitions"]);
    let names: Vec<&str> =
        list["items"].as_array().unwrap().iter().filter_map(|i| i["metadata"]["name"].as_str()).collect();
    for wanted in [
        "clusterpolicies.nvidia.com",
        "nodefeatures.nfd.k8s-sigs.io",
        "prometheuses.monitoring.coreos.com",
        "certificates.cert-manager.io",
        "clustertrainingruntimes.trainer.kubeflow.org",
        "jobsets.jobset.x-k8s.io",
    ] {
        assert!(names.contains(&wanted), "{names:?}");
    }
    let policy = rig().get(&["clusterpolicies.nvidia.com", "cluster-policy"]);
    let repository = policy["spec"]["toolkit"]["repository"].as_str().unwrap_or_default();
    assert!(repository.starts_with(&rig().registry), "{:#}", policy["spec"]);
}

/// The issuer's webhook fails closed: it is only there because its release waited until somebody answered.
fn webhooks_were_asked() {
    assert!(rig().get(&["clusterissuers.cert-manager.io", "site-ca"])["spec"].is_object());
    let runtimes = rig().get(&["clustertrainingruntimes.trainer.kubeflow.org"]);
    assert!(runtimes["items"].as_array().unwrap().len() >= 3);
}

fn status_as_json(crossing: &Crossing) {
    let output = crossing.without_key(&["status", "-o", "json"]).ok();
    let json: Value = serde_json::from_str(&output.stdout).unwrap();
    let releases = json["releases"].as_array().unwrap();
    assert_eq!(releases.len(), RELEASES.len());
    assert!(
        releases.iter().all(|r| r["status"] == "deployed" && r["current"] == true && r["revision"] == 1),
        "{json:#}"
    );
}

/// Objects of a manifest as JSON texts. Of a Secret only the name: without a key its contents are not known.
fn objects(manifest: &str) -> BTreeSet<String> {
    // With the line's end that the separator has taken: a text of several lines has one.
    let documents = manifest.split("\n---").map(|text| format!("{}\n", text.trim_start_matches("---")));
    let parsed = documents.map(|text| serde_yaml::from_str::<Value>(&text).unwrap_or_else(|e| panic!("{e}: {text}")));
    let parsed = parsed.filter(|value| value.is_object());
    let known = parsed.map(|mut value| {
        if value["kind"] == "Secret" {
            value = serde_json::json!({ "kind": "Secret", "name": value["metadata"]["name"] });
        }
        value
    });
    let sorted = |value: Value| serde_json::from_str::<std::collections::BTreeMap<String, Value>>(&value.to_string());
    known.map(|value| format!("{:?}", sorted(value).unwrap())).collect()
}

/// helm keeps no record of what comes from `crds/`. A file of several documents is named at the first.
fn without_crds_folders(manifest: &str) -> String {
    let (mut source, mut stored) = ("", Vec::new());
    for text in manifest.split("\n---") {
        source = text.lines().find_map(|line| line.strip_prefix("# Source: ")).unwrap_or(source);
        if !source.contains("/crds/") || source.contains("/templates/") {
            stored.push(text);
        }
    }
    stored.join("\n---")
}

fn template_is_what_helm_stored(crossing: &Crossing) {
    for (release, namespace) in RELEASES {
        let template = crossing.without_key(&["template", "-l", &format!("name={release}")]).ok();
        // Its chart asks for the definitions that it brings itself.
        assert!(release != "kube-prometheus-stack" || template.stdout.contains("kind: ServiceMonitor"));
        let stored = ["manifest", "hooks"].map(|part| rig().helm(&["get", part, release, "--namespace", namespace]));
        let stored = format!("{}\n---\n{}", stored[0], stored[1]);
        let (ours, helms) = (objects(&without_crds_folders(&template.stdout)), objects(&stored));
        let tests = |text: &&String| !text.contains("helm.sh/hook\": String(\"test");
        let missing: Vec<_> = helms.difference(&ours).filter(tests).collect();
        let extra: Vec<_> = ours.difference(&helms).collect();
        assert!(
            missing.is_empty() && extra.is_empty(),
            "{release}: stored only: {missing:#?}\ntemplate only: {extra:#?}"
        );
    }
}

fn all_records() -> Vec<(String, String, String)> {
    NAMESPACES.iter().flat_map(|namespace| rig().records(namespace)).collect()
}

/// And needs no key.
fn a_second_apply_changes_nothing(crossing: &Crossing) {
    let before = all_records();
    assert_screen!(crossing.folder.path(), "second", crossing.without_key(&["apply"]).ok().screen());
    assert_eq!(all_records(), before);
}

fn one_value_is_one_upgrade(crossing: &Crossing) {
    let before: BTreeSet<String> = all_records().into_iter().map(|(name, ..)| name).collect();
    crossing.site(&["unpack", "../platform.tar", "."], None).ok();
    let file = crossing.path("site/environments/here/values.yaml");
    assert!(!Path::new(&file).exists());
    put(&file, "mlflow: {replicas: 3}\n");
    assert_screen!(crossing.folder.path(), "one_value", sorted(&crossing.apply().ok()));
    let after: BTreeSet<String> = all_records().into_iter().map(|(name, ..)| name).collect();
    let new: Vec<&String> = after.difference(&before).collect();
    assert_eq!(new, ["mlflow.v2"]);
    let deployment = rig().get(&["deployment", "mlflow", "--namespace=mlflow"]);
    assert_eq!(deployment["spec"]["replicas"], 3);

    // A chart that looks the cluster up renders otherwise once it is installed, if it is let.
    put(&file, "mlflow: {replicas: 3}\nmonitoring: {retention: 7d}\n");
    let output = crossing.apply().ok();
    let last: BTreeSet<String> = all_records().into_iter().map(|(name, ..)| name).collect();
    let new: Vec<&String> = last.difference(&after).collect();
    assert_eq!(new, ["kube-prometheus-stack.v2"], "{}", output.screen());
}
