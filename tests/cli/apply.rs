//! `plan`, `apply` and `status` when all goes well: what helm and kubectl are asked, and that nothing is asked twice.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::assert_screen;
use crate::shop::{Shop, UID};
use crate::support::{SiteRegistry, put, read};

const APPLY: [&str; 3] = ["apply", "-e", "prod"];
const CRD: &str = "---
# Source: store/crds/stores.yaml
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: stores.example.org}
spec:
  group: example.org
  names: {kind: Store, plural: stores}
  scope: Namespaced
  versions: [{name: v1, served: true, storage: true}]
---
# Source: store/templates/statefulset.yaml
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: store, namespace: data}
spec:
  template:
    spec:
      containers:
      - {name: main, image: registry.example.org/shop/store:1.0}
";

/// Calls with what differs from test to test left out.
fn shown(shop: &Shop, calls: &[String]) -> String {
    let (home, folder) = (shop.path().join("home"), shop.path().display().to_string());
    calls.join("\n").replace(&home.display().to_string(), "[home]").replace(&folder, "[dir]")
}

#[test]
fn a_first_apply() {
    let shop = Shop::locked();
    put(&shop.fake("render/store.yaml"), CRD);
    assert_screen!(shop.path(), "plan", shop.run(&["plan", "-e", "prod"]).ok().screen());
    assert_screen!(shop.path(), "dry_run", shop.run(&["apply", "-e", "prod", "--dry-run"]).ok().screen());
    assert!(shop.changing_calls().is_empty(), "{:?}", shop.calls());
    shop.forget_calls();
    assert_screen!(shop.path(), "applied", shop.run(&APPLY).ok().screen());
    assert_eq!(shop.upgraded(), ["queue", "store", "api", "jobs", "web"]);
    // The lease and the journal are kept beside what is done, and helm's records are listed anew every few seconds.
    let beside = ["helm template", "platctl-system", "--request-timeout=10s"];
    let wanted = |call: &String| !beside.iter().any(|part| call.contains(part));
    let calls: Vec<String> = shop.calls().into_iter().filter(wanted).collect();
    assert_screen!(shop.path(), "calls", shown(&shop, &calls));
    assert_screen!(shop.path(), "kubectl_apply", read(&shop.fake("stdin/kubectl-apply")));
    assert_screen!(shop.path(), "applied_store", read(&shop.fake("applied-store")));
    assert_screen!(shop.path(), "status", shop.run(&["status", "-e", "prod"]).ok().screen());
}

#[test]
fn helm_lives_in_a_world_of_its_own() {
    let shop = Shop::locked();
    let program = shop.platctl().env("HELM_NAMESPACE", "elsewhere").env("HELM_PLUGINS", "/nowhere");
    program.env("HELM_KUBECONTEXT", "other").env("HELM_DEBUG", "true").args(APPLY).run().ok();
    let text = read(&shop.fake("env/helm-upgrade-store")).replace(&shop.path().display().to_string(), "[dir]");
    assert_screen!(shop.path(), "helm_env", text);
    let values = read(&shop.fake("stdin/helm-upgrade-store"));
    assert_eq!(values, read(&shop.fake("stdin/helm-template-store")), "what was looked at is what is installed");
    assert_eq!(values, "{\"password\":\"not-in-any-argument\",\"hosts\":[\"a\",\"b\"],\"replicas\":3}\n");
    assert!(shop.calls().iter().all(|call| !call.contains("not-in-any-argument")));
}

#[test]
fn images_point_at_the_site_by_digest() {
    let shop = Shop::locked();
    shop.run(&APPLY).ok();
    let lock = shop.lock_text();
    for release in ["store", "queue", "api", "web", "jobs"] {
        let applied = read(&shop.fake(&format!("applied-{release}")));
        let (_, entry) = lock.split_once(&format!("shop/{release}:1.0\n")).unwrap();
        let digest = entry.split("linux/amd64: ").nth(1).unwrap().lines().next().unwrap();
        let image = format!("registry.site:5000/mirror/registry.example.org/shop/{release}@{digest}");
        assert!(applied.contains(&image), "{image} is not in {applied}");
        let template = shop.run(&["template", "-e", "prod", "-l", &format!("name={release}")]).ok();
        let lines = applied.lines().filter(|line| !line.starts_with("# platctl.dev/"));
        let applied = lines.collect::<Vec<_>>().join("\n");
        assert_eq!(template.stdout.trim(), applied.trim(), "template shows what is installed");
    }
}

#[test]
fn a_second_apply_looks_once_and_does_nothing() {
    let shop = Shop::locked();
    shop.add("environments/prod/environment.yaml", &format!("cluster: {{uid: {UID}, context: site}}\n"));
    shop.run(&APPLY).ok();
    shop.forget_calls();
    assert_screen!(shop.path(), "second", shop.run(&APPLY).ok().screen());
    let calls: BTreeSet<String> = shop.calls().into_iter().collect();
    let expected = [
        "kubectl get namespace kube-system --output=jsonpath={.metadata.uid} --request-timeout=20s --context=site",
        "kubectl get secrets --all-namespaces --selector=owner=helm --show-labels --no-headers --request-timeout=20s --context=site",
    ];
    assert_eq!(calls, expected.map(String::from).into());
    assert_eq!(shop.calls().len(), 2);
}

