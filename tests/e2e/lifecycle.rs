//! What comes after an installation: pruning, destroying, looking back and going back; and users who may see little.

use std::collections::BTreeMap;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::platform::Small;
use crate::rig::{rig, signal};
use crate::support::program::until;
use crate::support::{Output, read};

/// A StatefulSet whose pods each have a claim.
const STATEFUL: &str = "apiVersion: apps/v1
kind: StatefulSet
metadata: {name: {{ .Release.Name }}, namespace: {{ .Release.Namespace }}}
spec:
  serviceName: {{ .Release.Name }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec:
      containers:
      - name: main
        image: \"registry.example.org/e2e/app:1\"
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
";

/// What must outlive its release, though helm made it: a claim with data, and a definition.
const LASTING: &str = "apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: {{ .Release.Name }}-disk, namespace: {{ .Release.Namespace }}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: {{ .Release.Name }}s.{{ .Release.Namespace }}.example.org}
spec:
  group: {{ .Release.Namespace }}.example.org
  names: {kind: Thing{{ .Release.Name }}, plural: {{ .Release.Name }}s, singular: {{ .Release.Name }}}
  scope: Namespaced
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
";

fn template(small: &Small, tier: &str, release: &str, name: &str, text: &str) {
    small.put(&format!("templates/{tier}/{release}/chart/templates/{name}.yaml"), text);
}

/// Names of objects of a kind in a namespace.
fn names(kind: &str, namespace: &str) -> Vec<String> {
    let list = rig().get(&[kind, "--namespace", namespace]);
    let mut names: Vec<String> =
        list["items"].as_array().unwrap().iter().map(|i| i["metadata"]["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

fn uid(kind: &str, namespace: &str, name: &str) -> String {
    rig().get(&[kind, name, "--namespace", namespace])["metadata"]["uid"].as_str().unwrap().to_owned()
}

/// The newest run of the environment.
fn newest_run(small: &Small) -> String {
    runs(small)[0]["run"].as_str().unwrap().to_owned()
}

fn runs(small: &Small) -> Vec<Value> {
    let output = small.run(&["history", "-e", "site", "-o", "json"]).ok();
    serde_json::from_str::<Value>(&output.stdout).unwrap()["runs"].as_array().unwrap().clone()
}

/// Gives helm's newest record of a release other labels, as if somebody else had made it.
fn relabel(namespace: &str, release: &str, labels: &[&str]) {
    let secret = format!("sh.helm.release.v1.{release}.v1");
    rig().kubectl(&[&["label", "secret", &secret, "--overwrite", "--namespace", namespace], labels].concat());
}

fn assert_says(output: &Output, texts: &[&str]) {
    for text in texts {
        assert!(output.screen().contains(text), "it does not say `{text}`\n{}", output.screen());
    }
}

#[test]
fn prune_removes_exactly_what_is_ours_and_no_longer_wanted() {
    let mut small = Small::new("pruned").release("one", "a", "");
    for name in ["gone", "dropped", "near", "nearer"] {
        small = small.release("two", name, "");
    }
    template(&small, "two", "gone", "lasting", LASTING);
    let secret = "secrets: [{name: gone-made, data: {k: {value: v}}}]\n";
    small.edit("templates/two/gone/release.yaml", "namespace: pruned\n", &format!("namespace: pruned\n{secret}"));
    let small = small.locked();
    small.apply().ok();
    assert!(names("secrets", "pruned").contains(&"gone-made".to_owned()));
    // One letter of a label, and it is somebody else's.
    relabel("pruned", "near", &["platctl.dev/platform=prune"]);
    relabel("pruned", "nearer", &["platctl.dev/environment=site2"]);
    let chart = small.path("templates/one/a/chart");
    rig().helm(&["install", "foreign", chart.to_str().unwrap(), "--namespace", "pruned"]);
    for name in ["gone", "near", "nearer"] {
        std::fs::remove_dir_all(small.path(&format!("templates/two/{name}"))).unwrap();
    }
    small.edit("environments/site/environment.yaml", "timeouts:", "releases: {dropped: false}\ntimeouts:");

    let plain = small.apply().ok();
    assert_says(
        &plain,
        &["pruned/gone is installed, but no longer declared", "pruned/dropped is installed, but switched off"],
    );
    let usage = small.run(&["apply", "-e", "site", "--prune", "-l", "tier=one"]).exits(64);
    assert_says(&usage, &["--prune looks at everything"]);
    let plan = small.run(&["plan", "-e", "site", "--prune"]).ok();
    assert_says(&plan, &["removed at the end", "no longer declared", "switched off", "2 remove"]);
    // A part that fails comes before; then nothing is pruned.
    small.values("a", "behaviour: never-ready\n");
    small.edit("environments/site/environment.yaml", "release: 60s", "release: 5s");
    small.run(&["apply", "-e", "site", "--prune"]).exits(1);
    assert_eq!(small.states().len(), 6, "{:?}", small.states());
    small.values("a", "replicas: 1\n");

    let pruned = small.run(&["apply", "-e", "site", "--prune"]).ok();
    assert_says(
        &pruned,
        &["Removing two", "2 of 2", "kubectl delete persistentvolumeclaim --namespace pruned gone-disk"],
    );
    let left: Vec<String> = small.states().into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, ["a", "foreign", "near", "nearer"]);
    assert_eq!(names("deployments", "pruned"), ["a", "foreign", "near", "nearer"]);
    assert_eq!(names("persistentvolumeclaims", "pruned"), ["gone-disk"]);
    rig().get(&["customresourcedefinition", "gones.pruned.example.org"]);
    assert!(!names("secrets", "pruned").contains(&"gone-made".to_owned()));
    let again = small.run(&["apply", "-e", "site", "--prune"]).ok();
    assert_says(&again, &["1 unchanged"]);
    assert_eq!(runs(&small)[0]["releases"], json!({"remove": 2, "upgrade": 1}));
    let _ = rig().tool("kubectl", &["delete", "crd", "gones.pruned.example.org"]);
}

#[test]
fn destroy_is_confirmed_goes_backwards_and_keeps_what_lasts() {
    let small = Small::new("destroyed").release("one", "db", "").release("one", "cache", "needs: [db]\n");
    let small = small.release("two", "web", "");
    template(&small, "one", "db", "stateful", STATEFUL);
    template(&small, "one", "db", "lasting", LASTING);
    let small = small.locked();
    small.apply().ok();
    let claim = uid("persistentvolumeclaim", "destroyed", "data-db-0");
    let before = small.states();

    let refused = small.run(&["destroy", "-e", "site"]).exits(4);
    assert_says(&refused, &["error[E0462]", "--confirm site"]);
    let refused = small.run(&["destroy", "-e", "site", "--confirm", "destroyed"]).exits(4);
    assert_says(&refused, &["error[E0462]", "nothing was removed"]);
    let refused = small.run(&["destroy", "-e", "site", "--confirm", "site", "-l", "name=db"]).exits(4);
    assert_says(&refused, &["error[E0463]", "cache, which stays, needs it"]);
    let shown = small.run(&["destroy", "-e", "site", "--dry-run"]).ok();
    assert_says(
        &shown,
        &[
            "stays  PersistentVolumeClaim destroyed/data-db-0 of db, 1Gi",
            "stays  CustomResourceDefinition dbs.destroyed.example.org",
        ],
    );
    small.run(&["destroy", "-e", "site", "--confirm", "site", "-l", "name=nobody"]).exits(3);
    assert_eq!(small.states(), before);

    let removed = small.run(&["destroy", "-e", "site", "--confirm", "site"]).ok();
    assert_says(&removed, &["3 of 3", "data-db-0 db-disk", "namespaces destroyed"]);
    let order: Vec<usize> =
        ["✔ web", "✔ cache", "✔ db"].iter().map(|text| removed.stderr.find(text).unwrap()).collect();
    assert!(order.is_sorted(), "{}", removed.screen());
    assert!(small.states().is_empty());
    assert!(names("deployments", "destroyed").is_empty() && names("statefulsets", "destroyed").is_empty());
    assert_eq!(names("persistentvolumeclaims", "destroyed"), ["data-db-0", "db-disk"]);
    rig().get(&["customresourcedefinition", "dbs.destroyed.example.org"]);
    assert_says(&small.run(&["destroy", "-e", "site", "--confirm", "site"]).ok(), &["nothing of environment site"]);

    small.apply().ok();
    assert_eq!(uid("persistentvolumeclaim", "destroyed", "data-db-0"), claim, "the data is found again");
    let thing = "apiVersion: destroyed.example.org/v1\nkind: Thingdb\nmetadata: {name: t, namespace: destroyed}\n";
    small.put("thing.yaml", thing);
    rig().kubectl(&["apply", "--filename", small.path("thing.yaml").to_str().unwrap()]);
    let all = [
        "destroy",
        "-e",
        "site",
        "--confirm",
        "site",
        "--delete-pvcs",
        "db",
        "--delete-crds",
        "dbs.destroyed.example.org",
    ];
    let kept = small.run(&all).exits(1);
    assert_says(&kept, &["error[E0464]", "still has 1 object", "destroyed/t"]);
    assert!(names("persistentvolumeclaims", "destroyed").is_empty());
    rig().kubectl(&["delete", "dbs.destroyed.example.org", "t", "--namespace", "destroyed"]);
    small.apply().ok();
    assert_says(&small.run(&all).ok(), &["Deleted  CustomResourceDefinition dbs.destroyed.example.org"]);
    assert!(rig().tool("kubectl", &["get", "crd", "dbs.destroyed.example.org"]).is_err());
}

/// A definition in a chart's `crds/`, which helm's uninstall never touches.
const CRDS: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: parts.outlived.example.org}
spec:
  group: outlived.example.org
  names: {kind: Part, plural: parts, singular: part}
  scope: Namespaced
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
";

/// What a first `destroy` kept is deleted by a second one, once nobody else has it.
#[test]
fn definitions_that_were_kept_are_deleted_when_they_are_named_later() {
    let small = Small::new("outlived").release("one", "db", "");
    template(&small, "one", "db", "lasting", LASTING);
    small.put("templates/one/db/chart/crds/parts.yaml", CRDS);
    // helm's record knows nothing of this one.
    small.put("templates/one/db/chart/charts/sub/Chart.yaml", "apiVersion: v2\nname: sub\nversion: 1.0.0\n");
    let of_subchart = CRDS.replace("Part", "Whole").replace("part", "whole");
    small.put("templates/one/db/chart/charts/sub/crds/wholes.yaml", &of_subchart);
    let small = small.locked();
    small.apply().ok();
    let [brought, made, within] = ["parts", "dbs", "wholes"].map(|name| format!("{name}.outlived.example.org"));
    let (brought, made, within) = (brought.as_str(), made.as_str(), within.as_str());
    let destroy = ["destroy", "-e", "site", "--confirm", "site"];
    let all = [brought, made, within].join(",");
    let later = [&destroy[..], &["--delete-crds", &all]].concat();
    // Somebody else's release brings one of them too.
    small.put("theirs/Chart.yaml", "apiVersion: v2\nname: theirs\nversion: 1.0.0\n");
    small.put("theirs/crds/parts.yaml", CRDS);
    small.put("theirs/templates/map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: theirs}\n");
    let theirs = small.path("theirs");
    rig().helm(&["install", "theirs", theirs.to_str().unwrap(), "--namespace", "outlived", "--skip-crds"]);
    assert_says(&small.run(&later).exits(4), &["error[E0463]", brought, "release outlived/theirs, which stays"]);
    assert_eq!(small.states().len(), 2, "nothing was removed");

    let kept = small.run(&destroy).ok();
    for name in [brought, made, within] {
        assert_says(&kept, &[&format!("stays  CustomResourceDefinition {name}")]);
        let labels = rig().get(&["customresourcedefinition", name])["metadata"]["labels"].clone();
        assert_eq!(labels["platctl.dev/platform"], "outlived", "{labels}");
        assert_eq!(labels["platctl.dev/environment"], "site", "{labels}");
    }
    assert_says(&small.run(&later).exits(4), &["error[E0463]", brought]);
    rig().helm(&["uninstall", "theirs", "--namespace", "outlived"]);
    rig().kubectl(&["label", "crd", made, "--overwrite", "platctl.dev/environment=other"]);
    assert_says(&small.run(&later).exits(4), &["error[E0464]", made, "environment other of platform outlived"]);
    rig().kubectl(&["label", "crd", made, "--overwrite", "platctl.dev/environment=site"]);

    let deleted = small.run(&later).ok();
    for name in [brought, made, within] {
        assert_says(&deleted, &[&format!("Deleted  CustomResourceDefinition {name}")]);
        assert!(rig().tool("kubectl", &["get", "crd", name]).is_err(), "{name}");
    }
    assert_says(&small.run(&later).ok(), &["CustomResourceDefinition parts.outlived.example.org is not there"]);
    assert_eq!(runs(&small)[0]["verb"], "destroy");
    // A definition with the marks on it is taken over by the next installation as any other.
    small.apply().ok();
    small.run(&destroy).ok();
    small.apply().ok();
    let again = small.apply().ok();
    assert_says(&again, &["1 unchanged"]);
    let drift = small.run(&["apply", "-e", "site", "--check-drift", "--dry-run"]).ok();
    assert_says(&drift, &["1 unchanged"]);
    for name in [brought, made, within] {
        let _ = rig().tool("kubectl", &["delete", "crd", name]);
    }
}

/// A release in the middle of an operation that nobody works on any more.
#[test]
fn what_is_pending_is_removed_as_it_is() {
    let small = Small::new("pending-gone").release("one", "a", "").locked();
    for status in ["pending-install", "pending-upgrade"] {
        if status == "pending-upgrade" {
            small.values("a", "replicas: 1\n");
            small.apply().ok();
        }
        small.values("a", "behaviour: never-ready\n");
        let running = small.platctl().args(["apply", "-e", "site"]).start(small.folder());
        until("helm waits", || small.states().iter().any(|(_, found)| found == status));
        running.signal(Signal::KILL);
        running.wait().exits(128 + 9);
        small.helms().into_iter().for_each(|pid| signal(pid, Signal::KILL));
        until("helm is gone", || small.helms().is_empty());
        let output = small.run(&["destroy", "-e", "site", "--confirm", "site"]).ok();
        assert_says(&output, &[&format!("helm left it in `{status}`"), "1 of 1"]);
        assert!(small.states().is_empty() && names("deployments", "pending-gone").is_empty(), "{}", output.screen());
    }
}

/// Jobs before a release goes: some seconds of work.
const SLOW_HOOKS: &str = "{{- range $i := until 4 }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ $.Release.Name }}-before-{{ $i }}
  namespace: {{ $.Release.Namespace }}
  annotations: {helm.sh/hook: pre-delete, helm.sh/hook-weight: {{ $i | quote }}}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: job, image: \"registry.example.org/e2e/job:1\"}]
{{- end }}
";

/// The helms that remove something in a namespace.
fn removing(namespace: &str) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let at_work = processes.filter(|process| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let has = |wanted: &str| line.split(|byte| *byte == 0).any(|arg| arg == wanted.as_bytes());
        has("uninstall") && has(namespace)
    });
    at_work.filter_map(|process| process.file_name().to_str()?.parse().ok()).collect()
}

