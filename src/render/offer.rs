//! What helm is told that the cluster offers: the list, made once for all releases, in the form of helm's flag.

use std::collections::BTreeSet;

use crate::digest::{Digest, Hasher};

/// The longest argument; Linux takes 128 KiB.
const LONGEST: usize = 96 * 1024;

/// Lists for `--api-versions`, separated by commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    lists: Vec<String>,
    digest: Digest,
}

impl Offer {
    /// Lists of names. They hold no comma and no quote: those of the capabilities were checked when they were read.
    pub fn new(names: &BTreeSet<String>) -> Offer {
        let mut lists: Vec<String> = Vec::new();
        for name in names.iter().filter(|name| !name.contains([',', '"', '\n', '\r'])) {
            match lists.last_mut().filter(|list| list.len() + name.len() < LONGEST) {
                Some(list) => {
                    list.push(',');
                    list.push_str(name);
                }
                None => lists.push(name.clone()),
            }
        }
        let mut hasher = Hasher::default();
        lists.iter().for_each(|list| hasher.update(format!("{list}\n").as_bytes()));
        Offer { lists, digest: hasher.finish() }
    }

    /// The lists.
    pub fn lists(&self) -> &[String] {
        &self.lists
    }

    /// The digest of everything in them.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_lists() {
        let names: BTreeSet<String> = (0..9000).map(|i| format!("group{}.example.org/v1/Kind{i}", i % 50)).collect();
        let offer = Offer::new(&names);
        assert!(offer.lists().len() > 1 && offer.lists().iter().all(|list| list.len() <= LONGEST));
        let back: BTreeSet<String> = offer.lists().iter().flat_map(|list| list.split(',')).map(str::to_owned).collect();
        assert_eq!(back, names);
    }
}
