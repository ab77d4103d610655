//! What removing and taking back asks of kubectl.

use std::time::Duration;

use super::Kubectl;
use crate::tools::process::CallError;

/// A custom resource definition in the cluster, and what two labels of it say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkedDefinition {
    /// Its name.
    pub name: String,
    /// The labels' values, in the order in which they were asked for.
    pub marks: [Option<String>; 2],
}

impl MarkedDefinition {
    fn read(row: &str) -> Option<MarkedDefinition> {
        let mut columns = row.split_whitespace();
        let name = columns.next()?.to_owned();
        let mut mark = || columns.next().filter(|value| *value != "<none>").map(str::to_owned);
        Some(MarkedDefinition { name, marks: [mark(), mark()] })
    }
}

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

    /// All custom resource definitions, with what these two labels of theirs say.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn definitions(&self, labels: [&str; 2]) -> Result<Vec<MarkedDefinition>, CallError> {
        let [one, other] = labels.map(|label| format!(".metadata.labels.{}", label.replace('.', "\\.")));
        let columns = format!("--output=custom-columns=N:.metadata.name,A:{one},B:{other}");
        let rows = self.text(&["get", "customresourcedefinitions", "--no-headers", &columns]).await?;
        Ok(rows.lines().filter_map(MarkedDefinition::read).collect())
    }

    /// Gives custom resource definitions labels, whatever values they had.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn mark_definitions(&self, names: &[String], labels: &[(&str, &str)]) -> Result<(), CallError> {
        let mut args = ["label", "customresourcedefinition", "--overwrite"].map(str::to_owned).to_vec();
        args.extend(names.iter().cloned());
        args.extend(labels.iter().map(|(key, value)| format!("{key}={value}")));
        self.run(args, None).await.map(|_| ())
    }

    /// Takes a label away from a revision's record.
    ///
    /// # Errors
    /// [`CallError`] with kubectl's own word.
    pub async fn unlabel_record(
        &self,
        namespace: &str,
        release: &str,
        revision: u64,
        key: &str,
    ) -> Result<(), CallError> {
        let secret = format!("sh.helm.release.v1.{release}.v{revision}");
        let mut args = ["label", "secret", &secret].map(str::to_owned).to_vec();
        args.extend([format!("--namespace={namespace}"), format!("{key}-")]);
        self.run(args, None).await.map(|_| ())
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
        self.ended_in_memory(self.call(args, Some(secret.as_bytes()))).await.map(|_| ())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_definition_lacks_is_none() {
        let read = |row: &str| MarkedDefinition::read(row).map(|found| (found.name, found.marks));
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(read("a.x.io   ml   prod"), Some(("a.x.io".to_owned(), [some("ml"), some("prod")])));
        assert_eq!(read("a.x.io   <none>   prod"), Some(("a.x.io".to_owned(), [None, some("prod")])));
        assert_eq!(read(""), None);
    }
}
