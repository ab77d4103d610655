//! helm's records, as kubectl gets them.

use std::collections::BTreeSet;

use super::Kubectl;
use crate::tools::process::CallError;

impl Kubectl {
    /// helm's records in one namespace, as [`Kubectl::release_records`] has them. A namespace that does not exist has none.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn release_records_in(&self, namespace: &str) -> Result<String, CallError> {
        let within = format!("--namespace={namespace}");
        let rows =
            self.text(&["get", "secrets", &within, "--selector=owner=helm", "--show-labels", "--no-headers"]).await?;
        // Of one namespace kubectl prints no column that names it.
        Ok(rows.lines().map(|row| format!("{namespace}  {row}\n")).collect())
    }

    /// helm's records in all namespaces; in these alone, where the user may not see more.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn release_records_of(&self, namespaces: &BTreeSet<String>) -> Result<String, CallError> {
        let all = self.release_records().await;
        if !all.as_ref().is_err_and(CallError::is_forbidden) {
            return all;
        }
        let mut rows = String::new();
        for namespace in namespaces {
            rows.push_str(&self.release_records_in(namespace).await?);
        }
        Ok(rows)
    }

    /// The Secret in which helm keeps one revision of a release, as JSON. Secrets are in it.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn release_record(&self, namespace: &str, release: &str, revision: u64) -> Result<String, CallError> {
        let path = format!("/api/v1/namespaces/{namespace}/secrets/sh.helm.release.v1.{release}.v{revision}");
        let call = self.call(vec!["get".to_owned(), "--raw".to_owned(), path], None);
        Ok(String::from_utf8_lossy(&self.ended_in_memory(call).await?).into_owned())
    }

    /// The Secrets in which helm keeps the deployed revisions of all releases with these labels, as the JSON of a list.
    /// Secrets are in them.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn deployed_records(&self, labels: &[(&str, &str)]) -> Result<String, CallError> {
        let labels: String = labels.iter().map(|(key, value)| format!(",{key}%3D{value}")).collect();
        let path =
            format!("/api/v1/secrets?labelSelector=owner%3Dhelm,status%3Ddeployed{}", labels.replace('/', "%2F"));
        let call = self.call(vec!["get".to_owned(), "--raw".to_owned(), path], None);
        Ok(String::from_utf8_lossy(&self.ended_in_memory(call).await?).into_owned())
    }
}