/// platctl is killed while its helm removes: the same command waits for that helm, and goes on from where it is.
#[test]
fn a_killed_removal_is_gone_on_with() {
    let small = Small::new("killed-gone").release("one", "db", "").release("two", "web", "needs: [db]\n");
    template(&small, "two", "web", "before", SLOW_HOOKS);
    template(&small, "two", "web", "lasting", LASTING);
    let small = small.locked();
    small.apply().ok();
    let destroy = ["destroy", "-e", "site", "--confirm", "site", "--delete-pvcs", "web"];
    let killed = || {
        let running = small.platctl().args(destroy).start(small.folder());
        until("helm is at work", || !removing("killed-gone").is_empty());
        running.signal(Signal::KILL);
        running.wait().exits(128 + 9);
        assert!(!removing("killed-gone").is_empty(), "it outlives platctl");
    };
    let gone = |output: &Output| {
        assert!(small.states().is_empty() && names("deployments", "killed-gone").is_empty(), "{}", output.screen());
        assert!(names("persistentvolumeclaims", "killed-gone").is_empty(), "{}", output.screen());
    };
    killed();
    let output = small.run(&destroy).ok();
    assert_says(&output, &["Waiting", "left at work on web", "2 of 2"]);
    gone(&output);

    // The same, and its helm is killed too.
    small.apply().ok();
    killed();
    until("helm has begun", || small.states().iter().any(|(_, status)| status == "uninstalling"));
    removing("killed-gone").into_iter().for_each(|pid| signal(pid, Signal::KILL));
    until("helm is gone", || removing("killed-gone").is_empty());
    let output = small.run(&destroy).ok();
    assert_says(&output, &["helm left it in `uninstalling`", "2 of 2"]);
    gone(&output);
    let _ = rig().tool("kubectl", &["delete", "crd", "webs.killed-gone.example.org"]);
}

