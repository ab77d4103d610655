//! What differs between two states of a release, object by object and field by field, ready to be shown: secrets are
//! hidden already. Pure; must not know where the two sides come from, nor what a difference looks like on a screen.
//!
//! Objects are matched by group, kind, namespace and name, items of lists by the keys that Kubernetes merges them by;
//! the order of keys is no difference, and that of items only where Kubernetes makes nothing of it (decision 25).

mod claims;
mod definitions;
mod facts;
mod fields;
mod keys;
mod lines;
mod live;
mod managers;
mod noise;
mod objects;
mod release;
mod sealed;
mod suspects;
mod veil;

use serde::Serialize;
use serde_json::Value as Json;

pub use claims::{Claim, claims};
pub use definitions::{DefinitionDiff, definitions, definitions_of};
pub use lines::{Hunk, Line, Sign};
pub use live::{as_helm_applies, live, live_gone, without_servers_fields};
pub use managers::{Manager, Managers};
pub use objects::{object, objects};
pub use release::{Counts, NewImage, ReleaseChange, ReleaseDiff, Report};
pub use suspects::{secret_entries, spelled_out, suspects};
pub use veil::Veil;

/// How two sides are compared.
#[derive(Debug, Clone, Copy)]
pub struct Comparison<'a> {
    /// The namespace of objects that name none: their release's.
    pub namespace: &'a str,
    /// How texts of the old side look to people.
    pub old: &'a Veil,
    /// How texts of the new side look to people.
    pub new: &'a Veil,
    /// Lines around a change inside a text.
    pub context: usize,
}

/// An object that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectDiff {
    /// `apiVersion`, of the new side where there is one.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// Its namespace, or its release's.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// The template it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// What happens to it.
    pub change: ObjectChange,
    /// Its pods are started anew.
    pub restarts: bool,
    /// The fields that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldDiff>,
    /// Fields that differ and say nothing: a chart's own labels, checksums that follow, values never compared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub folded: Vec<FieldDiff>,
    /// What there is to know about one that is new, a line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<String>,
    /// The whole of one that is new or gone.
    #[serde(skip_serializing_if = "Json::is_null")]
    pub content: Json,
}

/// What happens to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ObjectChange {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It differs.
    Changed,
}

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldDiff {
    /// Where: `spec.template.spec.containers[name=main].image`.
    pub path: String,
    /// How.
    #[serde(flatten)]
    pub change: FieldChange,
    /// Why it is folded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<Noise>,
    /// Who else set it in the cluster, where that is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<String>,
}

impl FieldDiff {
    fn new(path: String, change: FieldChange, noise: Option<Noise>) -> FieldDiff {
        FieldDiff { path, change, noise, owners: Vec::new() }
    }
}

/// How a field differs. Values are as people may see them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum FieldChange {
    /// It is new.
    Added {
        /// What it is.
        new: Json,
    },
    /// It is gone.
    Removed {
        /// What it was.
        old: Json,
    },
    /// It is another.
    Changed {
        /// What it was.
        old: Json,
        /// What it is.
        new: Json,
    },
    /// Items of a list that are on both sides stand in another order.
    Order {
        /// How they stood.
        old: Vec<String>,
        /// How they will.
        new: Vec<String>,
    },
    /// The lines of a text end otherwise, and are the same.
    LineEnds {
        /// How they ended: `CRLF`, `LF`, `mixed`.
        old: &'static str,
        /// How they will.
        new: &'static str,
    },
    /// Some lines of a text are others.
    Lines {
        /// The places.
        hunks: Vec<Hunk>,
    },
    /// A secret value.
    Secret {
        /// What is known of it.
        secret: SecretChange,
    },
}

/// What is known of a secret value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SecretChange {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is another.
    Changed,
    /// Nobody could look: there was no key.
    NotCompared,
}

/// Why a field that differs says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Noise {
    /// A label or annotation that a chart sets on everything: its version, its manager.
    ChartLabel,
    /// A checksum that follows something else.
    Checksum,
    /// Another spelling of the same quantity.
    Quantity,
    /// A secret that was not compared.
    NotCompared,
    /// Replicas that an autoscaler sets.
    Autoscaler,
}

impl ObjectDiff {
    /// Whether it differs in anything that says something.
    pub fn matters(&self) -> bool {
        self.change != ObjectChange::Changed || !self.fields.is_empty()
    }

    /// Whether all that may differ is a secret that nobody could look at.
    pub fn only_not_compared(&self) -> bool {
        !self.matters() && self.folded.iter().all(|field| field.noise == Some(Noise::NotCompared))
    }

    /// `Kind name`, with the namespace where it is not `usual`, for people.
    pub fn title(&self, usual: &str) -> String {
        match self.namespace.as_str() {
            namespace if namespace.is_empty() || namespace == usual => format!("{} {}", self.kind, self.name),
            namespace => format!("{} {namespace}/{}", self.kind, self.name),
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
