//! Journals in the cluster: a ConfigMap for each run, the newest of them kept. Reading and writing them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Journal;
use crate::plan::label;
use crate::tools::{CallError, Kubectl, Write};

/// How many journals of an environment are kept in the cluster.
const KEPT: usize = 20;
/// The key of a ConfigMap under which the journal is.
const KEY: &str = "journal";

/// Where a run's journal is put in the cluster.
pub struct Shelf {
    kubectl: Option<Kubectl>,
    namespace: String,
    is_there: bool,
}

impl Shelf {
    /// In a namespace.
    pub fn new(kubectl: Kubectl, namespace: &str) -> Shelf {
        Shelf { kubectl: Some(kubectl), namespace: namespace.to_owned(), is_there: false }
    }

    /// Nowhere.
    #[cfg(test)]
    pub fn none() -> Shelf {
        Shelf { kubectl: None, namespace: String::new(), is_there: false }
    }
}

/// The labels of what belongs to an environment's runs.
pub fn labels(platform: &str, environment: &str) -> BTreeMap<String, String> {
    let labels =
        [(label::PLATFORM, platform), (label::ENVIRONMENT, environment), ("app.kubernetes.io/managed-by", "platctl")];
    labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

fn name(run: &str) -> String {
    format!("platctl-run-{run}")
}

fn collection(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/configmaps")
}

/// Puts a journal into the cluster.
pub(super) async fn publish(shelf: &mut Shelf, journal: &Journal) -> Result<(), CallError> {
    let Some(kubectl) = &shelf.kubectl else { return Ok(()) };
    let name = name(&journal.run);
    let mut labels = labels(&journal.platform, &journal.environment);
    labels.insert(label::RUN.to_owned(), journal.run.clone());
    let metadata = json!({"name": name, "namespace": shelf.namespace, "labels": labels});
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {KEY: journal.json()}});
    let (object, collection) = (object.to_string(), collection(&shelf.namespace));
    if !shelf.is_there {
        match kubectl.create(&collection, &object).await? {
            Write::Done(_) => {
                shelf.is_there = true;
                return Ok(());
            }
            // Somebody who asked before, and got no answer, has made it.
            Write::Conflict => shelf.is_there = true,
            Write::Absent => return Ok(()),
        }
    }
    kubectl.replace(&format!("{collection}/{name}"), &object).await.map(|_| ())
}

/// The journal of a run in the cluster, if it has one that can be read.
///
/// # Errors
/// [`CallError`] when the cluster can't be asked.
pub async fn published(kubectl: &Kubectl, namespace: &str, run: &str) -> Result<Option<Journal>, CallError> {
    let found = kubectl.object(&format!("{}/{}", collection(namespace), name(run))).await?;
    Ok(found.and_then(|text| journal(&serde_json::from_str(&text).ok()?)))
}

/// The journals of an environment in the cluster, oldest first; those that can't be read are left out.
///
/// # Errors
/// [`CallError`] when the cluster can't be asked.
pub async fn all_published(
    kubectl: &Kubectl,
    namespace: &str,
    platform: &str,
    environment: &str,
) -> Result<Vec<Journal>, CallError> {
    let path = format!(
        "{}?labelSelector={}%3D{platform},{}%3D{environment}",
        collection(namespace),
        label::PLATFORM.replace('/', "%2F"),
        label::ENVIRONMENT.replace('/', "%2F")
    );
    let Some(text) = kubectl.object(&path).await? else { return Ok(Vec::new()) };
    let list: Value = serde_json::from_str(&text).unwrap_or_default();
    let mut journals: Vec<Journal> = list["items"].as_array().into_iter().flatten().filter_map(journal).collect();
    journals.sort_by(|a, b| a.run.cmp(&b.run));
    Ok(journals)
}

fn journal(configmap: &Value) -> Option<Journal> {
    let name = configmap["metadata"]["name"].as_str()?;
    Journal::read(name.trim_start_matches("platctl-run-"), configmap["data"][KEY].as_str()?).ok()
}

/// Removes all but the newest journals of an environment from the cluster.
///
/// # Errors
/// [`CallError`] when the cluster refuses.
pub async fn clear_away(
    kubectl: &Kubectl,
    namespace: &str,
    platform: &str,
    environment: &str,
) -> Result<(), CallError> {
    let selector = format!("{}={platform},{}={environment}", label::PLATFORM, label::ENVIRONMENT);
    let names = kubectl.configmaps(namespace, &selector).await?;
    let old = too_old(names);
    if old.is_empty() { Ok(()) } else { kubectl.remove_configmaps(namespace, &old).await }
}

/// The names beyond the newest; they sort by time.
fn too_old(mut names: Vec<String>) -> Vec<String> {
    names.retain(|name| name.starts_with("platctl-run-"));
    names.sort();
    names.truncate(names.len().saturating_sub(KEPT));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept() {
        let names: Vec<String> = (10..40).rev().map(|n| name(&format!("20261121-1930{n}-abcd"))).collect();
        let old = too_old(names);
        assert_eq!(old.len(), 10);
        assert_eq!(old.last().unwrap(), "platctl-run-20261121-193019-abcd");
        assert!(too_old(vec!["platctl-run-x".into(), "mine".into()]).is_empty());
    }
}