/// A hook that never ends before the release would go.
const FAILING_HOOK: &str = "apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-before
  namespace: {{ .Release.Namespace }}
  annotations: {helm.sh/hook: pre-delete}
spec:
  backoffLimit: 0
  template:
    metadata: {labels: {rig.platctl.dev/behaviour: never-ready}}
    spec:
      restartPolicy: Never
      containers: [{name: job, image: \"registry.example.org/e2e/job:1\"}]
";

/// An object that somebody has to let go first.
const HELD: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}, namespace: {{ .Release.Namespace }}, finalizers: [rig.platctl.dev/held]}
";

#[test]
fn what_fails_to_go_keeps_what_it_stands_on_and_nothing_else() {
    let small = Small::new("clinging").release("one", "base", "").release("two", "db", "");
    let small = small.release("two", "clings", "needs: [db]\n").release("two", "free", "").release("two", "held", "");
    template(&small, "two", "clings", "before", FAILING_HOOK);
    template(&small, "two", "held", "map", HELD);
    let small = small.locked();
    small.apply().ok();
    small.edit("environments/site/environment.yaml", "release: 60s", "release: 6s");
    let failed = small.run(&["destroy", "-e", "site", "--confirm", "site"]).exits(1);
    assert_says(
        &failed,
        &[
            "error[E0464]: clings: Job clinging/clings-before did not end",
            "pod clings-before-",
            "left: clings stands on it",
            "1 of 5 done",
        ],
    );
    assert!(!failed.stderr.contains("deadline exceeded"), "{}", failed.screen());
    assert_waited(&failed, "clings", "Job clinging/clings-before");
    let still = "ConfigMap clinging/held is still there";
    let finalizers = "finalizers that nobody has taken away: rig.platctl.dev/held";
    assert_says(&failed, &[&format!("error[E0464]: held: {still}"), finalizers]);
    assert_waited(&failed, "held", still);
    rig().kubectl(&[
        "--namespace=clinging",
        "patch",
        "configmap",
        "held",
        "--patch={\"metadata\":{\"finalizers\":null}}",
    ]);
    let left: Vec<String> = small.states().into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, ["base", "clings", "db", "held"], "helm forgets what it waited for in vain\n{}", failed.screen());
    assert_eq!(names("deployments", "clinging"), ["base", "clings", "db"]);
}

