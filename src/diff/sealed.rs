//! Objects of kind Secret: which entries differ, by name. No value of theirs is ever given out.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json};

use super::veil::{self, Verdict};
use super::{Comparison, FieldChange, FieldDiff, Noise, SecretChange};

/// Whether an object is a Secret.
pub(super) fn is_secret(object: &Json) -> bool {
    object["apiVersion"] == "v1" && object["kind"] == "Secret"
}

/// Takes the entries of a Secret out of its object, decoded. `stringData` wins, as it does for the API server.
pub(super) fn entries(object: &mut Json) -> BTreeMap<String, Vec<u8>> {
    let mut entries = BTreeMap::new();
    let Some(map) = object.as_object_mut() else { return entries };
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let taken = |map: &mut Map<String, Json>, key| match map.shift_remove(key) {
        Some(Json::Object(taken)) => taken,
        _ => Map::new(),
    };
    for (key, value) in taken(map, "data") {
        let text = text(&value);
        // What is no base64 is a mistake of the chart's, and not for eyes either.
        let bytes = STANDARD.decode(text.replace(['\n', ' '], "")).unwrap_or_else(|_| text.into_bytes());
        entries.insert(key, bytes);
    }
    entries.extend(taken(map, "stringData").into_iter().map(|(key, value)| (key, text(&value).into_bytes())));
    entries
}

/// Which entries differ.
pub(super) fn fields(
    old: &BTreeMap<String, Vec<u8>>,
    new: &BTreeMap<String, Vec<u8>>,
    how: &Comparison<'_>,
) -> Vec<FieldDiff> {
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    let field = |key: &String| {
        let secret = match (old.get(key), new.get(key)) {
            (None, _) => SecretChange::Added,
            (_, None) => SecretChange::Removed,
            (Some(old), Some(new)) => compare(old, new, how)?,
        };
        let noise = (secret == SecretChange::NotCompared).then_some(Noise::NotCompared);
        let path = super::fields::path(&["data".to_owned(), key.clone()]);
        Some(FieldDiff::new(path, FieldChange::Secret { secret }, noise))
    };
    new.keys().chain(gone).filter_map(field).collect()
}

fn compare(old: &[u8], new: &[u8], how: &Comparison<'_>) -> Option<SecretChange> {
    let verdict = match (std::str::from_utf8(old), std::str::from_utf8(new)) {
        (Ok(old), Ok(new)) => veil::compare(old, how.old, new, how.new),
        _ if old == new => Verdict::Same,
        _ => Verdict::Differ,
    };
    match verdict {
        Verdict::Same => None,
        Verdict::Differ => Some(SecretChange::Changed),
        Verdict::Unknown => Some(SecretChange::NotCompared),
    }
}
