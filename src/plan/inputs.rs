//! The hash of everything that decides a release. Equal hash and status `deployed` mean that there is nothing to do.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::definition::{Definition, KubernetesSecret, Release};
use crate::digest::Digest;

/// Everything that decides a release.
#[derive(Debug, Clone, Serialize)]
pub struct Decisive<'a> {
    /// Version of the rules that find and rewrite images.
    pub rewriter: u32,
    /// Digest of the chart.
    pub chart: Digest,
    /// The chart's values.
    pub values: &'a serde_json::Value,
    /// Namespace.
    pub namespace: &'a str,
    /// Labels of the namespace.
    pub namespace_labels: &'a BTreeMap<String, String>,
    /// Images with the digest that pods are given.
    pub images: &'a BTreeMap<String, Digest>,
    /// References in places that no rule knows.
    pub declared: Vec<String>,
    /// Address and prefix of the site's registry.
    pub registry: Option<(&'a str, &'a str)>,
    /// Version of Kubernetes that charts are told.
    pub kube_version: &'a str,
    /// Digest of what charts are told that the cluster offers by itself.
    pub capabilities: Digest,
    /// Whether helm waits.
    pub wait: bool,
    /// Ciphertexts of the secrets it asks for, by name; those that are still to be generated are left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sealed: BTreeMap<&'a str, &'a str>,
    /// Programs around it: when they run, their paths, and their digests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<(&'static str, &'a str, Digest)>,
    /// Kubernetes Secrets made before it, with tokens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<serde_json::Value>,
}

/// What a definition says of a release's secrets, without any key: ciphertexts, and the Secrets to be made.
pub fn secrets<'a>(
    definition: &'a Definition,
    release: &'a Release,
) -> (BTreeMap<&'a str, &'a str>, Vec<serde_json::Value>) {
    let sealed = |name: &'a str| Some((name, definition.sealed.get(name)?.as_str()));
    let names = release.secret_uses().map(|used| used.name.as_str());
    let objects = release.secrets.iter().map(|secret| {
        let KubernetesSecret { name, kind, labels, data, .. } = secret;
        serde_json::json!({"name": name, "type": kind, "labels": labels, "data": data})
    });
    (names.filter_map(sealed).collect(), objects.collect())
}

/// The first 40 hex digits of the hash: a label's value may have 63 characters.
pub fn inputs(decisive: &Decisive<'_>) -> String {
    // Serialized through a value: serde_json keeps the order of keys, which must not matter.
    let value = serde_json::to_value(decisive).unwrap_or_default();
    let mut text = String::new();
    canonical(&value, &mut text);
    Digest::of(text).hex()[..40].to_owned()
}

/// JSON with sorted keys.
fn canonical(value: &serde_json::Value, text: &mut String) {
    use serde_json::Value as Json;
    match value {
        Json::Array(items) => {
            text.push('[');
            for item in items {
                canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        Json::Object(map) => {
            let sorted: BTreeMap<&String, &Json> = map.iter().collect();
            text.push('{');
            for (key, value) in sorted {
                text.push_str(&Json::from(key.as_str()).to_string());
                text.push(':');
                canonical(value, text);
                text.push(',');
            }
            text.push('}');
        }
        plain => text.push_str(&plain.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Tree;

    fn of(values: &serde_json::Value, wait: bool) -> String {
        with(values, wait, "v1")
    }

    fn with(values: &serde_json::Value, wait: bool, capabilities: &str) -> String {
        inputs(&Decisive {
            rewriter: 1,
            chart: Digest::of("c"),
            values,
            namespace: "n",
            namespace_labels: &BTreeMap::new(),
            images: &BTreeMap::new(),
            declared: Vec::new(),
            registry: Some(("r", "p")),
            kube_version: "1.34.4",
            capabilities: Digest::of(capabilities),
            wait,
            sealed: BTreeMap::new(),
            hooks: Vec::new(),
            secrets: Vec::new(),
        })
    }

    /// The hashes of three releases: two that use `a` or `b` in values or a Secret, and one that uses none.
    fn of_releases(a: &str, b: &str) -> Vec<String> {
        let mut tree = Tree::default();
        let environment =
            "apiVersion: platctl.dev/v1\nkubeVersion: \"1.34.4\"\ntools: {helm: 4.3.1, kubectl: 1.34.4}\n";
        tree.insert("environments/prod/environment.yaml", environment);
        tree.insert("templates/apps/tier.yaml", "apiVersion: platctl.dev/v1\norder: 1\n");
        let file = format!("a: \"ENC[AES256_GCM,data:{a}]\"\nb: \"ENC[AES256_GCM,data:{b}]\"\nsops: {{mac: m}}\n");
        tree.insert("environments/prod/secrets.yaml", file);
        let release = "apiVersion: platctl.dev/v1\nchart: {path: ./chart}\nnamespace: ns\n";
        let object = "secrets: [{name: s, data: {k: {ref: b}}}]\n";
        for (name, secrets, values) in [("x", "", "p: \"{{ secret('a') }}\"\n"), ("y", object, ""), ("z", "", "")] {
            tree.insert(format!("templates/apps/{name}/release.yaml"), format!("{release}{secrets}"));
            tree.insert(format!("templates/apps/{name}/values.yaml"), values);
        }
        let definition = Definition::load(&tree, "prod").unwrap();
        let hash = |release: &Release| {
            let (sealed, secrets) = secrets(&definition, release);
            inputs(&Decisive {
                rewriter: 1,
                chart: Digest::of("c"),
                values: &release.values.to_json(),
                namespace: "n",
                namespace_labels: &BTreeMap::new(),
                images: &BTreeMap::new(),
                declared: Vec::new(),
                registry: None,
                kube_version: "1.34.4",
                capabilities: Digest::of("c"),
                wait: true,
                sealed,
                hooks: Vec::new(),
                secrets,
            })
        };
        definition.releases.iter().map(hash).collect()
    }

    #[test]
    fn a_rotated_secret_changes_exactly_the_releases_that_use_it() {
        let before = of_releases("1", "2");
        for (after, changed) in
            [(of_releases("9", "2"), [true, false, false]), (of_releases("1", "9"), [false, true, false])]
        {
            let differs: Vec<bool> = before.iter().zip(&after).map(|(a, b)| a != b).collect();
            assert_eq!(differs, changed);
        }
    }

    #[test]
    fn order_of_keys_does_not_matter_and_everything_else_does() {
        let json = |text| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let base = of(&json(r#"{"a":1,"b":[1,2]}"#), true);
        assert_eq!(base.len(), 40);
        assert_eq!(base, of(&json(r#"{"b":[1,2],"a":1}"#), true));
        for other in [r#"{"a":1,"b":[2,1]}"#, r#"{"a":"1","b":[1,2]}"#, r#"{"a":1}"#] {
            assert_ne!(base, of(&json(other), true), "{other}");
        }
        assert_ne!(base, of(&json(r#"{"a":1,"b":[1,2]}"#), false));
        assert_ne!(base, with(&json(r#"{"a":1,"b":[1,2]}"#), true, "v1\nv1/Pod"));
    }
}
