//! What a list and a live cluster do not have in common. Must not judge which of it matters.

use std::collections::BTreeSet;

use super::Capabilities;

/// Names that the definition and the cluster do not have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differing {
    /// Assumed, and not there.
    pub lacks: BTreeSet<String>,
    /// There, neither assumed nor brought by the platform.
    pub more: BTreeSet<String>,
}

impl Differing {
    /// Compares what is assumed with what is live. Definitions that the platform brings may be there already, or not
    /// yet. The kinds of a `silent` group/version nobody knows.
    pub fn of(
        assumed: &Capabilities,
        brought: &BTreeSet<String>,
        live: &Capabilities,
        silent: &[(String, String)],
    ) -> Differing {
        let (assumed, live) = (assumed.names(), live.names());
        let known = |name: &&String| !silent.iter().any(|(api, _)| name.starts_with(&format!("{api}/")));
        let own = |name: &&String| !brought.contains(*name);
        Differing {
            lacks: assumed.difference(&live).filter(known).filter(own).cloned().collect(),
            more: live.difference(&assumed).filter(own).cloned().collect(),
        }
    }

    /// Whether all of a name's group/version is not there, so that the kind need not be told.
    pub fn lacks_all_of(&self, name: &str) -> bool {
        name.rsplit_once('/').is_some_and(|(api, _)| self.lacks.contains(api))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_brought_or_silent_does_not_differ() {
        let with = |apis: &[(&str, &[&str])]| {
            let mut capabilities = Capabilities::new("1.34.4", "");
            apis.iter().for_each(|(api, kinds)| capabilities.add(api, kinds.iter().copied()));
            capabilities
        };
        let assumed = with(&[("a/v1", &["A", "B"]), ("s/v1", &["S"]), ("g/v1", &["G"])]);
        let live = with(&[("a/v1", &["A", "C"]), ("s/v1", &[]), ("b/v1", &["B"])]);
        let brought = ["b/v1", "b/v1/B"].map(str::to_owned).into();
        let differing = Differing::of(&assumed, &brought, &live, &[("s/v1".to_owned(), "down".to_owned())]);
        assert_eq!(differing.lacks, ["a/v1/B", "g/v1", "g/v1/G"].map(str::to_owned).into());
        assert_eq!(differing.more, ["a/v1/C".to_owned()].into());
        assert!(differing.lacks_all_of("g/v1/G") && !differing.lacks_all_of("a/v1/B"));
    }
}
