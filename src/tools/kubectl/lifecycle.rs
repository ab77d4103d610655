//! What removing and taking back asks of kubectl.

use std::time::Duration;

use super::Kubectl;
use crate::tools::process::{self, CallError};

impl Kubectl {
    /// Secrets with labels that match, of all namespaces or of one, as a table: namespace, name, …, labels. The API server
    /// sends metadata only.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn secrets(&self, namespace: Option<&str>, selector: &str) -> Result<String, CallError> {
        let place = namespace.map_or("--all-namespaces".to_owned(), |namespace| format!("--namespace={namespace}"));
        let selector = format!("--selector={selector}");
        let rows = self.text(&["get", "secrets", &place, &selector, "--show-labels", "--no-headers"]).await?;
        // Of one namespace kubectl prints no column that names it.
        Ok(match namespace {
            Some(namespace) => rows.lines().map(|row| format!("{namespace}  {row}\n")).collect(),
            None => rows,
        })
    }

    /// The PersistentVolumeClaims of a namespace.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn claims(&self, namespace: &str) -> Result<serde_json::Value, CallError> {
        let place = format!("--namespace={namespace}");
        let out = self.text(&["get", "persistentvolumeclaims", &place, "--output=json"]).await?;
        Ok(serde_json::from_str(&out).unwrap_or_default())
    }

    /// The names of all custom resource definitions.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn definitions(&self) -> Result<Vec<String>, CallError> {
        let names = self.text(&["get", "customresourcedefinitions", "--output=name"]).await?;
        Ok(names.lines().filter_map(|line| Some(line.split_once('/')?.1.to_owned())).collect())
    }

    /// Every object of a custom resource definition, a line each.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn objects_of(&self, definition: &str) -> Result<Vec<String>, CallError> {
        let columns = "--output=custom-columns=N:.metadata.namespace,O:.metadata.name";
        let rows = self.text(&["get", definition, "--all-namespaces", "--no-headers", columns]).await?;
        Ok(rows.lines().map(|row| row.split_whitespace().collect::<Vec<_>>().join("/")).collect())
    }

    /// Deletes objects of a kind, and waits until they are gone; those that are gone already are no error.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn delete(
        &self,
        kind: &str,
        namespace: Option<&str>,
        names: &[String],
        patience: Duration,
    ) -> Result<(), CallError> {
        let mut args = vec!["delete".to_owned(), kind.to_owned()];
        args.extend(names.iter().cloned());
        args.extend(namespace.map(|namespace| format!("--namespace={namespace}")));
        args.extend(["--ignore-not-found".to_owned(), format!("--timeout={}s", patience.as_secs())]);
        self.run(args, None).await.map(|_| ())
    }

    /// Puts a revision's record in the place of the one that was read. Secrets are in it.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word, also when somebody else changed it meanwhile.
    pub async fn put_record(
        &self,
        namespace: &str,
        release: &str,
        revision: u64,
        secret: &str,
    ) -> Result<(), CallError> {
        let path = format!("/api/v1/namespaces/{namespace}/secrets/sh.helm.release.v1.{release}.v{revision}");
        let args = ["replace", "--raw", &path, "--filename=-"].map(str::to_owned).to_vec();
        process::run_in_memory(self.call(args, Some(secret.as_bytes())), &self.interrupt).await.map(|_| ())
    }

    /// Gives a revision's record labels, whatever values they had.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn label_record(
        &self,
        namespace: &str,
        release: &str,
        revision: u64,
        labels: &[(String, String)],
    ) -> Result<(), CallError> {
        let secret = format!("sh.helm.release.v1.{release}.v{revision}");
        let mut args = ["label", "secret", &secret, "--overwrite"].map(str::to_owned).to_vec();
        args.push(format!("--namespace={namespace}"));
        args.extend(labels.iter().map(|(key, value)| format!("{key}={value}")));
        self.run(args, None).await.map(|_| ())
    }
}