/// While it lasted it was told that a release waits, and for what.
#[track_caller]
fn assert_waited(output: &Output, release: &str, object: &str) {
    let start = format!("  … {release:<22}  waits for ");
    let told = |line: &str| line.starts_with(&start) && line.contains(object);
    assert!(output.stderr.lines().any(told), "{}", output.screen());
}

/// Every object of the releases that matters, without what the server and helm write for themselves.
fn objects(namespace: &str) -> BTreeMap<String, Value> {
    let list = rig().get(&["deployments,configmaps", "--namespace", namespace]);
    let items = list["items"].as_array().unwrap().iter().filter(|item| item["metadata"]["name"] != "kube-root-ca.crt");
    let told = |item: &Value| {
        let name = format!("{} {}", item["kind"].as_str().unwrap(), item["metadata"]["name"].as_str().unwrap());
        (name, json!([item["spec"], item["data"], item["metadata"]["labels"]]))
    };
    items.map(told).collect()
}

#[test]
fn a_rollback_brings_back_what_the_run_had_over_two_tiers() {
    let small = Small::new("rolled").release("one", "a", "").release("two", "b", "").release("two", "c", "").locked();
    small.apply().ok();
    let (first, then) = (newest_run(&small), objects("rolled"));
    for release in ["a", "b"] {
        small.values(release, "replicas: 2\n");
    }
    small.apply().ok();
    let (second, after) = (newest_run(&small), objects("rolled"));
    let small = small.release("two", "later", "").locked();
    small.apply().ok();
    assert_ne!(then, after);

    assert_says(
        &small.run(&["rollback", "-e", "site", "--to", "20200101-000000-none"]).exits(4),
        &["error[E0465]", &first],
    );
    let dry = small.run(&["rollback", "-e", "site", "--to", &first, "--dry-run"]).ok();
    assert_says(&dry, &["rollback  1.0.0, revision 1", "unchanged", "rolled/later came after run"]);
    let one = small.run(&["rollback", "-e", "site", "--to", &first, "-l", "name=b"]).ok();
    assert_says(&one, &["1 of 1 to run", "goes forward again"]);
    let back = small.run(&["rollback", "-e", "site", "--to", &first]).ok();
    assert_says(&back, &["1 rollback, 2 unchanged, 1 came later", "do not go back", "1 of 1 to run"]);
    let mut now = objects("rolled");
    now.retain(|name, _| !name.contains("later"));
    assert_eq!(now, then, "{}", back.screen());

    let history = small.run(&["history", "-e", "site"]).ok();
    assert_says(&history, &["rollback", "1 rollback", "3 install", &first, &second]);
    let revisions = small.run(&["history", "-e", "site", "a"]).ok();
    assert_eq!(revisions.stdout.lines().count(), 4, "{}", revisions.screen());
    // The definition goes forward again, and the way back is open to every run, this rollback's too.
    let plan = small.run(&["plan", "-e", "site"]).ok();
    assert_says(&plan, &["2 upgrade, 2 unchanged"]);
    let rolled = newest_run(&small);
    let forward = small.run(&["rollback", "-e", "site", "--to", &second]).ok();
    let order = [forward.stderr.find("✔ b").unwrap(), forward.stderr.find("✔ a").unwrap()];
    assert!(order.is_sorted(), "the last tier first\n{}", forward.screen());
    now = objects("rolled");
    now.retain(|name, _| !name.contains("later"));
    assert_eq!(now, after);
    assert_says(&small.apply().ok(), &["4 unchanged"]);
    small.run(&["rollback", "-e", "site", "--to", &rolled]).ok();
    now = objects("rolled");
    now.retain(|name, _| !name.contains("later"));
    assert_eq!(now, then);
}

