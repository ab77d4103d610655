//! Deleting single objects, so that they can be made anew; and what keeps one from going.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::Kubectl;
use crate::tools::process::CallError;

/// What becomes of what belongs to an object that is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cascade {
    /// It goes first, and is waited for.
    Foreground,
    /// It stays, and whoever fits takes it over.
    Orphan,
}

impl Kubectl {
    /// Deletes an object and waits until it is gone. Of it only kind, name and namespace are looked at.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word; also when it is not gone in time.
    pub async fn delete_object(&self, object: &Json, cascade: Cascade, timeout: Duration) -> Result<(), CallError> {
        let meta = &object["metadata"];
        let identity = json!({"apiVersion": object["apiVersion"], "kind": object["kind"],
            "metadata": {"name": meta["name"], "namespace": meta["namespace"]}});
        let cascade = match cascade {
            Cascade::Foreground => "--cascade=foreground",
            Cascade::Orphan => "--cascade=orphan",
        };
        let timeout = format!("--timeout={}s", timeout.as_secs().max(1));
        let args = ["delete", cascade, "--ignore-not-found", "--wait", &timeout, "--filename=-"];
        let mut call = self.call(args.iter().map(|arg| (*arg).to_owned()).collect(), None);
        // Waiting is one request, as long as it takes.
        call.args.retain(|arg| !arg.starts_with("--request-timeout="));
        let text = identity.to_string();
        call.stdin = Some(text.as_bytes());
        self.ended(call).await.map(|_| ())
    }

    /// The finalizers of an object, which keep it until somebody takes them away. None when it is gone.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn finalizers(&self, kind: &str, namespace: &str, name: &str) -> Result<Vec<String>, CallError> {
        let mut args = vec!["get".to_owned(), kind.to_owned(), name.to_owned(), "--ignore-not-found".to_owned()];
        args.push("--output=jsonpath={.metadata.finalizers}".to_owned());
        args.extend((!namespace.is_empty()).then(|| format!("--namespace={namespace}")));
        let printed = self.run(args, None).await?;
        Ok(serde_json::from_slice(&printed).unwrap_or_default())
    }
}
