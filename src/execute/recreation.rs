//! Objects that are deleted right before helm upgrades their release, so that helm makes them anew. Must not decide which.

use serde_json::{Value as Json, json};

use super::Work;
use crate::tools::{CallError, Cascade, Kubectl};

/// An object to be made anew.
#[derive(Debug, Clone, PartialEq)]
pub struct Recreation {
    /// Its kind, name and namespace.
    object: Json,
    /// What becomes of what belongs to it.
    cascade: Cascade,
}

impl Recreation {
    /// Nothing of the object but its identity is kept.
    pub fn new(object: &Json, cascade: Cascade) -> Recreation {
        let meta = &object["metadata"];
        let object = json!({"apiVersion": object["apiVersion"], "kind": object["kind"],
            "metadata": {"name": meta["name"], "namespace": meta["namespace"]}});
        Recreation { object, cascade }
    }

    /// The object, as KIND/NAME.
    pub fn name(&self) -> String {
        let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        format!("{}/{}", text(&self.object["kind"]), text(&self.object["metadata"]["name"]))
    }
}

/// Deletes what is to be made anew.
pub(super) async fn delete(work: &Work, kubectl: &Kubectl) -> Result<(), CallError> {
    for Recreation { object, cascade } in &work.recreate {
        kubectl.delete_object(object, *cascade, work.timeout).await?;
    }
    Ok(())
}
