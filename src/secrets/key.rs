//! Which keys a sops file can be decrypted with, from its `sops` block. No cryptography, no values.

use std::fmt;

use crate::yaml::{Node, Value};

/// A key by its kind and its public name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyId {
    /// The kind for people: `age`, `pgp`, `aws kms` …
    pub kind: &'static str,
    /// Recipient, fingerprint or address.
    pub id: String,
}

/// For each kind: the list's name in the file, the name for people, and the keys whose values make the name.
const KINDS: [(&str, &str, &[&str]); 7] = [
    ("age", "age", &["recipient"]),
    ("pgp", "pgp", &["fp"]),
    ("kms", "aws kms", &["arn"]),
    ("gcp_kms", "gcp kms", &["resource_id"]),
    ("azure_kv", "azure key vault", &["vault_url", "name"]),
    ("hc_vault", "vault", &["vault_address", "engine_path", "key_name"]),
    ("hckms", "huawei kms", &["key_id"]),
];

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

/// The keys of a `sops` block, with those of its groups.
pub(super) fn of(block: &Node) -> Vec<KeyId> {
    let groups = block.get("key_groups").and_then(Node::as_list).unwrap_or_default();
    [block].into_iter().chain(groups).flat_map(group).collect()
}

fn group(node: &Node) -> Vec<KeyId> {
    let mut found = Vec::new();
    for (list, kind, names) in KINDS {
        for entry in node.get(list).and_then(Node::as_list).unwrap_or_default() {
            let parts: Vec<&str> = names.iter().filter_map(|name| text(entry, name)).collect();
            if !parts.is_empty() {
                found.push(KeyId { kind, id: parts.join("/") });
            }
        }
    }
    found
}

fn text<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    node.get(key).filter(|node| node.value != Value::Null).and_then(Node::as_str).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_every_kind_are_named() {
        let block = crate::yaml::parse_generated(
            "x",
            "age: [{recipient: age1abc, enc: x}]\npgp: [{fp: ABCD}]\nkms: [{arn: 'arn:aws:kms:x', aws_profile: ''}]\n\
             key_groups:\n- azure_kv: [{vault_url: 'https://v', name: k, version: ''}]\n\
             - hc_vault: [{vault_address: 'https://h', engine_path: transit, key_name: k}]\n  gcp_kms: []\n",
        )
        .unwrap();
        let names: Vec<String> = of(&block).iter().map(ToString::to_string).collect();
        let expected = [
            "age age1abc",
            "pgp ABCD",
            "aws kms arn:aws:kms:x",
            "azure key vault https://v/k",
            "vault https://h/transit/k",
        ];
        assert_eq!(names, expected);
    }
}