/// What the run had was never ready, because nobody waited for it then.
#[test]
fn a_rollback_that_does_not_become_ready_says_why() {
    let small = Small::new("unsteady").release("one", "a", "wait: false\n").locked();
    small.values("a", "behaviour: image-missing\n");
    small.apply().ok();
    let first = newest_run(&small);
    small.values("a", "replicas: 1\n");
    small.apply().ok();
    small.edit("templates/one/a/release.yaml", "wait: false", "timeout: 8s");
    let failed = small.run(&["rollback", "-e", "site", "--to", &first]).exits(1);
    assert_says(
        &failed,
        &["error[E0412]: a: Deployment unsteady/a is not ready: 0 of 1 new pods", "ImagePullBackOff", "0 of 1 done"],
    );
    assert_waited(&failed, "a", "Deployment unsteady/a");
    small.edit("templates/one/a/release.yaml", "timeout: 8s", "wait: false");
    small.apply().ok();
    assert_eq!(small.states(), [("a".to_owned(), "deployed".to_owned())]);
}

#[test]
fn a_history_that_is_too_short_is_told_before_anything_changes() {
    let small = Small::new("forgotten").release("one", "a", "").release("one", "b", "").locked();
    small.apply().ok();
    let first = newest_run(&small);
    for revision in 2..=12 {
        small.values("a", &format!("replicas: {}\n", revision % 3));
        small.values("b", "replicas: 2\n");
        small.apply().ok();
    }
    let before = rig().records("forgotten");
    let refused = small.run(&["rollback", "-e", "site", "--to", &first]).exits(4);
    assert_says(&refused, &["error[E0466]", "forgotten/a", "ten revisions"]);
    assert_eq!(rig().records("forgotten"), before);
    // b has all of its history.
    small.run(&["rollback", "-e", "site", "--to", &first, "-l", "name=b"]).ok();
    assert_eq!(rig().get(&["deployment", "b", "--namespace", "forgotten"])["spec"]["replicas"], 1);
    // Runs whose journal is gone are known from helm's records.
    let known = runs(&small);
    let journals = ["delete", "configmaps", "--namespace=platctl-system", "--selector=platctl.dev/platform=forgotten"];
    rig().kubectl(&journals);
    let by_records = runs(&small);
    let names = |runs: &[Value]| runs.iter().map(|run| run["run"].clone()).collect::<Vec<_>>();
    assert_eq!(names(&by_records), names(&known));
    assert!(known.iter().all(|run| run["verb"].is_string() && run["outcome"] == "done"), "{known:#?}");
    assert!(by_records.iter().all(|run| run["verb"].is_null() && run["began"].is_string()), "{by_records:#?}");
}

