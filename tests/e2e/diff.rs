//! `diff` on a real API server: against what helm stored, against live objects that somebody changed by hand, and of a
//! chart upgrade that brings a definition. Nothing is ever changed by it.

use serde_json::Value;

use crate::platform::Small;
use crate::rig::rig;
use crate::support::{Output, put};

fn diff(small: &Small, args: &[&str]) -> Output {
    small.run(&[&["diff", "-e", "site", "--detailed-exitcode"], args].concat())
}

fn says(output: &Output, texts: &[&str]) {
    for text in texts {
        assert!(output.stdout.contains(text), "{text} is not in {}", output.screen());
    }
}

#[test]
fn against_what_helm_stored() {
    let small = Small::new("diff-stored").release("one", "app", "").release("two", "other", "");
    small.values("app", "hooks: 1\n");
    let small = small.locked();
    let new = diff(&small, &[]).exits(2);
    says(&new, &["app  install 1.0.0", "+ Namespace diff-stored", "+ Deployment app  1 replica", "2 install"]);
    small.apply().ok();
    let same = diff(&small, &[]).ok();
    says(&same, &["2 unchanged"]);
    let same = diff(&small, &["--no-cache"]).ok();
    says(&same, &["2 unchanged"]);
    small.values("app", "replicas: 2\nhooks: 1\n");
    let before = rig().records(small.name);
    let changed = diff(&small, &[]).exits(2);
    says(&changed, &["app  upgrade 1.0.0", "~ Deployment app\n", "~ spec.replicas  1 → 2", "1 upgrade, 1 unchanged"]);
    assert_eq!(rig().records(small.name), before);
    let json: Value = serde_json::from_str(&diff(&small, &["-o", "json"]).exits(2).stdout).unwrap();
    assert_eq!(json["releases"][0]["objects"][0]["fields"][0]["path"], "spec.replicas", "{json:#}");
    small.apply().ok();
    diff(&small, &[]).ok();
    diff(&small, &["--no-cache"]).ok();
}

const APP: [&str; 3] = ["deployment", "app", "--namespace=diff-live"];

fn kubectl(args: &[&str]) {
    rig().tool("kubectl", args).unwrap_or_else(|error| panic!("{args:?}: {error}"));
}

#[test]
fn against_live_objects() {
    let small = Small::new("diff-live").release("one", "app", "").locked();
    small.apply().ok();
    diff(&small, &["--live"]).ok();
    let version = || rig().get(&APP)["metadata"]["resourceVersion"].clone();
    // What nobody but somebody else sets is theirs.
    kubectl(&[&["annotate"], &APP[..], &["team.example.org/owner=us"]].concat());
    kubectl(&[&["label"], &APP[..], &["team=us"]].concat());
    let before = version();
    says(&diff(&small, &["--live"]).ok(), &["1 unchanged"]);
    assert_eq!(version(), before, "looking changes nothing");
    kubectl(&["set", "image", "deployment/app", "main=registry.example.org/e2e/mine:2", "--namespace=diff-live"]);
    kubectl(&["scale", "deployment/app", "--replicas=4", "--namespace=diff-live"]);
    let drift = diff(&small, &["--live"]).exits(2);
    says(
        &drift,
        &[
            "app  differs 1.0.0",
            "spec.replicas  (set by kubectl)  4 → 1",
            "e2e/mine:2",
            "(set by kubectl-set)",
            "1 differ",
        ],
    );
    says(&diff(&small, &[]).ok(), &["1 unchanged"]);
    let image = rig().get(&APP)["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    assert_eq!(image, "registry.example.org/e2e/mine:2");
}

/// Kubernetes' own autoscaler writes replicas through the subresource, under its controller's name.
#[test]
fn replicas_of_an_autoscaler_are_its_own() {
    let small = Small::new("diff-scaled").release("one", "app", "").locked();
    small.apply().ok();
    let patch = r#"--patch={"spec": {"replicas": 3}}"#;
    let args = ["patch", "deployment", "app", "--namespace=diff-scaled", "--subresource=scale", patch, "--type=merge"];
    kubectl(&[&args[..], &["--field-manager=kube-controller-manager"]].concat());
    says(&diff(&small, &["--live"]).ok(), &["1 unchanged"]);
}

fn definition(versions: &str) -> String {
    format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: gadgets.diff.example.org}}\nspec:\n  \
         group: diff.example.org\n  scope: Namespaced\n  names: {{kind: Gadget, plural: gadgets, singular: gadget, listKind: GadgetList}}\n  \
         versions:\n{versions}"
    )
}

