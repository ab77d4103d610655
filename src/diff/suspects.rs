//! Texts of an old state that may be secrets: helm's record holds values in the clear, and of those that were rotated or
//! that nobody declares any more the definition can't say what they were. Whatever may be one is hidden. Must not show any.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use super::{sealed, veil};
use crate::object::Stream;

/// Words in the names of keys that hold secrets.
const TELLING: [&str; 9] =
    ["password", "passwd", "passphrase", "secret", "token", "credential", "apikey", "accesskey", "privatekey"];
/// The shortest text that is hidden although nothing but its absence speaks for it. Short ones are ports, tags and flags.
const SHORTEST: usize = 8;

/// The texts in the values of before that may be secrets. Those in whose place there are tokens now are; those that are
/// gone may be, and so may any under a telling name.
pub fn suspects(before: &Json, now: Option<&Json>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect("", before, now, &mut found);
    found
}

fn collect(key: &str, before: &Json, now: Option<&Json>, found: &mut BTreeSet<String>) {
    let text = match before {
        Json::Object(map) => {
            return map.iter().for_each(|(key, value)| collect(key, value, now.and_then(|now| now.get(key)), found));
        }
        Json::Array(items) => {
            let item = |(at, value)| collect(key, value, now.and_then(|now| now.get(at)), found);
            return items.iter().enumerate().for_each(item);
        }
        Json::String(text) => text.clone(),
        Json::Number(number) => number.to_string(),
        Json::Null | Json::Bool(_) => return,
    };
    match now {
        Some(Json::String(pattern)) if veil::holds(pattern) => known(pattern, text, found),
        Some(now) if now == before => {}
        _ if is_telling(key) => _ = found.insert(text),
        None if before.is_string() && text.len() >= SHORTEST => _ = found.insert(text),
        _ => {}
    }
}

/// What stands where there are tokens now, as a whole and by its parts, decoded where it was encoded.
fn known(pattern: &str, text: String, found: &mut BTreeSet<String>) {
    let mut left = text.as_str();
    for literal in veil::literals(pattern).into_iter().filter(|literal| !literal.is_empty()) {
        if let Some((part, after)) = left.split_once(literal) {
            plain(part, found);
            left = after;
        }
    }
    plain(left, found);
    found.insert(text);
}

fn plain(part: &str, found: &mut BTreeSet<String>) {
    if let Some(inner) = STANDARD.decode(part).ok().and_then(|bytes| String::from_utf8(bytes).ok()) {
        found.insert(inner);
    }
    if let Ok(inner) = serde_json::from_str::<String>(&format!("\"{part}\"")) {
        found.insert(inner);
    }
    let decoded =
        url::form_urlencoded::parse(part.replace('+', "%2B").as_bytes()).next().map(|(key, _)| key.into_owned());
    found.extend(decoded.filter(|_| part.contains('%') && !part.contains(['&', '='])));
    found.insert(part.to_owned());
}

fn is_telling(key: &str) -> bool {
    let key: String = key.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    TELLING.iter().any(|word| key.contains(word))
}

/// The entries of a stream's Secrets, as texts: they may stand in other objects too.
pub fn secret_entries(stream: &Stream) -> BTreeSet<String> {
    let secrets = stream.objects.iter().filter(|object| object.kind == "Secret");
    let entries = secrets.flat_map(|object| sealed::entries(&mut object.node.to_json()).into_values());
    entries
        .filter_map(|bytes| String::from_utf8(bytes).ok())
        .filter(|text| text.len() >= SHORTEST && !veil::holds(text))
        .collect()
}

/// The texts that values spell out: they are no secrets.
pub fn spelled_out(values: &Json) -> BTreeSet<String> {
    match values {
        Json::Object(map) => map.values().flat_map(spelled_out).collect(),
        Json::Array(items) => items.iter().flat_map(spelled_out).collect(),
        Json::String(text) if !veil::holds(text) => [text.clone()].into(),
        Json::Number(number) => [number.to_string()].into(),
        _ => BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TOKEN: &str = "platctl-secret-0123456789abcdef0123456789abcdef";

    #[test]
    fn what_stood_where_tokens_are_is_one() {
        let before =
            json!({"a": {"url": "pg://u:p%2Fw-hush@h/db", "b64": STANDARD.encode("hush")}, "port": 5432, "tag": "1.0"});
        let now = json!({"a": {"url": format!("pg://u:{TOKEN}@h/db"), "b64": TOKEN}, "port": 5432, "tag": "1.1"});
        let found = suspects(&before, Some(&now));
        for text in ["p%2Fw-hush", "p/w-hush", "hush", "pg://u:p%2Fw-hush@h/db"] {
            assert!(found.contains(text), "{text} is not in {found:?}");
        }
        assert!(!found.contains("1.0") && !found.contains("5432"));
    }

    #[test]
    fn what_is_gone_may_be_one_and_telling_names_are_believed() {
        let before = json!({"gone": "hushhush", "short": "8080", "list": [{"apiKey": "abc"}], "adminPassword": 1234, "on": true});
        let found = suspects(&before, None);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["1234", "abc", "hushhush"]);
        let now = json!({"gone": "hushhush", "list": [{"apiKey": "other"}], "adminPassword": 1234});
        assert_eq!(suspects(&before, Some(&now)).into_iter().collect::<Vec<_>>(), ["abc"]);
    }

    #[test]
    fn entries_of_secrets_and_what_is_spelled_out() {
        let text = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{a: hushhush, b: short, c: {TOKEN}}}\n"
        );
        let entries = secret_entries(&Stream::parse(text).unwrap());
        assert_eq!(entries.into_iter().collect::<Vec<_>>(), ["hushhush"]);
        let plain = spelled_out(&json!({"a": ["x", TOKEN], "b": 5}));
        assert_eq!(plain.into_iter().collect::<Vec<_>>(), ["5", "x"]);
    }
}
