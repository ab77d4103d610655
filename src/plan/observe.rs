//! What is in the cluster: helm's records, from the one table that `kubectl get secrets --show-labels` prints.

use std::collections::BTreeMap;

use super::label;

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
    /// It was made by a helm that somebody ran by hand, which keeps labels: an earlier one that went well has the same run.
    pub by_hand: bool,
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
        let mut releases: BTreeMap<(String, String), Vec<Observed>> = BTreeMap::new();
        for (place, record) in records(table) {
            releases.entry(place).or_default().push(record);
        }
        Observation(releases.into_iter().filter_map(|(place, all)| Some((place, newest(all)?))).collect())
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

/// The newest of a release's revisions, with what only all of them tell.
fn newest(mut all: Vec<Observed>) -> Option<Observed> {
    all.sort_by_key(|record| record.revision);
    let newest = all.pop()?;
    let is_deployed = |record: &&Observed| record.status == "deployed";
    let deployed = all.iter().chain([&newest]).filter(is_deployed).map(|record| record.revision).max();
    let went_well = |record: &Observed| matches!(record.status.as_str(), "deployed" | "superseded");
    let ever = all.iter().chain([&newest]).any(went_well);
    let run = newest.label(label::RUN);
    let by_hand = run.is_some() && all.iter().any(|record| went_well(record) && record.label(label::RUN) == run);
    Some(Observed { deployed, ever, by_hand, ..newest })
}

/// Every record of a table: namespace and release, and what its labels say.
pub(super) fn records(table: &str) -> impl Iterator<Item = ((String, String), Observed)> {
    table.lines().filter_map(row).filter_map(|(namespace, labels)| {
        let name = labels.get("name")?.clone();
        let revision = labels.get("version")?.parse().ok()?;
        let status = labels.get("status").cloned().unwrap_or_default();
        Some(((namespace, name), Observed { revision, status, deployed: None, ever: false, by_hand: false, labels }))
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

    /// A run makes one revision that goes well; helm copies its labels to the next, whoever makes that.
    #[test]
    fn a_revision_with_the_run_of_one_before_it_was_made_by_hand() {
        let row = |revision: u64, status: &str, run: &str| {
            format!("n s t 1 5m name=a,owner=helm,status={status},version={revision}{run}\n")
        };
        let (r1, r2) = (",platctl.dev/run=r1", ",platctl.dev/run=r2");
        let by_hand = |rows: &[String]| Observation::parse(&rows.concat()).get("n", "a").unwrap().by_hand;
        assert!(by_hand(&[row(2, "deployed", r1), row(1, "superseded", r1)]));
        assert!(by_hand(&[row(1, "superseded", r1), row(2, "superseded", r2), row(3, "deployed", r1)]), "a rollback");
        assert!(!by_hand(&[row(1, "failed", r1), row(2, "deployed", r1)]), "a second try");
        assert!(!by_hand(&[row(1, "superseded", r1), row(2, "deployed", r2)]));
        assert!(!by_hand(&[row(1, "superseded", ""), row(2, "deployed", "")]));
    }
}