/// A kubeconfig of a user who has these roles: cluster roles, and roles in namespaces.
fn kubeconfig(small: &Small, user: &str, everywhere: Value, within: &[&str]) -> String {
    let role = |kind: &str, name: &str, namespace: Option<&str>, rules: Value| {
        let mut metadata = json!({"name": name});
        if let Some(namespace) = namespace {
            metadata["namespace"] = namespace.into();
        }
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, "rules": rules})
    };
    let binding = |kind: &str, of: &str, name: &str, namespace: Option<&str>| {
        let mut metadata = json!({"name": name});
        if let Some(namespace) = namespace {
            metadata["namespace"] = namespace.into();
        }
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": of, "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": user, "namespace": "default"}]})
    };
    let mut items = vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": user, "namespace": "default"}}),
        role("ClusterRole", user, None, everywhere),
        binding("ClusterRoleBinding", "ClusterRole", user, None),
    ];
    let all = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
    for namespace in within {
        items.push(role("Role", user, Some(namespace), all.clone()));
        items.push(binding("RoleBinding", "Role", user, Some(namespace)));
    }
    small.put("rbac.json", &json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string());
    rig().kubectl(&["apply", "--filename", small.path("rbac.json").to_str().unwrap()]);
    let token = rig().kubectl(&["create", "token", user]);
    let config = rig().get_config();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config["users"] = json!([{"name": "rig", "user": {"token": token.trim()}}]);
    let file = small.folder().join(format!("kubeconfig-{user}"));
    std::fs::write(&file, config.to_string()).unwrap();
    file.display().to_string()
}