fn version(name: &str, storage: bool, fields: &str) -> String {
    format!(
        "  - name: {name}\n    served: true\n    storage: {storage}\n    schema: {{openAPIV3Schema: {{type: object, properties: {{spec: {{type: object, \
         properties: {{{fields}}}}}}}}}}}\n"
    )
}

#[test]
fn a_chart_upgrade_with_a_definition() {
    let small = Small::new("diff-upgrade").release("one", "app", "").locked();
    small.apply().ok();
    let crd = small.path("templates/one/app/chart/crds/gadgets.yaml");
    put(&crd, definition(&version("v1", true, "size: {type: integer}, old: {type: string}")));
    let gadget = "apiVersion: diff.example.org/v1\nkind: Gadget\nmetadata: {name: g, namespace: {{ .Release.Namespace }}}\nspec: {size: {{ .Values.replicas }}}\n";
    put(&small.path("templates/one/app/chart/templates/gadget.yaml"), gadget);
    small.edit("templates/one/app/chart/Chart.yaml", "1.0.0", "1.1.0");
    small.run(&["lock"]).ok();
    let first = ["app  upgrade 1.0.0 → 1.1.0", "+ CustomResourceDefinition gadgets.diff.example.org  v1"];
    says(&diff(&small, &[]).exits(2), &[&first[..], &["+ Gadget g"]].concat());
    // The API server does not know the kind yet; the others are compared all the same.
    says(
        &diff(&small, &["--live"]).exits(2),
        &[&first[..], &["! Gadget g: not compared, its definition is not in the cluster yet"]].concat(),
    );
    small.apply().ok();
    diff(&small, &["--no-cache"]).ok();
    diff(&small, &["--live"]).ok();
    put(
        &crd,
        definition(
            &(version("v1", false, "size: {type: integer}")
                + &version("v2", true, "size: {type: integer}, color: {type: string}")),
        ),
    );
    small.edit("templates/one/app/chart/Chart.yaml", "1.1.0", "1.2.0");
    small.run(&["lock"]).ok();
    let second = ["upgrade 1.1.0 → 1.2.0", "+ version v2", "~ stored as  v1 → v2", "- field v1: spec.old"];
    says(&diff(&small, &[]).exits(2), &second);
    says(&diff(&small, &["--live"]).exits(2), &second);
}

/// What the API server refuses is told of its object, and the others are compared.
#[test]
fn what_the_api_server_would_refuse() {
    let small = Small::new("diff-refused").release("one", "app", "");
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: {{ .Release.Namespace }}}\ndata: {replicas: \"{{ .Values.replicas }}\"}\n";
    put(&small.path("templates/one/app/chart/templates/map.yaml"), map);
    let small = small.locked();
    small.apply().ok();
    small.values("app", "replicas: -3\n");
    let output = diff(&small, &["--live"]).exits(2);
    says(&output, &["! Deployment app: the API server would refuse it:", "~ data.replicas  \"1\" → \"-3\""]);
    assert!(!output.stdout.contains("+ ConfigMap"), "{}", output.screen());
}

#[test]
fn secrets_of_a_chart_are_named_and_never_shown() {
    let small = Small::new("diff-secret").release("one", "app", "");
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: {{ .Release.Namespace }}}\nstringData: {a: hush-hush-{{ .Values.replicas }}, b: same-hush}\n";
    put(&small.path("templates/one/app/chart/templates/secret.yaml"), secret);
    let small = small.locked();
    small.apply().ok();
    small.values("app", "replicas: 2\n");
    for base in [&[][..], &["--live"], &["--live", "-v", "-o", "json"], &["-o", "markdown"]] {
        let output = diff(&small, base).exits(2);
        assert!(output.stdout.contains("data.a") && !output.stdout.contains("data.b"), "{}", output.screen());
        assert!(!output.screen().contains("hush") && !output.screen().contains("aHVzaC"), "{}", output.screen());
    }
}

/// Pods are given digests. What the old one was called stands in helm's record, where helm keeps it.
#[test]
fn an_image_is_called_as_it_was() {
    let small = Small::new("diff-image").release("one", "app", "");
    small.values("app", "hooks: 1\n");
    let small = small.locked();
    small.apply().ok();
    small.edit("templates/one/app/chart/templates/deployment.yaml", "e2e/app:1", "e2e/app:2");
    small.run(&["lock"]).ok();
    let (old, new) = ("registry.example.org/e2e/app:1", "registry.example.org/e2e/app:2");
    for base in [&[][..], &["--live"]] {
        let output = diff(&small, base).exits(2);
        let image = format!("containers[name=main].image\n        - {old}\n        + {new}\n");
        says(&output, &[&image, &format!("+ image {new}"), &format!("- image {old}\n")]);
    }
    small.apply().ok();
    diff(&small, &["--live"]).ok();
}

