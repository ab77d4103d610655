//! Fields that the API server never changes, compared between what helm applied last and what it would apply now, with
//! their secrets; what is told is where they differ, never what they hold. From
//! Kubernetes' own validation (pkg/apis/*/validation, 1.34). A difference here is a suspicion: defaults may make both
//! the same, so the server is asked before anything is refused.

use crate::object::{Object, Stream};
use crate::yaml::{Node, Value};

/// An object with a field that may be refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// Its index in what is rendered.
    pub object: usize,
    /// `Deployment ns/web`.
    pub title: String,
    /// `Deployment/web`.
    pub name: String,
    /// The field: `spec.selector`.
    pub field: String,
}

/// Which fields of a kind never change: all below `of`, but for those below `except`.
struct Rule {
    group: &'static str,
    kind: &'static str,
    of: &'static [&'static str],
    except: &'static [&'static str],
}

const fn rule(
    group: &'static str,
    kind: &'static str,
    of: &'static [&'static str],
    except: &'static [&'static str],
) -> Rule {
    Rule { group, kind, of, except }
}

const RULES: [Rule; 17] = [
    rule("apps", "Deployment", &["spec.selector"], &[]),
    rule("apps", "DaemonSet", &["spec.selector"], &[]),
    rule("apps", "ReplicaSet", &["spec.selector"], &[]),
    rule(
        "apps",
        "StatefulSet",
        &["spec"],
        &[
            "spec.replicas",
            "spec.ordinals",
            "spec.template",
            "spec.updateStrategy",
            "spec.revisionHistoryLimit",
            "spec.persistentVolumeClaimRetentionPolicy",
            "spec.minReadySeconds",
        ],
    ),
    rule(
        "batch",
        "Job",
        &["spec"],
        &[
            "spec.parallelism",
            "spec.suspend",
            "spec.activeDeadlineSeconds",
            "spec.backoffLimit",
            "spec.ttlSecondsAfterFinished",
        ],
    ),
    rule("", "Service", &["spec.clusterIP", "spec.ipFamilies", "spec.loadBalancerClass", "spec.type"], &[]),
    // A claim may grow; whether it shrinks the API server says.
    rule(
        "",
        "PersistentVolumeClaim",
        &["spec", "spec.resources.requests.storage"],
        &["spec.resources", "spec.volumeAttributesClassName"],
    ),
    rule(
        "",
        "PersistentVolume",
        &["spec"],
        &[
            "spec.capacity",
            "spec.accessModes",
            "spec.claimRef",
            "spec.persistentVolumeReclaimPolicy",
            "spec.mountOptions",
            "spec.volumeAttributesClassName",
        ],
    ),
    rule("", "Secret", &["type"], &[]),
    rule("storage.k8s.io", "StorageClass", &["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"], &[]),
    rule("storage.k8s.io", "CSIDriver", &["spec.attachRequired", "spec.volumeLifecycleModes"], &[]),
    rule("rbac.authorization.k8s.io", "RoleBinding", &["roleRef"], &[]),
    rule("rbac.authorization.k8s.io", "ClusterRoleBinding", &["roleRef"], &[]),
    rule("scheduling.k8s.io", "PriorityClass", &["value", "preemptionPolicy"], &[]),
    rule("networking.k8s.io", "IngressClass", &["spec.controller"], &[]),
    rule("node.k8s.io", "RuntimeClass", &["handler"], &[]),
    rule("apiextensions.k8s.io", "CustomResourceDefinition", &["spec.scope", "spec.group", "spec.names.plural"], &[]),
];

