//! What is wrong in a definition before anybody installs it: the findings of all its environments, each told once. Pure;
//! must not render, nor know how findings look.

use std::collections::BTreeSet;

/// Something that is wrong, in one or several environments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding<T> {
    /// What.
    pub what: T,
    /// Where it is so.
    pub environments: BTreeSet<String>,
}

/// The findings of several environments, in the order they were made.
#[derive(Debug)]
pub struct Findings<T>(Vec<Finding<T>>);

impl<T> Default for Findings<T> {
    fn default() -> Findings<T> {
        Findings(Vec::new())
    }
}

impl<T: PartialEq> Findings<T> {
    /// Adds what is wrong in an environment; what is wrong in another one in the same way is one finding.
    pub fn add(&mut self, environment: &str, what: impl IntoIterator<Item = T>) {
        for what in what {
            let at = self.0.iter().position(|finding| finding.what == what).unwrap_or_else(|| {
                self.0.push(Finding { what, environments: BTreeSet::new() });
                self.0.len() - 1
            });
            self.0[at].environments.insert(environment.to_owned());
        }
    }

    /// All of them.
    pub fn all(&self) -> &[Finding<T>] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_in_two_environments_is_one() {
        let mut findings = Findings::default();
        findings.add("test", ["a", "b"]);
        findings.add("prod", ["b", "c"]);
        let seen: Vec<_> = findings.all().iter().map(|f| (f.what, f.environments.len())).collect();
        assert_eq!(seen, [("a", 1), ("b", 2), ("c", 1)]);
    }
}
