//! Objects that platctl makes itself, beside what helm installs: namespaces with their labels, Kubernetes Secrets, and the
//! definitions of `crds/`.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::side::{Side, Wanted};
use crate::definition::{KubernetesSecret, Release};
use crate::diff::{self, Comparison, ObjectDiff};
use crate::secrets::{self, NotRevealed, Revealed};

/// The kind of a Secret that is a Docker configuration, to which something is added when it is made.
const REGISTRY_LOGIN: &str = "kubernetes.io/dockerconfigjson";

/// The Secrets of a release: with their values where they are revealed, else with tokens.
pub(super) fn secrets(
    release: &Release,
    labels: &BTreeMap<String, String>,
    revealed: Option<&Revealed>,
) -> Result<Vec<Json>, NotRevealed> {
    let Some(revealed) = revealed else {
        return Ok(release.secrets.iter().map(|secret| with_tokens(secret, &release.namespace, labels)).collect());
    };
    let list = secrets::objects(&release.secrets, &release.namespace, labels, revealed)?;
    let list: Json = list.and_then(|list| serde_json::from_str(&list).ok()).unwrap_or_default();
    Ok(list["items"].as_array().cloned().unwrap_or_default())
}

fn with_tokens(secret: &KubernetesSecret, namespace: &str, labels: &BTreeMap<String, String>) -> Json {
    let text = |text: &String| match secret.uses.first() {
        // A login is written in more than one form: of the whole only the secret in it can be told.
        Some(used) if secret.kind == REGISTRY_LOGIN => used.token.clone(),
        _ => text.clone(),
    };
    let data: BTreeMap<&String, String> =
        secret.data.iter().map(|(key, value)| (key, STANDARD.encode(text(value)))).collect();
    let all: BTreeMap<&String, &String> = secret.labels.iter().chain(labels).collect();
    json!({"apiVersion": "v1", "kind": "Secret", "type": secret.kind,
        "metadata": {"name": secret.name, "namespace": namespace, "labels": all}, "data": data})
}

/// A namespace as it is wanted.
pub(super) fn namespace(name: &str, labels: &BTreeMap<String, String>) -> Json {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

/// The release that a namespace is shown with: the first in it.
pub(super) fn is_first_in_its_namespace(side: &Side, release: &Release, among: &[&Release]) -> bool {
    let first = side
        .definition()
        .releases
        .iter()
        .find(|other| other.namespace == release.namespace && among.iter().any(|shown| shown.name == other.name));
    first.is_some_and(|first| first.name == release.name)
}

/// Whether an object that was asked for is one that is there.
pub(super) fn find(there: &[Json], wanted: &Json) -> Option<Json> {
    let same = |object: &&Json| {
        object["kind"] == wanted["kind"]
            && object["metadata"]["name"] == wanted["metadata"]["name"]
            && object["metadata"]["namespace"] == wanted["metadata"]["namespace"]
    };
    there.iter().find(same).cloned().map(diff::without_servers_fields)
}

/// How a namespace differs in the labels that are declared; others are somebody else's.
pub(super) fn of_namespace(there: Option<Json>, wanted: Json, how: &Comparison<'_>) -> Option<ObjectDiff> {
    let name = wanted["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let declared = wanted["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    let labels_of = |object: Json| -> BTreeMap<String, String> {
        let labels = object["metadata"]["labels"].as_object().cloned().unwrap_or_default();
        let ours = labels.into_iter().filter(|(key, _)| declared.contains_key(key));
        ours.filter_map(|(key, value)| Some((key, value.as_str()?.to_owned()))).collect()
    };
    let mut found = diff::object(there.map(|object| namespace(&name, &labels_of(object))), Some(wanted), how)?;
    found.namespace.clear();
    Some(found)
}

/// A release's definitions to be looked up in the cluster: those that helm does not record, or all.
pub(super) fn definitions_asked(wanted: &Wanted, all: bool) -> Vec<Json> {
    let kind = "CustomResourceDefinition";
    let named = |name: &str| json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": kind, "metadata": {"name": name}});
    if all {
        let all = wanted.stream.objects.iter().filter(|object| object.kind == kind);
        return all.map(|object| named(&object.name)).collect();
    }
    wanted.outside_records().map(named).collect()
}