/// The objects whose fields of that kind differ, each with the first field; `namespace` is the release's.
pub fn fixed(stored: &Stream, rendered: &Stream, namespace: &str) -> Vec<Fixed> {
    let place = |object: &Object| object.namespace.clone().unwrap_or_else(|| namespace.to_owned());
    let before = |new: &Object| {
        let same = |old: &&Object| {
            old.kind == new.kind && old.group() == new.group() && old.name == new.name && place(old) == place(new)
        };
        stored.objects.iter().find(same)
    };
    let mut found = Vec::new();
    for (index, new) in rendered.objects.iter().enumerate().filter(|(_, object)| object.hook.is_none()) {
        let Some(old) = before(new).filter(|old| old.hook.is_none()) else { continue };
        if let Some(field) = differing(old, new) {
            let (title, name) = (new.title(), format!("{}/{}", new.kind, new.name));
            found.push(Fixed { object: index, title, name, field });
        }
    }
    found
}

fn differing(old: &Object, new: &Object) -> Option<String> {
    if (old.kind == "ConfigMap" || old.kind == "Secret")
        && let Some(field) = frozen(old, new)
    {
        return Some(field);
    }
    let rule = RULES.iter().find(|rule| rule.kind == new.kind && rule.group == new.group())?;
    rule.of.iter().find_map(|path| {
        let at = |object: &Object| below(&object.node, path).cloned();
        first_difference(at(old).as_ref(), at(new).as_ref(), path, rule.except)
    })
}

/// What an object that says `immutable: true` may not change.
fn frozen(old: &Object, new: &Object) -> Option<String> {
    let is_frozen = below(&old.node, "immutable").is_some_and(|node| node.value == Value::Bool(true));
    let differs = |field: &&&str| !same(below(&old.node, field), below(&new.node, field));
    if !is_frozen {
        return None;
    }
    ["data", "binaryData", "stringData"].iter().find(differs).map(|field| (*field).to_owned())
}

fn below<'n>(node: &'n Node, path: &str) -> Option<&'n Node> {
    path.split('.').try_fold(node, |node, key| node.as_map()?.get(key))
}

/// The first path at which two values differ, outside of the exceptions. A value that is left out on one side may be a
/// default, but it may also be one that goes.
fn first_difference(old: Option<&Node>, new: Option<&Node>, path: &str, except: &[&str]) -> Option<String> {
    if except.contains(&path) || same(old, new) {
        return None;
    }
    let maps = (old.and_then(Node::as_map), new.and_then(Node::as_map));
    if let (Some(old), Some(new)) = maps
        && except.iter().any(|exception| exception.starts_with(&format!("{path}.")))
    {
        let keys = old.0.iter().chain(&new.0).map(|entry| &entry.key);
        return keys
            .into_iter()
            .find_map(|key| first_difference(old.get(key), new.get(key), &format!("{path}.{key}"), except));
    }
    Some(path.to_owned())
}

/// Whether two values are the same, whatever the order of their keys and however nothing is written.
fn same(old: Option<&Node>, new: Option<&Node>) -> bool {
    let nothing = |node: Option<&Node>| node.is_none_or(|node| empty(&node.value));
    match (old, new) {
        (Some(old), Some(new)) => equal(&old.value, &new.value),
        _ => nothing(old) && nothing(new),
    }
}

fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::List(items) => items.is_empty(),
        Value::Map(map) => map.0.is_empty(),
        _ => false,
    }
}

