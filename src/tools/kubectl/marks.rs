//! What is changed in helm's records beside helm: a label of the one that is deployed, and forgetting failed ones.

use super::Kubectl;
use crate::tools::process::CallError;

impl Kubectl {
    /// Sets a label of the deployed record of a release.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn label_deployed(
        &self,
        namespace: &str,
        release: &str,
        label: &str,
        value: &str,
    ) -> Result<(), CallError> {
        let (namespace, set) = (format!("--namespace={namespace}"), format!("{label}={value}"));
        let deployed = format!("--selector=owner=helm,name={release},status=deployed");
        self.text(&["label", "secrets", &namespace, &deployed, &set, "--overwrite"]).await.map(|_| ())
    }

    /// Deletes the records of a release's failed tries; what was deployed once stays on record. Its objects stay too:
    /// helm takes them over when it installs a release of this name again.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn forget_failed(&self, namespace: &str, release: &str) -> Result<(), CallError> {
        let namespace = format!("--namespace={namespace}");
        let failed = format!("--selector=owner=helm,name={release},status=failed");
        self.text(&["delete", "secrets", &namespace, &failed, "--ignore-not-found"]).await.map(|_| ())
    }
}
