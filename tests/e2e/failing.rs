//! What the cluster refuses or never finishes.

use crate::assert_screen;
use crate::platform::Small;
use crate::rig::rig;
use crate::support::put;

#[test]
fn pods_that_never_get_ready() {
    for (name, behaviour, said) in [
        ("never-ready", "never-ready", "not ready"),
        ("crash-loop", "crash-loop", "CrashLoopBackOff"),
        ("no-image", "image-missing", "ImagePullBackOff"),
    ] {
        let small = Small::new(name).release("one", "app", "timeout: 4s\n").release("two", "next", "").locked();
        small.values("app", &format!("behaviour: {behaviour}\n"));
        let output = small.apply().exits(1);
        assert!(output.stderr.contains("error[E0412]"), "{}", output.screen());
        assert!(output.stderr.contains("pod app-") && output.stderr.contains(said), "{}", output.screen());
        assert_eq!(small.states(), [("app".to_owned(), "failed".to_owned())], "the next tier waits");
        small.values("app", "replicas: 2\n");
        small.apply().ok();
        assert!(small.states().iter().all(|(_, status)| status == "deployed"), "{:?}", small.states());
    }
}

#[test]
fn a_value_that_the_cluster_refuses() {
    let small = Small::new("refused").release("one", "app", "").locked();
    small.values("app", "replicas: -3\n");
    let output = small.apply().exits(1);
    let line = "environments/site/releases/app.yaml:1:11\n1 │ replicas: -3\n  │           ^^\n";
    assert!(output.stderr.contains("Invalid value: -3") && output.stderr.contains(line), "{}", output.screen());
}

#[test]
fn another_cluster() {
    let small = Small::new("another").release("one", "app", "").locked();
    small.edit("environments/site/environment.yaml", &rig().uid, "11111111-2222-3333-4444-555555555555");
    let output = small.apply().exits(4);
    assert!(output.stderr.contains("error[E0401]") && output.stderr.contains(&rig().uid), "{}", output.screen());
    assert!(rig().tool("kubectl", &["get", "namespace", "another"]).is_err());
    small.edit("environments/site/environment.yaml", "context: rig", "context: elsewhere");
    let output = small.apply();
    assert_ne!(output.code, 0);
    assert_screen!(small.folder(), "no_such_context", output.screen());
}

#[test]
fn a_release_that_somebody_else_made() {
    let small = Small::new("somebody").release("one", "app", "").release("one", "other", "").locked();
    let chart = small.path("templates/one/app/chart");
    rig().helm(&[
        "install",
        "app",
        chart.to_str().unwrap(),
        "--namespace=somebody",
        "--create-namespace",
        "--wait=hookOnly",
    ]);
    let before = rig().records("somebody");
    let output = small.apply().exits(4);
    assert_screen!(small.folder(), "foreign", output.screen());
    assert_eq!(rig().records("somebody"), before);
}

const CRD: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.e2e.example.org}
spec:
  group: e2e.example.org
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget, listKind: WidgetList}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {size: {type: integer}}}
";

#[test]
fn definitions_that_helm_installed_are_taken_over() {
    let small = Small::new("widgets").release("one", "app", "");
    put(&small.path("templates/one/app/chart/crds/widgets.yaml"), CRD);
    let small = small.locked();
    let chart = small.path("templates/one/app/chart");
    let chart = chart.to_str().unwrap();
    rig().helm(&["install", "by-hand", chart, "--namespace=widgets", "--create-namespace", "--wait=hookOnly"]);
    rig().helm(&["uninstall", "by-hand", "--namespace=widgets"]);
    // helm does not bring the new field; platctl does, and then an object that needs it.
    small.edit(
        "templates/one/app/chart/crds/widgets.yaml",
        "size: {type: integer}",
        "size: {type: integer}, color: {type: string}",
    );
    let object = "apiVersion: e2e.example.org/v1\nkind: Widget\nmetadata: {name: w, namespace: widgets}\nspec: {size: 1, color: red}\n";
    put(&small.path("templates/one/app/chart/templates/widget.yaml"), object);
    small.run(&["lock"]).ok();
    small.apply().ok();
    let widget = rig().get(&["widgets.e2e.example.org", "w", "--namespace=widgets"]);
    assert_eq!(widget["spec"]["color"], "red");
    let crd = rig().get(&["customresourcedefinition", "widgets.e2e.example.org", "--show-managed-fields"]);
    let managers = crd["metadata"]["managedFields"].to_string();
    assert!(managers.contains("\"platctl\""), "{managers}");
}