fn equal(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::List(old), Value::List(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| equal(&old.value, &new.value))
        }
        (Value::Map(old), Value::Map(new)) => {
            let keys = old.0.iter().chain(&new.0).map(|entry| &entry.key);
            keys.into_iter().all(|key| same(old.get(key), new.get(key)))
        }
        (old, new) => old == new || (empty(old) && empty(new)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(old: &str, new: &str) -> Vec<(String, String)> {
        let stream = |text: &str| Stream::parse(text).unwrap();
        fixed(&stream(old), &stream(new), "ns").into_iter().map(|fixed| (fixed.title, fixed.field)).collect()
    }

    fn object(version: &str, kind: &str, rest: &str) -> String {
        format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x, namespace: ns}}\n{rest}\n")
    }

    #[test]
    fn fields_that_never_change_are_found() {
        for (version, kind, old, new, field) in [
            (
                "apps/v1",
                "Deployment",
                "spec: {selector: {matchLabels: {a: b}}}",
                "spec: {selector: {matchLabels: {a: c}}}",
                "spec.selector",
            ),
            (
                "apps/v1",
                "StatefulSet",
                "spec: {serviceName: a, replicas: 1}",
                "spec: {serviceName: b, replicas: 2}",
                "spec.serviceName",
            ),
            (
                "apps/v1",
                "StatefulSet",
                "spec: {volumeClaimTemplates: [{metadata: {name: d}}]}",
                "spec: {replicas: 1}",
                "spec.volumeClaimTemplates",
            ),
            (
                "batch/v1",
                "Job",
                "spec: {template: {spec: {a: 1}}}",
                "spec: {template: {spec: {a: 2}}}",
                "spec.template",
            ),
            ("v1", "Service", "spec: {clusterIP: None}", "spec: {clusterIP: 10.0.0.1}", "spec.clusterIP"),
            (
                "v1",
                "PersistentVolumeClaim",
                "spec: {storageClassName: a}",
                "spec: {storageClassName: b}",
                "spec.storageClassName",
            ),
            (
                "v1",
                "PersistentVolumeClaim",
                "spec: {resources: {requests: {storage: 2Gi}}}",
                "spec: {resources: {requests: {storage: 1Gi}}}",
                "spec.resources.requests.storage",
            ),
            ("v1", "Secret", "type: Opaque", "type: kubernetes.io/tls", "type"),
            ("v1", "ConfigMap", "immutable: true\ndata: {a: b}", "immutable: true\ndata: {a: c}", "data"),
            ("v1", "Secret", "immutable: true\ndata: {a: b}", "immutable: true\ndata: {c: b}", "data"),
            ("v1", "Secret", "immutable: true\ndata: {a: old}", "immutable: true\ndata: {a: new}", "data"),
            ("storage.k8s.io/v1", "StorageClass", "provisioner: a", "provisioner: b", "provisioner"),
            ("rbac.authorization.k8s.io/v1", "RoleBinding", "roleRef: {name: a}", "roleRef: {name: b}", "roleRef"),
            ("scheduling.k8s.io/v1", "PriorityClass", "value: 1", "value: 2", "value"),
        ] {
            let expected = vec![(format!("{kind} ns/x"), field.to_owned())];
            assert_eq!(found(&object(version, kind, old), &object(version, kind, new)), expected);
        }
    }

    #[test]
    fn what_may_change_is_left_alone() {
        for (version, kind, old, new) in [
            ("apps/v1", "Deployment", "spec: {replicas: 1}", "spec: {replicas: 2}"),
            (
                "apps/v1",
                "Deployment",
                "spec: {selector: {matchLabels: {a: b, c: d}}}",
                "spec: {selector: {matchLabels: {c: d, a: b}, matchExpressions: []}}",
            ),
            (
                "apps/v1",
                "StatefulSet",
                "spec: {replicas: 1, template: {a: 1}}",
                "spec: {replicas: 2, template: {a: 2}, ordinals: {start: 1}}",
            ),
            (
                "v1",
                "PersistentVolumeClaim",
                "spec: {resources: {requests: {storage: 1Gi}}}",
                "spec: {resources: {requests: {storage: 1Gi}, limits: {storage: 2Gi}}}",
            ),
            ("v1", "ConfigMap", "data: {a: b}", "immutable: true\ndata: {a: c}"),
            ("example.org/v1", "Deployment", "spec: {selector: a}", "spec: {selector: b}"),
        ] {
            assert_eq!(found(&object(version, kind, old), &object(version, kind, new)), [], "{kind} {new}");
        }
        let hook = object("batch/v1", "Job", "spec: {a: 1}")
            .replace("name: x", "name: x, annotations: {helm.sh/hook: pre-install}");
        assert_eq!(found(&hook, &hook.replace("a: 1", "a: 2")), []);
        assert_eq!(found("", &object("v1", "Secret", "type: a")), [], "a new object");
    }
}
