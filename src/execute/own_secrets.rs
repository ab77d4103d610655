//! The Secrets that are made beside helm, once applying them met others: what somebody edited in a Secret of ours is put
//! back, and a Secret that somebody else made is left alone.

use serde_json::{Value as Json, json};

use super::failed::Cause;
use crate::plan::label;
use crate::tools::{CallError, Kubectl};

/// Applies by force what conflicts, if all of it is ours; `applied` is how it went without force.
pub(super) async fn settled(applied: Result<(), CallError>, list: &str, kubectl: &Kubectl) -> Result<(), Cause> {
    let error = match applied {
        Err(error) if is_conflict(error.stderr()) => error,
        result => return result.map_err(Cause::Secrets),
    };
    let wanted = wanted(list);
    let there = kubectl.existing(&wanted).await.map_err(Cause::Secrets)?;
    // Those that did not conflict were applied, and have our labels now.
    let foreign = foreign(&there, &wanted);
    match foreign.is_empty() {
        true => kubectl.retake_own(list).await.map_err(Cause::Secrets),
        false => Err(Cause::ForeignSecrets(foreign, error)),
    }
}

fn is_conflict(word: &str) -> bool {
    word.contains("Apply failed with")
}

/// The Secrets of a list, without what is in them.
fn wanted(list: &str) -> Vec<Json> {
    let mut list: Json = serde_json::from_str(list).unwrap_or_default();
    let items = list.get_mut("items").and_then(Json::as_array_mut).map(std::mem::take).unwrap_or_default();
    let bare =
        |item: Json| json!({"apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": item["metadata"]});
    items.into_iter().map(bare).collect()
}

/// Those that are there and have not our labels, by name.
fn foreign(there: &[Json], wanted: &[Json]) -> Vec<String> {
    let label = |object: &Json, key: &str| object["metadata"]["labels"][key].clone();
    let is_same = |a: &Json, b: &Json| ["name", "namespace"].iter().all(|key| a["metadata"][key] == b["metadata"][key]);
    let is_foreign = |found: &&Json| {
        let ours = wanted.iter().find(|wanted| is_same(found, wanted));
        let is_ours = |wanted: &Json| {
            [label::PLATFORM, label::ENVIRONMENT].iter().all(|key| label(found, key) == label(wanted, key))
        };
        !ours.is_some_and(is_ours)
    };
    let name = |found: &Json| {
        let text = |key: &str| found["metadata"][key].as_str().unwrap_or_default().to_owned();
        format!("{}/{}", text("namespace"), text("name"))
    };
    there.iter().filter(is_foreign).map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(name: &str, platform: &str) -> Json {
        let labels = json!({label::PLATFORM: platform, label::ENVIRONMENT: "prod", "theirs": "x"});
        json!({"kind": "Secret", "metadata": {"name": name, "namespace": "n", "labels": labels}, "data": {"a": "aHVzaA=="}})
    }

    #[test]
    fn secrets_of_ours_are_told_from_those_of_others() {
        let list = json!({"kind": "List", "items": [secret("a", "shop"), secret("b", "shop"), secret("c", "shop")]});
        let wanted = wanted(&list.to_string());
        assert!(wanted.iter().all(|secret| secret["data"].is_null()));
        let bare = json!({"kind": "Secret", "metadata": {"name": "c", "namespace": "n"}});
        let there = [secret("a", "shop"), secret("b", "other"), bare];
        assert_eq!(foreign(&there, &wanted), ["n/b", "n/c"]);
        assert!(foreign(&there[..1], &wanted).is_empty());
    }

    #[test]
    fn a_conflict_is_told_from_other_refusals() {
        assert!(is_conflict("error: Apply failed with 1 conflict: conflict with \"kubectl-edit\" using v1: .data.a\n"));
        assert!(!is_conflict("Error from server (Forbidden): secrets is forbidden"));
    }
}
