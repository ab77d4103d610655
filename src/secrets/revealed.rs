//! Secrets in the clear, by their names. They live in memory only, are never printed, and are wiped when they are no
//! longer needed.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value as Json;
use zeroize::Zeroizing;

/// Names, which are dotted paths, with their plain texts.
#[derive(Default, Clone)]
pub struct Revealed(BTreeMap<String, Zeroizing<String>>);

impl Revealed {
    /// The leaves of a decrypted tree, after its layers were merged. Numbers and booleans are taken as they are
    /// written; what is null is not there.
    pub fn from_json(tree: Json) -> Revealed {
        let mut revealed = Revealed::default();
        revealed.collect(String::new(), tree);
        revealed
    }

    fn collect(&mut self, name: String, node: Json) {
        let text = match node {
            Json::Object(map) => {
                for (key, child) in map {
                    let name = if name.is_empty() { key } else { format!("{name}.{key}") };
                    self.collect(name, child);
                }
                return;
            }
            Json::Null | Json::Array(_) => return,
            Json::String(text) => text,
            plain => plain.to_string(),
        };
        self.0.insert(name, Zeroizing::new(text));
    }

    /// The plain text of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|text| text.as_str())
    }

    /// Every name with its plain text.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }
}

impl fmt::Debug for Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dotted_paths_and_texts_are_never_printed() {
        let tree = serde_json::json!({"a": {"b": "hush", "port": 5432, "on": true, "gone": null}, "c": ""});
        let revealed = Revealed::from_json(tree);
        assert_eq!(revealed.get("a.b"), Some("hush"));
        assert_eq!(
            (revealed.get("a.port"), revealed.get("a.on"), revealed.get("c")),
            (Some("5432"), Some("true"), Some(""))
        );
        assert_eq!((revealed.get("a"), revealed.get("a.gone")), (None, None));
        assert_eq!(format!("{revealed:?}"), r#"{"a.b", "a.on", "a.port", "c"}"#);
    }
}
