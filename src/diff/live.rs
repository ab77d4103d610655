//! Objects that are in the cluster against what they would be: helm's way of applying them, and what only the API server
//! knows of an object. Must not ask it.

use serde_json::{Value as Json, json};

use super::{Comparison, FieldDiff, Managers, Noise, ObjectDiff, definitions, object};
use crate::object::Stream;

/// The name under which helm applies.
const HELM: &str = "helm";
/// Fields that the API server keeps for itself.
const SERVERS: [&str; 6] = ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"];
/// Kinds of Kubernetes' own that belong to no namespace.
const CLUSTER_WIDE: [&str; 20] = [
    "APIService",
    "CertificateSigningRequest",
    "ClusterRole",
    "ClusterRoleBinding",
    "CSIDriver",
    "CSINode",
    "CustomResourceDefinition",
    "FlowSchema",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
];

/// The objects of a release as helm applies them: with its own label and annotations, in the release's namespace. Hooks
/// are left out, because they come and go; so are the definitions of `crds/`, which helm is not given.
pub fn as_helm_applies(stream: &Stream, release: &str, namespace: &str) -> Vec<Json> {
    let applied = stream.objects.iter().filter(|object| object.hook.is_none() && !object.is_from_crds_folder());
    let parsed = applied.map(|object| match object.kind.as_str() {
        // The tree of a definition has no schemas; its text has them.
        "CustomResourceDefinition" => definitions::definition_json(stream.text_of(object)),
        _ => object.node.to_json(),
    });
    parsed.map(|object| owned_by_helm(object, release, namespace)).collect()
}

fn owned_by_helm(mut object: Json, release: &str, namespace: &str) -> Json {
    let is_wide = object["kind"].as_str().is_some_and(|kind| CLUSTER_WIDE.contains(&kind));
    let metadata = &mut object["metadata"];
    if !is_wide && !metadata["namespace"].is_string() {
        metadata["namespace"] = namespace.into();
    }
    for part in ["labels", "annotations"] {
        if !metadata[part].is_object() {
            metadata[part] = json!({});
        }
    }
    metadata["labels"]["app.kubernetes.io/managed-by"] = "Helm".into();
    metadata["annotations"]["meta.helm.sh/release-name"] = release.into();
    metadata["annotations"]["meta.helm.sh/release-namespace"] = namespace.into();
    object
}

/// How an object that is in the cluster differs from what it would be after it was applied; none when it does not. What
/// only others manage is the same on both sides. Replicas that an autoscaler sets are folded.
pub fn live(there: Option<Json>, would: Json, how: &Comparison<'_>) -> Option<ObjectDiff> {
    let scaled = there.as_ref().is_some_and(is_autoscaled);
    let managers = there.as_ref().map(Managers::of).unwrap_or_default();
    let mut diff = object(there.map(without_servers_fields), Some(without_servers_fields(would)), how)?;
    let is_theirs = |field: &FieldDiff| scaled && field.path == "spec.replicas";
    let (theirs, ours): (Vec<FieldDiff>, Vec<FieldDiff>) = diff.fields.into_iter().partition(is_theirs);
    diff.fields = ours;
    for field in &mut diff.fields {
        let others = managers.owners(&field.path).into_iter().filter(|manager| manager.name != HELM);
        field.owners = others.map(|manager| manager.name.clone()).collect();
        field.owners.dedup();
    }
    diff.folded.extend(theirs.into_iter().map(|field| FieldDiff { noise: Some(Noise::Autoscaler), ..field }));
    Some(diff)
}

/// An object that is in the cluster and would be deleted.
pub fn live_gone(there: Json, how: &Comparison<'_>) -> Option<ObjectDiff> {
    object(Some(without_servers_fields(there)), None, how)
}

/// An object without what only the API server writes into it.
pub fn without_servers_fields(mut object: Json) -> Json {
    if let Some(map) = object.as_object_mut() {
        map.shift_remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        SERVERS.iter().for_each(|key| _ = metadata.shift_remove(*key));
    }
    object
}

/// Whether an autoscaler has set how many replicas there are: Kubernetes' own writes them through the subresource `scale`,
/// under the name of its controller.
fn is_autoscaled(object: &Json) -> bool {
    let mut managed = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    managed.any(|entry| {
        let manager = entry["manager"].as_str().unwrap_or_default();
        let is_autoscaler =
            manager == "kube-controller-manager" || manager.contains("autoscaler") || manager.contains("keda");
        entry["subresource"] == "scale" && is_autoscaler
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::Veil;

    fn deployment(replicas: i64, manager: &str) -> Json {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "status": {"replicas": replicas}, "metadata": {"name": "a",
            "namespace": "ns", "resourceVersion": format!("{replicas}"), "managedFields": [
            {"manager": manager, "subresource": "scale", "operation": "Update"}]}, "spec": {"replicas": replicas}})
    }

    #[test]
    fn an_autoscalers_replicas_are_folded_and_somebodys_are_not() {
        let veil = Veil::default();
        let how = Comparison { namespace: "ns", old: &veil, new: &veil, context: 3 };
        let told = |manager: &str| live(Some(deployment(5, manager)), deployment(1, manager), &how).unwrap().matters();
        assert_eq!((told("kubectl"), told("kube-controller-manager"), told("vpa-autoscaler")), (true, false, false));
        assert_eq!(live(Some(deployment(1, "a")), deployment(1, "b"), &how), None);
    }

    #[test]
    fn objects_are_sent_as_helm_sends_them() {
        let text = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\n\
                    ---\napiVersion: v1\nkind: Pod\nmetadata: {name: h, annotations: {helm.sh/hook: pre-install}}\n";
        let sent = as_helm_applies(&Stream::parse(text).unwrap(), "web", "ns");
        assert_eq!(sent.len(), 2);
        assert_eq!((&sent[0]["metadata"]["namespace"], &sent[1]["metadata"]["namespace"]), (&json!("ns"), &Json::Null));
        assert_eq!(sent[0]["metadata"]["annotations"]["meta.helm.sh/release-name"], "web");
    }
}
