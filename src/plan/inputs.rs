//! The hash of everything that decides a release. Equal hash and status `deployed` mean that there is nothing to do.

use std::collections::BTreeMap;

use serde::Serialize;

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
        })
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
