//! What there is to see of what runs in a namespace.

use super::Kubectl;
use crate::tools::process::CallError;

/// What may say why something does not run.
const KINDS: &str = "deployments,statefulsets,daemonsets,replicasets,cronjobs,jobs,pods,persistentvolumeclaims,events";

impl Kubectl {
    /// Workloads, pods, claims and events of a namespace, as the JSON of a list. The environment of containers is in it.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn workings(&self, namespace: &str) -> Result<String, CallError> {
        self.unwritten(vec![
            "get".to_owned(),
            KINDS.to_owned(),
            format!("--namespace={namespace}"),
            "--output=json".to_owned(),
        ])
        .await
    }

    /// The last lines of a container's log; of the container before it, when it was started again and `previous` is set.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word: there may be none, or no right to read it.
    pub async fn log(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        previous: bool,
        lines: usize,
    ) -> Result<String, CallError> {
        let mut args = vec!["logs".to_owned(), pod.to_owned(), "--limit-bytes=65536".to_owned()];
        args.extend([format!("--namespace={namespace}"), format!("--container={container}")]);
        args.extend([format!("--tail={lines}"), format!("--previous={previous}")]);
        self.unwritten(args).await
    }

    /// What kubectl prints, which gets to no disk.
    async fn unwritten(&self, args: Vec<String>) -> Result<String, CallError> {
        let out = self.ended_in_memory(self.call(args, None)).await?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }
}
