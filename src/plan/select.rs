//! Selectors: `-l tier=applications,name=mlflow`.

use std::collections::BTreeSet;
use std::str::FromStr;

use crate::definition::{Definition, Release};

/// Which releases are meant; values of one key are alternatives, different keys must all match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    tiers: BTreeSet<String>,
    names: BTreeSet<String>,
}

/// A text that is no selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a selector: `{0}` (write it as tier=NAME or name=NAME, separated by commas)")]
pub struct InvalidSelector(String);

impl Selector {
    /// Whether a release is meant.
    pub fn matches(&self, definition: &Definition, release: &Release) -> bool {
        self.means(Some(&definition.tiers[release.tier].name), &release.name)
    }

    /// Whether a release of that tier, if it is known, and name is meant.
    pub fn means(&self, tier: Option<&str>, name: &str) -> bool {
        (self.tiers.is_empty() || tier.is_some_and(|tier| self.tiers.contains(tier)))
            && (self.names.is_empty() || self.names.contains(name))
    }

    /// The same with one more name.
    pub fn and_name(mut self, name: &str) -> Selector {
        self.names.insert(name.to_owned());
        self
    }

    /// Whether it means everything.
    pub fn is_all(&self) -> bool {
        self.tiers.is_empty() && self.names.is_empty()
    }
}

impl FromStr for Selector {
    type Err = InvalidSelector;

    fn from_str(text: &str) -> Result<Selector, InvalidSelector> {
        let mut selector = Selector::default();
        for part in text.split(',') {
            match part.trim().split_once('=') {
                Some(("tier", value)) if !value.is_empty() => selector.tiers.insert(value.to_owned()),
                Some(("name", value)) if !value.is_empty() => selector.names.insert(value.to_owned()),
                _ => return Err(InvalidSelector(text.to_owned())),
            };
        }
        Ok(selector)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_parse_strictly() {
        let selector: Selector = "tier=a,name=x,name=y".parse().unwrap();
        assert_eq!(selector.names.len(), 2);
        for text in ["", "x", "app=1", "name=", "name=x,"] {
            assert!(text.parse::<Selector>().is_err(), "{text}");
        }
    }
}
