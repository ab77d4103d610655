//! What releases ask of secrets: which names are not there yet, and values with names in place of tokens. Must not know any
//! secret.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::{Definition, Release, SecretUse, replace_tokens};
use crate::yaml::{Node, Value};

impl Release {
    /// Every secret that it asks for, in its values and in its Kubernetes Secrets.
    pub fn secret_uses(&self) -> impl Iterator<Item = &SecretUse> {
        self.value_secrets.iter().chain(self.secrets.iter().flat_map(|secret| &secret.uses))
    }
}

impl Definition {
    /// Values as people are shown them: a secret by its name, not by its token.
    pub fn shown<'n>(&self, values: &'n Node) -> Cow<'n, Node> {
        if self.shown.is_empty() {
            return Cow::Borrowed(values);
        }
        let mut shown = values.clone();
        name_secrets(&mut shown, &self.shown);
        Cow::Owned(shown)
    }

    /// The names that releases ask for and that secrets.yaml does not have yet.
    pub fn missing_secrets<'a>(&'a self, releases: impl Iterator<Item = &'a Release>) -> BTreeSet<&'a str> {
        let names = releases.flat_map(Release::secret_uses).map(|used| used.name.as_str());
        names.filter(|name| !self.sealed.contains_key(*name)).collect()
    }
}

fn name_secrets(node: &mut Node, shown: &BTreeMap<String, String>) {
    match &mut node.value {
        Value::String(text) => *text = replace_tokens(text, |token| shown.get(token)),
        Value::List(items) => items.iter_mut().for_each(|item| name_secrets(item, shown)),
        Value::Map(map) => map.0.iter_mut().for_each(|entry| name_secrets(&mut entry.node, shown)),
        _ => {}
    }
}
