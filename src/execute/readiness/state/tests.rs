//! Objects as the API server shows them, and what is said of each.

use serde_json::json;

use super::*;

fn object(kind: &str, name: &str) -> Unready {
    Unready {
        kind: kind.into(),
        namespace: "n".into(),
        name: name.into(),
        status: "InProgress".into(),
        message: "m".into(),
        hook: None,
        stays: false,
    }
}

fn item(kind: &str, name: &str, owner: &str, rest: Value) -> Value {
    let references = if owner.is_empty() { json!([]) } else { json!([{"uid": owner}]) };
    let mut item =
        json!({"kind": kind, "metadata": {"name": name, "namespace": "n", "uid": name, "ownerReferences": references}});
    for (key, value) in rest.as_object().cloned().unwrap_or_default() {
        if key == "annotations" { item["metadata"]["annotations"] = value } else { item[key] = value }
    }
    item
}

fn event(kind: &str, name: &str, reason: &str, message: &str) -> Value {
    json!({"kind": "Event", "type": "Warning", "reason": reason, "message": message, "involvedObject": {"kind": kind, "name": name}})
}

fn explained(items: Vec<Value>, of: &Unready) -> (String, Vec<String>) {
    let explained = State::read(&json!({"items": items}).to_string()).explain(of);
    (explained.title, explained.lines.into_iter().map(|(line, _)| line).collect())
}

fn waiting(reason: &str) -> Value {
    json!({"status": {"containerStatuses": [{"name": "c", "restartCount": 0, "state": {"waiting": {"reason": reason}}}]}})
}

#[test]
fn pods_are_those_of_the_newest_set_of_a_deployment() {
    let revision = |n: &str| json!({"annotations": {"deployment.kubernetes.io/revision": n}});
    let items = vec![
        item(
            "Deployment",
            "web",
            "",
            json!({"spec": {"replicas": 2}, "status": {"readyReplicas": 1, "updatedReplicas": 2}}),
        ),
        item("ReplicaSet", "web-old", "web", revision("9")),
        item("ReplicaSet", "web-new", "web", revision("10")),
        item("Pod", "web-old-1", "web-old", waiting("ImagePullBackOff")),
        item("Pod", "web-new-1", "web-new", waiting("CrashLoopBackOff")),
        item("Pod", "web-new-2", "web-new", waiting("CrashLoopBackOff")),
        item("Pod", "other", "", waiting("ErrImagePull")),
        event("Pod", "web-new-1", "FailedMount", "secret \"tls\" not found"),
        event("Pod", "web-new-2", "FailedMount", "secret \"tls\" not found"),
        event("Pod", "web-new-2", "BackOff", "Back-off restarting failed container"),
        event("Pod", "other", "Failed", "not ours"),
    ];
    let (title, lines) = explained(items, &object("Deployment", "web"));
    assert_eq!(title, "Deployment n/web is not ready: 1 of 2 pods");
    let expected =
        ["pod web-new-1: container c: CrashLoopBackOff; 1 more like it", "FailedMount: secret \"tls\" not found"];
    assert_eq!(lines, expected);
}

/// The commonest of all: an image that is not there, while the pods of before serve.
#[test]
fn pods_of_before_are_not_counted_as_ready() {
    let of = |n: &str, ready: u64| json!({"annotations": {"deployment.kubernetes.io/revision": n}, "status": {"replicas": 1, "readyReplicas": ready}});
    let status = json!({"replicas": 3, "readyReplicas": 2, "updatedReplicas": 1});
    let items = vec![
        item("Deployment", "web", "", json!({"spec": {"replicas": 2}, "status": status})),
        item("ReplicaSet", "web-old", "web", of("1", 2)),
        item("ReplicaSet", "web-new", "web", of("2", 0)),
        item("Pod", "web-new-1", "web-new", waiting("ImagePullBackOff")),
    ];
    let (title, lines) = explained(items, &object("Deployment", "web"));
    assert_eq!(title, "Deployment n/web is not ready: 0 of 2 new pods");
    assert_eq!(lines, ["pod web-new-1: container c: ImagePullBackOff"]);
}

#[test]
fn what_should_be_gone_is_not_asked_whether_it_is_ready() {
    let items = vec![
        item("Deployment", "web", "", json!({"spec": {"replicas": 2}, "status": {"readyReplicas": 0}})),
        event("Deployment", "web", "FailedDelete", "webhook denied"),
    ];
    let (title, lines) = explained(items, &Unready { stays: true, ..object("Deployment", "web") });
    assert_eq!(
        (title.as_str(), lines),
        ("Deployment n/web is still there", vec!["FailedDelete: webhook denied".to_owned()])
    );
}

#[test]
fn a_quota_and_a_claim_say_why_there_are_no_pods() {
    let failure = json!({"status": {"conditions": [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
        "message": "pods \"q-1\" is forbidden: exceeded quota: none"}]}});
    let items = vec![
        item("Deployment", "q", "", json!({"spec": {"replicas": 1}, "status": {}})),
        item("ReplicaSet", "q-1", "q", failure),
        event("ReplicaSet", "q-1", "FailedCreate", "Error creating: pods \"q-1-a\" is forbidden: exceeded quota: none"),
        event("ReplicaSet", "q-1", "FailedCreate", "Error creating: pods \"q-1-b\" is forbidden: exceeded quota: none"),
    ];
    let (title, lines) = explained(items, &object("Deployment", "q"));
    assert_eq!(title, "Deployment n/q is not ready: 0 of 1 pods");
    assert_eq!(lines[0], "ReplicaSet q-1: FailedCreate: pods \"q-1\" is forbidden: exceeded quota: none");
    assert_eq!(lines.len(), 2, "{lines:?}");

    let volumes = json!({"spec": {"volumes": [{"persistentVolumeClaim": {"claimName": "data"}}]},
        "status": {"conditions": [{"type": "PodScheduled", "status": "False", "message": "unbound claims"}]}});
    let items = vec![
        item("StatefulSet", "db", "", json!({"spec": {"replicas": 1}, "status": {}})),
        item("Pod", "db-0", "db", volumes),
        item(
            "PersistentVolumeClaim",
            "data",
            "",
            json!({"spec": {"storageClassName": "fast"}, "status": {"phase": "Pending"}}),
        ),
        event("PersistentVolumeClaim", "data", "ProvisioningFailed", "storageclass.storage.k8s.io \"fast\" not found"),
    ];
    let (_, lines) = explained(items, &object("StatefulSet", "db"));
    let expected = [
        "pod db-0: not scheduled: unbound claims",
        "claim data: Pending, storage class `fast`",
        "ProvisioningFailed: storageclass.storage.k8s.io \"fast\" not found",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn jobs_hooks_and_what_nobody_knows_have_titles_too() {
    let failed = json!({"status": {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "reached"}]}});
    let items = vec![item("Job", "migrate", "", failed)];
    let job = Unready { status: "Failed".into(), ..object("Job", "migrate") };
    let (title, lines) = explained(items.clone(), &job);
    assert_eq!(
        (title.as_str(), lines[0].as_str()),
        ("Job n/migrate failed", "Job migrate: BackoffLimitExceeded: reached")
    );
    let (title, _) = explained(items, &Unready { hook: Some("pre-install".into()), ..job });
    assert_eq!(title, "the pre-install hook Job n/migrate failed");
    assert_eq!(explained(Vec::new(), &object("Certificate", "tls")).0, "Certificate n/tls is not ready: m");
    assert_eq!(State::read("nonsense").explain(&object("Job", "x")).lines, []);
}
