//! Objects as the API server has them, or would have them. Nothing of them gets to a disk: Secrets are among them.

use std::ops::Range;

use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

use super::Kubectl;
use crate::tools::process::CallError;

/// What kubectl says of an object whose kind the API server does not have.
const UNKNOWN_KIND: &str = "no matches for kind \"";
/// What it says when nobody answers; the objects are not to blame then.
const UNREACHABLE: [&str; 4] = ["Unable to connect to the server", "connection refused", "i/o timeout", "Unauthorized"];

/// What would become of an object that is applied.
#[derive(Clone, PartialEq)]
pub enum DryRun {
    /// The whole of it afterwards.
    Would(Json),
    /// The API server does not know its kind, so that nobody can say.
    UnknownKind,
    /// The API server refuses it; its own words.
    Refused(String),
}

impl Kubectl {
    /// What would become of objects if `manager` applied them on the server, taking over whatever others own: one answer
    /// for each, in their order. Nothing is changed. All are asked for at once; only where the API server refuses some is it
    /// asked again without them.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word, when the API server can't be asked.
    pub async fn dry_run_apply(&self, objects: &[Json], manager: &str) -> Result<Vec<DryRun>, CallError> {
        let mut answers: Vec<Option<DryRun>> = vec![None; objects.len()];
        let mut open: Vec<Vec<usize>> = vec![Range { start: 0, end: objects.len() }.collect()];
        while let Some(asked) = open.pop().filter(|asked| !asked.is_empty()) {
            let error = match self.dry_run(objects, &asked, manager).await {
                Ok(found) => {
                    for at in asked {
                        let answer = found.iter().find(|would| is_same(would, &objects[at]));
                        answers[at] = answer.map(|would| DryRun::Would(would.clone()));
                    }
                    continue;
                }
                Err(error) => error,
            };
            let word = error.stderr();
            if error.interrupted() || word.is_empty() || UNREACHABLE.iter().any(|text| word.contains(text)) {
                return Err(error);
            }
            let (unknown, known): (Vec<usize>, Vec<usize>) =
                asked.into_iter().partition(|at| is_unknown(word, &objects[*at]));
            let only_known = unknown.is_empty();
            unknown.into_iter().for_each(|at| answers[at] = Some(DryRun::UnknownKind));
            match known.as_slice() {
                // Its kind is known and nobody else was asked about: these words are its own.
                [one] if only_known => answers[*one] = Some(DryRun::Refused(word.trim().to_owned())),
                _ if !only_known => open.push(known),
                several => {
                    let (first, second) = several.split_at(several.len() / 2);
                    open.extend([second.to_vec(), first.to_vec()]);
                }
            }
        }
        let silent = || DryRun::Refused("the API server said nothing of it".to_owned());
        Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(silent)).collect())
    }

    async fn dry_run(&self, objects: &[Json], which: &[usize], manager: &str) -> Result<Vec<Json>, CallError> {
        let manager = format!("--field-manager={manager}");
        let args = ["apply", "--server-side", "--dry-run=server", "--force-conflicts", &manager];
        self.about(&args, which.iter().map(|at| &objects[*at])).await
    }

    /// Those of the objects that are there, as they are, with who manages what. Of each only kind, name and namespace are
    /// looked at; the API server must know the kinds.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn existing(&self, objects: &[Json]) -> Result<Vec<Json>, CallError> {
        if objects.is_empty() {
            return Ok(Vec::new());
        }
        let wanted: Vec<Json> = objects.iter().map(identity).collect();
        self.about(&["get", "--ignore-not-found", "--show-managed-fields"], wanted.iter()).await
    }

    /// A command about a list of objects, and the objects it prints.
    async fn about<'j>(&self, args: &[&str], objects: impl Iterator<Item = &'j Json>) -> Result<Vec<Json>, CallError> {
        let items: Vec<&Json> = objects.collect();
        let list = Zeroizing::new(json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string());
        let mut args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        args.extend(["--output=json", "--filename=-"].map(String::from));
        let call = self.call(args, Some(list.as_bytes()));
        let out = Zeroizing::new(self.ended_in_memory(call).await?);
        let printed: Json = serde_json::from_slice(&out).unwrap_or_default();
        Ok(match printed {
            Json::Null => Vec::new(),
            Json::Object(mut list) if list.get("kind").is_some_and(|kind| kind == "List") => {
                list.get_mut("items").and_then(Json::as_array_mut).map(std::mem::take).unwrap_or_default()
            }
            one => vec![one],
        })
    }
}

/// What tells an object from others, without anything that is in it.
fn identity(object: &Json) -> Json {
    let metadata = &object["metadata"];
    let mut named = json!({"name": metadata["name"]});
    if metadata["namespace"].is_string() {
        named["namespace"] = metadata["namespace"].clone();
    }
    json!({"apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": named})
}

/// Whether an object that the API server has is the one that was sent. Of a kind without namespaces it has none.
pub(super) fn is_same(there: &Json, sent: &Json) -> bool {
    let group = |object: &Json| {
        let version = object["apiVersion"].as_str().unwrap_or_default();
        version.split_once('/').map_or(String::new(), |(group, _)| group.to_owned())
    };
    let (a, b) = (&there["metadata"], &sent["metadata"]);
    there["kind"] == sent["kind"]
        && group(there) == group(sent)
        && a["name"] == b["name"]
        && (a["namespace"].is_null() || a["namespace"] == b["namespace"])
}

fn is_unknown(word: &str, object: &Json) -> bool {
    let text = |key: &str| object[key].as_str().unwrap_or_default();
    word.contains(&format!("{UNKNOWN_KIND}{}\" in version \"{}\"", text("kind"), text("apiVersion")))
}
