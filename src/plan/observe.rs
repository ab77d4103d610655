//! What is in the cluster: helm's records, from the one table that `kubectl get secrets --show-labels` prints.

use std::collections::BTreeMap;

/// The newest record of every release.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observation(BTreeMap<(String, String), Observed>);

/// The newest record of a release.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Its revision.
    pub revision: u64,
    /// helm's status: `deployed`, `failed`, `pending-install` …
    pub status: String,
    /// The newest revision that was deployed.
    pub deployed: Option<u64>,
    /// Whether a revision was ever deployed, as far as helm's history reaches.
    pub ever: bool,
    labels: BTreeMap<String, String>,
}

impl Observed {
    /// A label's value.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.get(key).map(String::as_str)
    }
}

impl Observation {
    /// Reads the table: columns separated by blanks, the namespace first, the labels last. Lines that are no helm
    /// records are passed over.
    pub fn parse(table: &str) -> Observation {
        let mut releases: BTreeMap<(String, String), Observed> = BTreeMap::new();
        for (place, record) in records(table) {
            let entry = releases.entry(place).or_default();
            let deployed = entry.deployed.max((record.status == "deployed").then_some(record.revision));
            let ever = entry.ever || matches!(record.status.as_str(), "deployed" | "superseded");
            if record.revision > entry.revision {
                *entry = record;
            }
            entry.deployed = deployed;
            entry.ever = ever;
        }
        Observation(releases)
    }

    /// The record of a release.
    pub fn get(&self, namespace: &str, name: &str) -> Option<&Observed> {
        self.0.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// Every release: namespace, name, record.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Observed)> {
        self.0.iter().map(|((namespace, name), observed)| (namespace.as_str(), name.as_str(), observed))
    }
}

/// Every record of a table: namespace and release, and what its labels say.
pub(super) fn records(table: &str) -> impl Iterator<Item = ((String, String), Observed)> {
    table.lines().filter_map(row).filter_map(|(namespace, labels)| {
        let name = labels.get("name")?.clone();
        let revision = labels.get("version")?.parse().ok()?;
        let status = labels.get("status").cloned().unwrap_or_default();
        Some(((namespace, name), Observed { revision, status, deployed: None, ever: false, labels }))
    })
}

/// Every object of a table: namespace, name and labels.
pub(super) fn objects(table: &str) -> impl Iterator<Item = (&str, &str, BTreeMap<String, String>)> {
    table.lines().filter_map(|line| {
        let mut columns = line.split_whitespace();
        let (namespace, name) = (columns.next()?, columns.next()?);
        let labels = columns.next_back()?.split(',').filter_map(|pair| pair.split_once('='));
        Some((namespace, name, labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()))
    })
}

fn row(line: &str) -> Option<(String, BTreeMap<String, String>)> {
    let (namespace, _, labels) = objects(line).next()?;
    (labels.get("owner").map(String::as_str) == Some("helm")).then(|| (namespace.to_owned(), labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_revision_counts_and_noise_does_not() {
        let table = "ns   sh.helm.release.v1.a.v10   helm.sh/release.v1   1   5m   modifiedAt=1,name=a,owner=helm,status=failed,version=10\n\
            ns   sh.helm.release.v1.a.v9   helm.sh/release.v1   1   5m   name=a,owner=helm,status=deployed,version=9\n\
            No resources found\nns x y\n\nns s t 1 5m owner=helm\n";
        let observation = Observation::parse(table);
        let a = observation.get("ns", "a").unwrap();
        assert_eq!((a.revision, a.status.as_str(), a.deployed), (10, "failed", Some(9)));
        assert_eq!(a.label("modifiedAt"), Some("1"));
        assert_eq!(observation.iter().count(), 1);
    }
}
