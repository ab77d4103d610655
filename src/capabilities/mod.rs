//! What a cluster's API server offers, as helm tells charts of it (`.Capabilities.APIVersions`): the shipped table of
//! each Kubernetes minor, or what was recorded in `capabilities.yaml`, read strictly. Pure but for reading the tree;
//! must not ask a cluster and must not know who renders.

mod differing;
mod discovery;
mod file;
mod read;
mod tables;

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;
use crate::yaml;

pub use differing::Differing;
pub use discovery::{Discovery, Unreadable, group_versions};
pub use read::{FILE, of, place_of_kube_version};
pub use tables::minors;

/// Every group/version with its kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The version of the server they were taken from, without `v`.
    pub kube_version: String,
    /// Where they stand, for people.
    pub origin: String,
    /// `apps/v1` to its kinds, those of subresources included.
    apis: BTreeMap<String, BTreeSet<String>>,
}

impl Capabilities {
    /// Those of a server that offers nothing yet.
    pub fn new(kube_version: impl Into<String>, origin: impl Into<String>) -> Capabilities {
        Capabilities { kube_version: kube_version.into(), origin: origin.into(), apis: BTreeMap::new() }
    }

    /// Adds a group/version and its kinds.
    pub fn add<K: Into<String>>(&mut self, group_version: &str, kinds: impl IntoIterator<Item = K>) {
        let known = self.apis.entry(group_version.to_owned()).or_default();
        known.extend(kinds.into_iter().map(Into::into));
    }

    /// What charts can ask for: every `group/version` and every `group/version/Kind`.
    pub fn names(&self) -> BTreeSet<String> {
        let kinds = |(api, kinds): (&String, &BTreeSet<String>)| {
            kinds.iter().map(|kind| format!("{api}/{kind}")).collect::<Vec<_>>()
        };
        self.apis.keys().cloned().chain(self.apis.iter().flat_map(kinds)).collect()
    }

    /// How many group/versions and how many kinds in them.
    pub fn counts(&self) -> (usize, usize) {
        (self.apis.len(), self.apis.values().map(BTreeSet::len).sum())
    }

    /// The digest of what charts can ask for. The same names from a table and from a file are the same digest.
    pub fn digest(&self) -> Digest {
        Digest::of(self.names().into_iter().map(|name| name + "\n").collect::<String>())
    }

    /// The text of a `capabilities.yaml`: sorted, the same for the same content.
    pub fn to_yaml(&self) -> String {
        let mut text =
            format!("apiVersion: {}\nkubeVersion: \"{}\"\napis:", crate::definition::API_VERSION, self.kube_version);
        for (api, kinds) in &self.apis {
            let kinds: Vec<String> = kinds.iter().map(|kind| scalar(kind)).collect();
            text.push_str(&format!("\n  {}: [{}]", scalar(api), kinds.join(", ")));
        }
        text + if self.apis.is_empty() { " {}\n" } else { "\n" }
    }
}

/// A kind may be called `No`.
fn scalar(text: &str) -> String {
    if yaml::plain_needs_quotes(text) { format!("\"{text}\"") } else { text.to_owned() }
}

/// `1.34` of `1.34.4`, `1.34.4+k3s1` or `1.34.4-gke.1`.
pub fn minor(version: &str) -> Option<String> {
    let mut parts = version.split(['.', '-', '+']);
    let (major, minor) = (parts.next()?, parts.next()?);
    let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    (number(major) && number(minor)).then(|| format!("{major}.{minor}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_versions_and_kinds() {
        let mut capabilities = Capabilities::new("1.34.4", "");
        capabilities.add("apps/v1", ["Scale", "Deployment", "Scale"]);
        capabilities.add("v1", ["No"]);
        let names = capabilities.names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(names, ["apps/v1", "apps/v1/Deployment", "apps/v1/Scale", "v1", "v1/No"]);
        assert_eq!(capabilities.counts(), (2, 3));
        assert_eq!(
            capabilities.to_yaml(),
            "apiVersion: platctl.dev/v1\nkubeVersion: \"1.34.4\"\napis:\n  apps/v1: [Deployment, Scale]\n  v1: [\"No\"]\n"
        );
    }

    #[test]
    fn minors_of_versions() {
        for (version, expected) in [
            ("1.34.4", Some("1.34")),
            ("1.31", Some("1.31")),
            ("1.33.4-gke.1245000", Some("1.33")),
            ("1.34.4+k3s1", Some("1.34")),
            ("1", None),
            ("v1.34", None),
            ("1.x.2", None),
        ] {
            assert_eq!(minor(version).as_deref(), expected, "{version}");
        }
    }
}
