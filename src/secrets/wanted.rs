//! Which secrets releases ask for, and which of them can be made. Names only.

use std::collections::{BTreeMap, BTreeSet};

use super::{Layers, missing_in_order};
use crate::definition::{Declarations, PARTS};

/// What releases ask for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// For each name the releases that use it.
    uses: BTreeMap<String, BTreeSet<String>>,
    declarations: Declarations,
}

impl Wanted {
    /// From the names that releases use, each with a release, and everything that is declared.
    pub fn new(uses: impl IntoIterator<Item = (String, String)>, declarations: Declarations) -> Wanted {
        let mut wanted = Wanted { declarations, ..Wanted::default() };
        for (name, release) in uses {
            wanted.uses.entry(name).or_default().insert(release);
        }
        wanted
    }

    /// Everything that is declared.
    pub fn declarations(&self) -> &Declarations {
        &self.declarations
    }

    /// What is declared and asked for, by its whole name, whether it is there or not.
    pub fn declared(&self) -> BTreeSet<&str> {
        self.uses.keys().filter_map(|name| self.whole(name)).collect()
    }

    /// What has to be made, each after what it is made of.
    pub fn to_make(&self, sealed: &Layers) -> Vec<&str> {
        missing_in_order(&self.declarations, &self.declared(), |name| sealed.has(name))
    }

    /// What is missing and can't be made, with the releases that use it.
    pub fn by_hand(&self, sealed: &Layers) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let made: BTreeSet<&str> = self.to_make(sealed).into_iter().collect();
        for (name, releases) in &self.uses {
            let Some(whole) = self.whole(name).filter(|whole| made.contains(whole) || !sealed.has(whole)) else {
                if !sealed.has(name) {
                    found.entry(name).or_default().extend(releases.iter().map(String::as_str));
                }
                continue;
            };
            if let Some(need) = (!made.contains(whole)).then(|| self.first_need(whole, sealed)).flatten() {
                found.entry(need).or_default().extend(releases.iter().map(String::as_str));
            }
        }
        found
    }

    /// The releases that use a name or a part of it, or something that is made of it again.
    pub fn users(&self, name: &str) -> BTreeSet<&str> {
        let below = format!("{name}.");
        let used = self.uses.iter().filter(|(used, _)| *used == name || used.starts_with(&below));
        used.flat_map(|(_, releases)| releases.iter().map(String::as_str)).collect()
    }

    /// What is made of a name.
    pub fn made_of(&self, name: &str) -> Vec<&str> {
        let of = self.declarations.iter().filter(|(_, declaration)| declaration.generate.needs() == Some(name));
        of.map(|(child, _)| child.as_str()).collect()
    }

    /// Every name that anything asks for or declares.
    pub fn names(&self) -> BTreeSet<&str> {
        let needs = self.declarations.values().filter_map(|declaration| declaration.generate.needs());
        self.uses.keys().chain(self.declarations.keys()).map(String::as_str).chain(needs).collect()
    }

    /// Whether anything asks for a name, for the whole it is a part of, or for a part of it.
    pub fn knows(&self, name: &str) -> bool {
        let names = self.names();
        let whole = part_of(name).is_some_and(|(whole, _)| names.contains(whole));
        names.contains(name) || whole
    }

    /// The declared name that a used name is, or is a part of.
    pub fn whole<'s>(&'s self, name: &'s str) -> Option<&'s str> {
        let declared = |name: &str| self.declarations.get_key_value(name);
        let own = declared(name).filter(|(_, declaration)| !declaration.generate.has_parts());
        let part = || part_of(name).and_then(|(whole, _)| declared(whole)).filter(|(_, d)| d.generate.has_parts());
        own.or_else(part).map(|(name, _)| name.as_str())
    }

    /// What stands at the beginning of all a name is made of, and is not there.
    fn first_need<'s>(&'s self, name: &'s str, sealed: &Layers) -> Option<&'s str> {
        let mut at = name;
        for _ in 0..=self.declarations.len() {
            match self.declarations.get(at).and_then(|declaration| declaration.generate.needs()) {
                Some(need) if !sealed.has(need) => at = need,
                _ => return Some(at),
            }
        }
        Some(at)
    }
}

/// A name as a whole and its part, when it ends like one.
fn part_of(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once('.').filter(|(_, part)| PARTS.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{Alphabet, Declaration, Generate, Tree};
    use crate::yaml::Span;

    fn sealed(names: &str) -> Layers {
        let mut text: String =
            names.split_whitespace().map(|name| format!("{name}: 'ENC[AES256_GCM,data:x]'\n")).collect();
        text.push_str("sops: {age: [{recipient: age1x}], version: 3.13.3}\n");
        let mut tree = Tree::default();
        tree.insert("environments/prod/secrets.yaml", text);
        Layers::read(&tree, &["prod".into()]).unwrap()
    }

    fn wanted() -> Wanted {
        let random = Generate::Random { length: 16, alphabet: Alphabet::Hex };
        let tls = |ca: &str| Generate::Tls { common_name: "x".into(), dns_names: vec![], ca: ca.into(), days: 1 };
        let all = [
            ("db.password", random),
            ("minio.tls", tls("site.ca")),
            ("web.tls", tls("bought.ca")),
            ("site.ca", Generate::Ca { common_name: "x".into(), days: 1 }),
        ];
        let declared = all.map(|(name, generate)| (name.to_owned(), Declaration { generate, span: Span::default() }));
        let uses = [
            ("db.password", "db"),
            ("db.password", "app"),
            ("minio.tls.cert", "minio"),
            ("site.ca.cert", "minio"),
            ("web.tls.key", "web"),
            ("licence", "app"),
        ];
        Wanted::new(uses.map(|(name, release)| (name.to_owned(), release.to_owned())), declared.into())
    }

    #[test]
    fn what_is_there_what_can_be_made_and_what_cannot() {
        let wanted = wanted();
        assert_eq!(wanted.to_make(&sealed("")), ["db.password", "site.ca", "minio.tls"]);
        assert_eq!(wanted.to_make(&sealed("db.password site.ca.cert")), ["minio.tls"]);
        let by_hand = |names: &str| -> Vec<String> {
            let sealed = sealed(names);
            let found = wanted.by_hand(&sealed);
            found.iter().map(|(name, by)| format!("{name}: {by:?}")).collect()
        };
        assert_eq!(by_hand(""), [r#"bought.ca: {"web"}"#, r#"licence: {"app"}"#]);
        assert_eq!(by_hand("bought.ca.cert bought.ca.key licence"), [""; 0]);
        // Half a pair, brought by hand, is neither overwritten nor taken for whole.
        assert_eq!(by_hand("licence web.tls.cert"), [r#"web.tls.key: {"web"}"#]);
    }

    #[test]
    fn who_uses_what() {
        let wanted = wanted();
        assert_eq!(wanted.users("db.password"), BTreeSet::from(["app", "db"]));
        assert_eq!(wanted.users("minio.tls"), BTreeSet::from(["minio"]));
        assert_eq!(wanted.made_of("site.ca"), ["minio.tls"]);
        assert_eq!((wanted.whole("minio.tls.key"), wanted.whole("minio.tls")), (Some("minio.tls"), None));
        assert!(wanted.knows("site.ca.key") && wanted.knows("bought.ca.cert") && !wanted.knows("db.pasword"));
    }
}
