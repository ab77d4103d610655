//! Which objects of two streams are the same ones, and how each differs.

use serde_json::Value as Json;

use super::{Comparison, FieldDiff, ObjectChange, ObjectDiff, facts, fields, sealed};
use crate::object::{Object, Stream};

/// Kinds whose pods are started anew when their template changes.
const WORKLOADS: [&str; 5] = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController"];

/// By this helm leaves an object alone when it is no longer rendered.
const KEEP: &str = "helm.sh/resource-policy";

/// What makes an object the same on both sides. Another version of its group's API does not make it another object.
type Identity = (String, String, String, String);

/// Every object that differs, those of the new side first, in the order of their texts. Tests are left out: they are no
/// part of what is installed; so are resource definitions, whose schemas need more than a comparison of fields.
pub fn objects(old: &Stream, new: &Stream, how: &Comparison<'_>) -> Vec<ObjectDiff> {
    let wanted = |object: &&Object| !object.is_test() && object.kind != "CustomResourceDefinition";
    let side = |stream: &'_ Stream| -> Vec<(Identity, usize)> {
        let all = stream.objects.iter().enumerate().filter(|(_, object)| wanted(object));
        all.map(|(at, object)| (identity(object, how.namespace), at)).collect()
    };
    let (before, after) = (side(old), side(new));
    // The last of several with one name is the one that stays.
    let find = |side: &[(Identity, usize)], id: &Identity| side.iter().rev().find(|(i, _)| i == id).map(|(_, at)| *at);
    let gone = before.iter().filter(|(id, _)| find(&after, id).is_none());
    let mut seen = std::collections::BTreeSet::new();
    let mut found = Vec::new();
    for (id, _) in after.iter().chain(gone).filter(|(id, _)| seen.insert(id.clone())) {
        let (a, b) = (find(&before, id).map(|at| &old.objects[at]), find(&after, id).map(|at| &new.objects[at]));
        let origin = b.or(a).and_then(|object| object.origin.clone());
        let (a, b) = (a.map(|object| object.node.to_json()), b.map(|object| object.node.to_json()));
        found.extend(object(a, b, how).map(|diff| ObjectDiff { origin, ..diff }));
    }
    found
}

fn identity(object: &Object, usual: &str) -> Identity {
    let namespace = object.namespace.clone().unwrap_or_else(|| usual.to_owned());
    (object.group().to_owned(), object.kind.clone(), namespace, object.name.clone())
}

/// How one object differs; none when it does not.
pub fn object(old: Option<Json>, new: Option<Json>, how: &Comparison<'_>) -> Option<ObjectDiff> {
    let shape = new.as_ref().or(old.as_ref())?;
    let text = |place: &str| shape.pointer(place).and_then(Json::as_str).map(str::to_owned);
    let mut diff = ObjectDiff {
        api_version: text("/apiVersion").unwrap_or_default(),
        kind: text("/kind").unwrap_or_default(),
        namespace: text("/metadata/namespace").unwrap_or_else(|| how.namespace.to_owned()),
        name: text("/metadata/name").or_else(|| text("/metadata/generateName")).unwrap_or_default(),
        origin: None,
        change: ObjectChange::Changed,
        restarts: false,
        fields: Vec::new(),
        folded: Vec::new(),
        facts: Vec::new(),
        content: Json::Null,
    };
    match (old, new) {
        (Some(old), Some(new)) => {
            (diff.folded, diff.fields) = changes(old, new, how).into_iter().partition(|field| field.noise.is_some());
            let in_template = |field: &FieldDiff| field.path.starts_with("spec.template");
            let all = || diff.fields.iter().chain(&diff.folded);
            let certain = |field: &&FieldDiff| field.noise != Some(super::Noise::NotCompared);
            let restarts = all().filter(certain).any(in_template);
            diff.restarts = WORKLOADS.contains(&diff.kind.as_str()) && restarts;
            (!diff.fields.is_empty() || !diff.folded.is_empty()).then_some(diff)
        }
        (None, Some(new)) => Some(whole(diff, ObjectChange::Added, new, how.new)),
        (Some(old), None) => Some(whole(diff, ObjectChange::Removed, old, how.old)),
        (None, None) => None,
    }
}

fn changes(mut old: Json, mut new: Json, how: &Comparison<'_>) -> Vec<FieldDiff> {
    if !sealed::is_secret(&old) && !sealed::is_secret(&new) {
        return fields::fields(&old, &new, how);
    }
    let (before, after) = (sealed::entries(&mut old), sealed::entries(&mut new));
    let mut found = fields::fields(&old, &new, how);
    found.extend(sealed::fields(&before, &after, how));
    found
}

/// One that is new or gone. A Secret's entries are named, and nothing of them is shown.
fn whole(diff: ObjectDiff, change: ObjectChange, mut object: Json, veil: &super::Veil) -> ObjectDiff {
    let mut facts = facts::facts(&object);
    facts.iter_mut().for_each(|fact| *fact = veil.shown(fact));
    if change == ObjectChange::Removed && object["metadata"]["annotations"][KEEP] == "keep" {
        facts.push(format!("it stays: {KEEP}"));
    }
    if sealed::is_secret(&object) {
        let names: Vec<String> = sealed::entries(&mut object).into_keys().collect();
        if let Some(map) = object.as_object_mut().filter(|_| !names.is_empty()) {
            map.insert("data".to_owned(), names.into_iter().map(|n| (n, Json::from(crate::secrets::MASK))).collect());
        }
    }
    ObjectDiff { change, facts, content: veil.value(&object), ..diff }
}