#[test]
fn one_changed_value_is_one_upgrade() {
    let shop = Shop::locked();
    shop.run(&APPLY).ok();
    shop.forget_calls();
    put(&shop.file("environments/prod/releases/web.yaml"), "replicas: 7\n");
    assert_screen!(shop.path(), "plan_one_change", shop.run(&["plan", "-e", "prod"]).ok().screen());
    assert_screen!(shop.path(), "one_change", shop.run(&APPLY).ok().screen());
    assert_eq!(shop.upgraded(), ["web"]);
    assert_eq!(read(&shop.fake("stdin/helm-upgrade-web")), "{\"replicas\":7}\n");
    assert_screen!(shop.path(), "status_after", shop.run(&["status", "-e", "prod"]).ok().screen());
}

#[test]
fn a_release_that_is_no_longer_declared_is_named_and_left_alone() {
    let shop = Shop::locked();
    shop.run(&APPLY).ok();
    shop.add("environments/prod/environment.yaml", "releases: {jobs: false}\n");
    shop.forget_calls();
    assert_screen!(shop.path(), "undeclared", shop.run(&APPLY).ok().screen());
    assert_screen!(shop.path(), "undeclared_plan", shop.run(&["plan", "-e", "prod"]).ok().screen());
    assert_screen!(shop.path(), "undeclared_status", shop.run(&["status", "-e", "prod"]).ok().screen());
    assert!(shop.changing_calls().is_empty());
}

#[test]
fn selected_releases() {
    let shop = Shop::locked();
    let web = ["apply", "-e", "prod", "-l", "name=web"];
    assert_screen!(shop.path(), "needs_missing", shop.run(&web).exits(4).screen());
    assert!(shop.changing_calls().is_empty());
    shop.run(&["apply", "-e", "prod", "-l", "tier=base"]).ok();
    assert_eq!(shop.upgraded(), ["queue", "store"]);
    shop.run(&["apply", "-e", "prod", "-l", "name=web", "--skip-needs"]).ok();
    assert_eq!(shop.upgraded(), ["queue", "store", "web"]);
    shop.run(&["apply", "-e", "prod", "-l", "tier=apps,name=api"]).ok();
    assert_screen!(
        shop.path(),
        "status_selected",
        shop.run(&["status", "-e", "prod", "-l", "tier=apps"]).ok().screen()
    );
}

#[test]
fn machines_read_json() {
    let shop = Shop::locked();
    shop.run(&["apply", "-e", "prod", "-l", "tier=base"]).ok();
    assert_screen!(shop.path(), "plan_json", shop.run(&["plan", "-e", "prod", "-o", "json"]).ok().screen());
    assert_screen!(shop.path(), "status_json", shop.run(&["status", "-e", "prod", "-o", "json"]).ok().screen());
}

#[test]
fn quiet_says_nothing_and_verbose_more() {
    let shop = Shop::locked();
    assert_screen!(shop.path(), "verbose", shop.run(&["apply", "-e", "prod", "-v"]).ok().screen());
    put(&shop.fake("records"), "");
    let quiet = shop.run(&["apply", "-e", "prod", "-q"]).ok();
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
}

#[test]
fn from_a_bundle_images_go_first() {
    let registry = SiteRegistry::start();
    let shop = Shop::bundled(&registry.host);
    let site = shop.path().join("site");
    fs::create_dir(&site).unwrap();
    let apply = |args: &[&str]| {
        let program = shop.platctl().folder(&site).env("PLATCTL_CACHE_DIR", shop.path().join("site-cache"));
        program.env("PLATCTL_BUNDLE", "../platform.tar").env("PLATCTL_MIRROR", "").args(args).run()
    };
    assert_screen!(shop.path(), "from_bundle", apply(&["apply"]).ok().screen());
    assert_eq!(registry.manifests().len(), 12, "each image by tag and by digest");
    registry.forget_requests();
    assert_screen!(shop.path(), "from_bundle_again", apply(&["apply", "-e", "prod"]).ok().screen());
    assert!(registry.requests().is_empty(), "nothing to do: the registry is not even asked");
    assert!(shop.upstream.requests().is_empty(), "nothing comes from the internet");
}

#[test]
fn what_lies_in_the_cache_is_private() {
    let shop = Shop::locked();
    shop.run(&APPLY).ok();
    let mut seen = 0;
    let mut open = vec![shop.path().join("home/cache")];
    while let Some(path) = open.pop() {
        let facts = fs::symlink_metadata(&path).unwrap();
        assert_eq!(facts.permissions().mode() & 0o077, 0, "{} is not private", path.display());
        seen += 1;
        if facts.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let bytes = fs::read(&path).unwrap();
            let found = bytes.windows(19).any(|window| window == b"not-in-any-argument");
            assert!(!found, "{} holds values", path.display());
        }
    }
    assert!(seen > 10, "{seen}");
}