#[test]
fn without_the_right_to_list_secrets_everywhere() {
    let small = Small::new("narrow").release("one", "a", "").release("two", "b", "");
    small.edit("templates/two/b/release.yaml", "namespace: narrow", "namespace: narrow-b");
    let small = small.locked();
    for namespace in ["narrow", "narrow-b"] {
        rig().kubectl(&["create", "namespace", namespace]);
    }
    let namespaces = json!([{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "patch", "create"]}]);
    let state = "platctl-narrow";
    rig().kubectl(&["create", "namespace", state]);
    let user = kubeconfig(&small, "narrow", namespaces.clone(), &["narrow", "narrow-b", state]);
    let run = |kubeconfig: &str, args: &[&str]| {
        small.run(&[args, &["-e", "site", "--kubeconfig", kubeconfig, "--state-namespace", state]].concat())
    };
    let said = "this user may not list Secrets in all namespaces: only the 2 namespaces of the definition";
    let output = run(&user, &["apply"]).ok();
    assert_says(&output, &[said, "2 of 2"]);
    assert_eq!(output.stderr.matches(said).count(), 1, "it is said once\n{}", output.screen());
    assert_says(&run(&user, &["apply"]).ok(), &[said, "2 unchanged"]);
    for args in [&["status"][..], &["plan"], &["history"], &["destroy", "--dry-run"]] {
        assert_says(&run(&user, args).ok(), &[said]);
    }
    // Not even in one of its own namespaces.
    let less = kubeconfig(&small, "narrower", namespaces, &["narrow", state]);
    let before = rig().records("narrow");
    for args in [&["apply"][..], &["status"], &["history"], &["destroy", "--confirm", "site"]] {
        let refused = run(&less, args).exits(1);
        assert_says(
            &refused,
            &[
                "error[E0461]: cannot list helm's releases in namespace narrow-b",
                "system:serviceaccount:default:narrower",
                "kubectl auth can-i list secrets --namespace narrow-b",
            ],
        );
    }
    assert_eq!(rig().records("narrow"), before);
    assert_says(&run(&user, &["destroy", "--confirm", "site"]).ok(), &["2 of 2"]);
    let _ = rig().tool("kubectl", &["delete", "namespace", "narrow-b", state, "--wait=false"]);
}

