//! How the texts of one side look to people: secrets hidden, tokens as the names they stand for; and whether two texts
//! are the same where one of them holds tokens. Must not hold a secret in anything it gives out.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use crate::definition::{replace_tokens, tokens};
use crate::secrets::Masker;

/// How the texts of one side look to people.
#[derive(Default)]
pub struct Veil {
    masker: Masker,
    /// For each token the name of its secret, and what tells its value from another.
    tokens: BTreeMap<String, (String, String)>,
}

/// What two texts are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Same,
    Differ,
    /// One holds tokens where the other has values.
    Unknown,
}

impl Veil {
    /// A side whose secrets `masker` knows.
    pub fn new(masker: Masker) -> Veil {
        Veil { masker, tokens: BTreeMap::new() }
    }

    /// Makes a token known: the name of its secret, and what tells its value from another, such as its ciphertext.
    pub fn token(&mut self, token: &str, name: &str, version: &str) {
        self.tokens.insert(token.to_owned(), (name.to_owned(), version.to_owned()));
    }

    /// The text as people may see it.
    pub fn shown(&self, text: &str) -> String {
        let named = replace_tokens(text, |token| self.tokens.get(token).map(|(name, _)| format!("‹secret {name}›")));
        self.masker.hide(&named)
    }

    /// A value as people may see it.
    pub fn value(&self, value: &Json) -> Json {
        match value {
            Json::String(text) => Json::String(self.shown(text)),
            Json::Array(items) => Json::Array(items.iter().map(|item| self.value(item)).collect()),
            Json::Object(map) => Json::Object(map.iter().map(|(key, v)| (key.clone(), self.value(v))).collect()),
            plain => plain.clone(),
        }
    }

    /// The text with what tells its secrets' values from others.
    pub(super) fn told(&self, text: &str) -> String {
        replace_tokens(text, |token| {
            self.tokens.get(token).map(|(name, version)| format!("\u{1}{name}\u{1}{version}\u{1}"))
        })
    }
}

impl fmt::Debug for Veil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Veil").field("tokens", &self.tokens.keys()).finish_non_exhaustive()
    }
}

/// Compares a text of the old side with one of the new.
pub(super) fn compare(old: &str, old_veil: &Veil, new: &str, new_veil: &Veil) -> Verdict {
    let opened = [inside(old), inside(new)];
    let (old, new) = match &opened {
        [None, None] => (old, new),
        // Base64 of something with a token in it: the other is looked at the same way.
        [a, b] => match (a.as_deref().or(decoded(old).as_deref()), b.as_deref().or(decoded(new).as_deref())) {
            (Some(a), Some(b)) => return plain(a, old_veil, b, new_veil),
            _ => return Verdict::Differ,
        },
    };
    plain(old, old_veil, new, new_veil)
}

fn plain(old: &str, old_veil: &Veil, new: &str, new_veil: &Veil) -> Verdict {
    let same = match (holds(old), holds(new)) {
        (false, false) => old == new,
        (true, true) => old_veil.told(old) == new_veil.told(new),
        (false, true) => return fits_or_differs(new, old),
        (true, false) => return fits_or_differs(old, new),
    };
    if same { Verdict::Same } else { Verdict::Differ }
}

fn fits_or_differs(pattern: &str, text: &str) -> Verdict {
    if fits(pattern, text) { Verdict::Unknown } else { Verdict::Differ }
}

/// Whether a text holds tokens, as they are.
pub(super) fn holds(text: &str) -> bool {
    tokens(text).next().is_some()
}

/// What is inside base64, if there are tokens in it.
fn inside(text: &str) -> Option<String> {
    if text.len() < 48 || holds(text) {
        return None;
    }
    decoded(text).filter(|inner| holds(inner))
}

fn decoded(text: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok()
}

/// What stands around the tokens of a text.
pub(super) fn literals(pattern: &str) -> Vec<&str> {
    let (mut literals, mut rest) = (Vec::new(), pattern);
    for token in tokens(pattern) {
        if let Some((before, after)) = rest.split_once(token) {
            literals.push(before);
            rest = after;
        }
    }
    literals.push(rest);
    literals
}

/// Whether a text could be the other one with something in the place of its tokens.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let literals = literals(pattern);
    let [first, middle @ .., last] = literals.as_slice() else { return pattern == text };
    let Some(mut left) = text.strip_prefix(first).and_then(|left| left.strip_suffix(last)) else { return false };
    middle.iter().all(|literal| match left.split_once(literal) {
        Some((_, after)) => {
            left = after;
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::Revealed;

    const A: &str = "platctl-secret-0123456789abcdef0123456789abcdef";
    const B: &str = "platctl-secret-fedcba9876543210fedcba9876543210";

    fn veil(version: &str) -> Veil {
        let mut veil = Veil::default();
        veil.token(A, "db.password", version);
        veil
    }

    #[test]
    fn a_token_stands_for_its_secret() {
        let (old, new) = (veil("1"), veil("2"));
        assert_eq!(old.shown(&format!("pg://u:{A}@h")), "pg://u:‹secret db.password›@h");
        assert_eq!(compare(A, &old, A, &old), Verdict::Same);
        assert_eq!(compare(A, &old, A, &new), Verdict::Differ);
        assert_eq!(compare(A, &old, B, &new), Verdict::Differ);
    }

    #[test]
    fn a_value_against_a_token_can_not_be_told() {
        let (old, new) = (Veil::default(), veil("1"));
        for (value, text, expected) in [
            ("hush", A.to_owned(), Verdict::Unknown),
            ("pg://u:hush@h", format!("pg://u:{A}@h"), Verdict::Unknown),
            ("pg://u:hush@other", format!("pg://u:{A}@h"), Verdict::Differ),
            ("u:x,v:y.", format!("u:{A},v:{B}."), Verdict::Unknown),
            ("u:x;v:y.", format!("u:{A},v:{B}."), Verdict::Differ),
        ] {
            assert_eq!(compare(value, &old, &text, &new), expected, "{text}");
            let (packed, text) = (STANDARD.encode(value), STANDARD.encode(&text));
            assert_eq!(compare(&packed, &old, &text, &new), expected, "in base64: {value}");
        }
        assert_eq!(compare("?", &old, &STANDARD.encode(A), &new), Verdict::Differ);
    }

    #[test]
    fn known_secrets_are_hidden_everywhere() {
        let revealed = Revealed::from_json(serde_json::json!({"a": "hushhush"}));
        let veil = Veil::new(Masker::new(&revealed, &Default::default()));
        let value = serde_json::json!({"a": ["x hushhush y", {"b": "aHVzaGh1c2g="}], "c": 1});
        assert_eq!(veil.value(&value).to_string(), r#"{"a":["x ****** y",{"b":"******"}],"c":1}"#);
        assert_eq!(format!("{veil:?}"), "Veil { tokens: [], .. }");
    }
}
