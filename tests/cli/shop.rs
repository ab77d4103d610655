//! The shop: a small platform, an internet that has its charts and images, fakes for helm and kubectl, and the
//! program in a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::upstream::{Image, Repository, Settings, Size, Upstream};
use crate::support::{self, Output, Platctl, put, read};

pub const UID: &str = "4f2b6c1e-0000-4000-8000-5ca1ab1e0001";

/// Everything one test needs.
pub struct Shop {
    pub upstream: Upstream,
    folder: TempDir,
}

impl Shop {
    /// The cluster shows a Deployment whose only pod crashes, and what its container said; helm's word about it.
    pub fn crashing(&self, namespace: &str, name: &str, message: &str, log: &str) -> String {
        let pod = format!("{name}-6d4f-x");
        let object = |kind: &str, name: &str, owner: &str, rest: &str| {
            format!(
                r#"{{"kind": "{kind}", "metadata": {{"name": "{name}", "namespace": "{namespace}", "uid": "{kind}", "ownerReferences": [{{"uid": "{owner}"}}]}}, {rest}}}"#
            )
        };
        let message = serde_json::json!(message);
        let crash = format!(
            r#""status": {{"containerStatuses": [{{"name": "main", "restartCount": 5,
            "state": {{"waiting": {{"reason": "CrashLoopBackOff", "message": {message}}}}}, "lastState": {{"terminated": {{"exitCode": 1}}}}}}]}}"#
        );
        let items = [
            object("Deployment", name, "", r#""spec": {"replicas": 1}, "status": {"readyReplicas": 0}"#),
            object("ReplicaSet", &format!("{name}-6d4f"), "Deployment", r#""spec": {"replicas": 1}"#),
            object("Pod", &pod, "ReplicaSet", &crash),
        ];
        put(&self.fake("workings"), format!(r#"{{"items": [{}]}}"#, items.join(", ")));
        put(&self.fake(&format!("log-{pod}")), log);
        format!(
            "Error: resource Deployment/{namespace}/{name} not ready. status: InProgress, message: Available: 0/1\ncontext deadline exceeded\n"
        )
    }

    pub fn new() -> Shop {
        Shop::with(|_| {})
    }

    /// As [`Shop::new`], with other settings of the internet.
    pub fn with(change: impl FnOnce(&mut Settings)) -> Shop {
        let folder = TempDir::new().unwrap();
        support::copy_folder(&fixture().join("platform"), &folder.path().join("platform"));
        for part in ["stdin", "env", "apis", "render", "live", "fail", "fail-once", "hang", "decrypted"] {
            fs::create_dir_all(folder.path().join("fake").join(part)).unwrap();
        }
        put(&folder.path().join("fake/records"), "");
        put(&folder.path().join("fake/uid"), UID);
        support::static_executable(&folder.path().join("platctl-to-carry"));
        let mut settings = internet();
        settings.files = folder.path().join("files");
        change(&mut settings);
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("upstream");
        let tools = support::root().join("tests/support/fakes");
        let upstream = Upstream::with(settings, Some(tools), &cache).unwrap();
        Shop { upstream, folder }
    }

    /// A shop whose platform is locked.
    pub fn locked() -> Shop {
        let shop = Shop::new();
        shop.run(&["lock"]).ok();
        shop.upstream.reset();
        shop.forget_calls();
        shop
    }

    /// As [`Shop::locked`], with a bundle of prod for the site's registry at an address.
    pub fn bundled(registry: &str) -> Shop {
        let shop = Shop::new();
        shop.edit("environments/prod/environment.yaml", "registry.site:5000", registry);
        shop.run(&["lock"]).ok();
        shop.bundle("platform.tar").ok();
        shop.upstream.reset();
        shop.forget_calls();
        shop
    }

    /// The folder of everything; the platform is in `platform`.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn file(&self, inside: &str) -> PathBuf {
        self.path().join("platform").join(inside)
    }

    pub fn fake(&self, inside: &str) -> PathBuf {
        self.path().join("fake").join(inside)
    }

    /// The program in the platform's folder, with this internet.
    pub fn platctl(&self) -> Platctl {
        let mirror = format!("*={}", self.upstream.url());
        let program = Platctl::new(self.path()).folder(&self.file(""));
        program.env("FAKE", self.fake("")).env("PLATCTL_MIRROR", mirror)
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.platctl().args(args).run()
    }

    /// Bundles prod into a file beside the platform.
    pub fn bundle(&self, file: &str) -> Output {
        let args = ["bundle", "-e", "prod", "--platctl", "../platctl-to-carry", "-o"];
        self.platctl().args(args).args([format!("../{file}")]).run()
    }

    /// Replaces a text in a file of the platform.
    #[track_caller]
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let text = read(&self.file(file));
        assert!(text.contains(from), "{file} holds no {from}");
        put(&self.file(file), text.replace(from, to));
    }

    pub fn add(&self, file: &str, text: &str) {
        let old = fs::read_to_string(self.file(file)).unwrap_or_default();
        put(&self.file(file), old + text);
    }

    pub fn lock_text(&self) -> String {
        read(&self.file("charts-lock.yaml"))
    }

    /// What the fakes were asked, a line each.
    pub fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.fake("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Forgets what the fakes were asked, and what platctl remembers of what they rendered.
    pub fn forget_calls(&self) {
        self.forget_renders();
        let _ = fs::remove_file(self.fake("calls"));
        fs::remove_dir_all(self.fake("stdin")).unwrap();
        fs::create_dir(self.fake("stdin")).unwrap();
    }

    /// Forgets what was rendered: after a change of what a fake renders.
    pub fn forget_renders(&self) {
        let _ = fs::remove_dir_all(self.path().join("home/cache/renders"));
    }

    /// Calls that change a cluster.
    pub fn changing_calls(&self) -> Vec<String> {
        let changes =
            ["helm upgrade", "helm install", "helm rollback", "helm uninstall", "kubectl apply", "kubectl delete"];
        self.calls().into_iter().filter(|call| changes.iter().any(|change| call.starts_with(change))).collect()
    }

    /// The releases that helm was asked to install or upgrade, in order.
    pub fn upgraded(&self) -> Vec<String> {
        let calls = self.calls();
        let upgrades = calls.iter().filter_map(|call| call.strip_prefix("helm upgrade --install "));
        upgrades.map(|rest| rest.split(' ').next().unwrap().to_owned()).collect()
    }
}

pub fn fixture() -> PathBuf {
    support::root().join("tests/cli/shop")
}

fn internet() -> Settings {
    let repository = |url: &str, charts: &[&str]| Repository {
        url: url.to_owned(),
        charts: charts.iter().map(|chart| (*chart).to_owned()).collect(),
        ..Repository::default()
    };
    let image = |name: &str, sizes: &[u64]| Image {
        reference: format!("registry.example.org/shop/{name}"),
        layers: sizes.iter().map(|size| Size(*size)).collect(),
        ..Image::default()
    };
    let names = ["store", "queue", "api", "web", "jobs", "runner"];
    Settings {
        repositories: vec![
            repository("https://charts.example.org/stable", &["store", "web", "jobs"]),
            repository("oci://ghcr.example.org/charts", &["queue"]),
        ],
        images: names.iter().map(|name| image(name, &[20_000, 5_000])).collect(),
        tools: [("helm", "4.3.1"), ("kubectl", "1.34.4"), ("sops", "3.13.3")]
            .map(|(t, v)| (t.to_owned(), v.to_owned()))
            .into(),
        charts: fixture().join("charts"),
        ..Settings::default()
    }
}