/// helm itself says no more than that it failed to delete the release.
#[test]
fn what_may_not_be_deleted_is_told() {
    let small = Small::new("undeletable").release("one", "a", "").locked();
    small.apply().ok();
    let rights = json!([
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch", "create", "update", "patch"]},
        {"apiGroups": ["*"], "resources": ["secrets"], "verbs": ["*"]},
    ]);
    let user = kubeconfig(&small, "undeletable", rights, &[]);
    let destroy = ["destroy", "-e", "site", "--confirm", "site"];
    let failed = small.run(&[&destroy[..], &["--kubeconfig", &user]].concat()).exits(1);
    let said = "deployments.apps \"a\" is forbidden: User \"system:serviceaccount:default:undeletable\" cannot delete";
    assert_says(&failed, &["error[E0402]: a:", said, "kind: yours to fix", "0 of 1 done"]);
    assert!(!failed.stderr.contains("level=DEBUG"), "{}", failed.screen());
    assert_says(&small.run(&destroy).ok(), &["helm left it in `uninstalling`", "1 of 1"]);
}

#[test]
fn another_cluster_is_refused_by_every_verb() {
    let small = Small::new("elsewhere").release("one", "a", "").locked();
    small.apply().ok();
    let run = newest_run(&small);
    let before = rig().records("elsewhere");
    small.edit("environments/site/environment.yaml", &rig().uid, "11111111-2222-4333-8444-555555555555");
    small.values("a", "replicas: 3\n");
    let verbs: [&[&str]; 8] = [
        &["apply"],
        &["apply", "--prune"],
        &["plan"],
        &["status"],
        &["history"],
        &["destroy", "--confirm", "site"],
        &["destroy", "--dry-run"],
        &["rollback", "--to", &run],
    ];
    for verb in verbs {
        let refused = small.run(&[verb, &["-e", "site"]].concat()).exits(4);
        assert_says(&refused, &["error[E0401]", &rig().uid]);
        assert!(refused.stdout.is_empty(), "{}", refused.screen());
    }
    assert_eq!(rig().records("elsewhere"), before);
    assert!(read(&small.path("environments/site/environment.yaml")).contains("11111111"));
}
