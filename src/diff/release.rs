//! What differs in a whole environment, release by release. Data only.

use serde::Serialize;

use super::{DefinitionDiff, ObjectChange, ObjectDiff};

/// Two states of an environment compared.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What was there.
    pub old: String,
    /// What is compared with it.
    pub new: String,
    /// How many releases do not differ.
    pub unchanged: usize,
    /// Releases that differ, by tier.
    pub releases: Vec<ReleaseDiff>,
    /// Releases that could not be compared.
    pub failed: Vec<String>,
    /// What else there is to know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What happens to a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ReleaseChange {
    /// It is new.
    Install,
    /// It is another.
    Upgrade,
    /// It is gone.
    Remove,
    /// It is as it was, but the cluster is not.
    Drift,
    /// It is no longer declared, and stays as it is.
    Undeclared,
    /// Nothing may be done with it.
    Blocked,
}

/// How a release differs.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseDiff {
    /// Its tier; empty for one that is no longer declared.
    pub tier: String,
    /// The release.
    pub release: String,
    /// Its namespace.
    pub namespace: String,
    /// What happens to it.
    pub change: ReleaseChange,
    /// Version of its chart before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Version of its chart afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Its objects that differ.
    pub objects: Vec<ObjectDiff>,
    /// Its resource definitions that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub definitions: Vec<DefinitionDiff>,
    /// Images that it needs and did not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub new_images: Vec<NewImage>,
    /// Images that it needed and no longer does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gone_images: Vec<String>,
    /// Why it renders live: what it looks up in the cluster is not in what it is compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renders_live: Option<String>,
    /// What else there is to know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// An image that a release needs and did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewImage {
    /// Its name, as upstream has it.
    pub image: String,
    /// Bytes to carry and pull, as far as it is locked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Whether it is in the lock.
    pub locked: bool,
    /// Whether it is in the bundle, where one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundled: Option<bool>,
}

/// How many objects of a release come, go, change, and differ in nothing that says something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// They come.
    pub added: usize,
    /// They change.
    pub changed: usize,
    /// They go.
    pub removed: usize,
    /// They differ in labels and checksums alone.
    pub folded: usize,
}

impl ReleaseDiff {
    /// How many objects do what.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for object in &self.objects {
            match object.change {
                ObjectChange::Added => counts.added += 1,
                ObjectChange::Removed => counts.removed += 1,
                ObjectChange::Changed if object.matters() => counts.changed += 1,
                ObjectChange::Changed if object.only_not_compared() => {}
                ObjectChange::Changed => counts.folded += 1,
            }
        }
        for definition in &self.definitions {
            match definition.change {
                ObjectChange::Added => counts.added += 1,
                ObjectChange::Removed => counts.removed += 1,
                ObjectChange::Changed => counts.changed += 1,
            }
        }
        counts
    }

    /// How many secret values nobody could compare.
    pub fn not_compared(&self) -> usize {
        let folded = self.objects.iter().flat_map(|object| &object.folded);
        folded.filter(|field| field.noise == Some(super::Noise::NotCompared)).count()
    }
}

impl Report {
    /// Whether anything would be done.
    pub fn has_changes(&self) -> bool {
        self.releases.iter().any(|release| release.change != ReleaseChange::Undeclared)
    }
}