#[test]
fn objects_that_go_are_listed_and_hooks_are_said_to_be_left_out() {
    let small = Small::new("diff-gone").release("one", "app", "");
    small.values("app", "hooks: 1\n");
    let more = "templates/one/app/chart/templates/more.yaml";
    let map = |name: &str, rest: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}{rest}}}\ndata: {{a: b}}\n---\n")
    };
    let kept = ", annotations: {helm.sh/resource-policy: keep}";
    let definition = definition(&version("v1", true, "size: {type: integer}")).replace("gadgets", "widgets");
    let definition = definition.replace("Gadget", "Widget").replace("gadget", "widget");
    small.put("templates/one/app/chart/crds/widgets.yaml", &definition);
    let widget = "apiVersion: diff.example.org/v1\nkind: Widget\nmetadata: {name: w}\nspec: {size: 1}\n";
    small.put(more, &(map("goes", "") + &map("went", "") + &map("stays", kept) + widget));
    let small = small.locked();
    small.apply().ok();
    kubectl(&["delete", "configmap", "went", "--namespace=diff-gone"]);
    small.put(more, "");
    small.run(&["lock"]).ok();
    let output = diff(&small, &["--live"]).exits(2);
    says(
        &output,
        &[
            "- ConfigMap goes",
            "- Widget w",
            "- ConfigMap stays  key a, it stays: helm.sh/resource-policy",
            "hooks are left out",
        ],
    );
    assert!(!output.stdout.contains("ConfigMap went"), "{}", output.screen());
    says(&diff(&small, &[]).exits(2), &["- ConfigMap stays  key a, it stays: helm.sh/resource-policy"]);
    // What is of a kind that is gone is gone, too.
    kubectl(&["delete", "customresourcedefinition", "widgets.diff.example.org"]);
    std::fs::remove_file(small.path("templates/one/app/chart/crds/widgets.yaml")).unwrap();
    small.run(&["lock"]).ok();
    let output = diff(&small, &["--live"]).exits(2);
    says(&output, &["- ConfigMap goes"]);
    assert!(!output.stdout.contains("Widget"), "{}", output.screen());
}

/// A plan asks what the API server would say to definitions that are there.
#[test]
fn definitions_that_can_not_be_applied_are_foreseen() {
    let small = Small::new("diff-refused-crd").release("one", "app", "");
    let crd = small.path("templates/one/app/chart/crds/gears.yaml");
    let gears = |versions: &str| {
        definition(versions).replace("gadgets", "gears").replace("Gadget", "Gear").replace("gadget", "gear")
    };
    let theirs = gears(&version("v1", true, "size: {type: string}"));
    let file = small.folder().join("gears.yaml");
    put(&file, &theirs);
    let by_hand = ["apply", "--server-side", "--field-manager=somebody", "-f", file.to_str().unwrap()];
    kubectl(&by_hand);
    put(&crd, gears(&version("v1", true, "size: {type: integer}")));
    let own = small.path("templates/one/app/chart/crds/wheels.yaml");
    put(&own, theirs.replace("gear", "wheel").replace("Gear", "Wheel"));
    let small = small.locked();
    let plan = || small.run(&["plan", "-e", "site"]).ok();
    let conflict = "conflict with \"somebody\"";
    let output = plan();
    says(
        &output,
        &["CustomResourceDefinition gears.diff.example.org  changed", "error[E0410]: app: cannot apply", conflict],
    );
    let applied = small.apply().exits(1);
    assert!(applied.stderr.contains("error[E0410]: app: cannot apply"), "{}", applied.screen());
    assert!(applied.stderr.contains(conflict), "{}", applied.screen());
    // What others set just as we would is no conflict.
    put(&crd, theirs);
    small.run(&["lock"]).ok();
    assert!(!plan().stdout.contains("E0410"));
    small.apply().ok();
    // A version in which objects are stored may not go.
    let next = gears(&version("v2", true, "size: {type: string}"));
    put(&own, next.replace("gear", "wheel").replace("Gear", "Wheel"));
    small.run(&["lock"]).ok();
    let output = plan();
    says(&output, &["apply would change something, and then fail, for 1 reason", "storedVersions"]);
    kubectl(&["delete", "customresourcedefinition", "gears.diff.example.org", "wheels.diff.example.org"]);
}
