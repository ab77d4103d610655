//! Two trees compared, field by field.

use serde_json::{Map, Value as Json};
use similar::{Algorithm, DiffTag, capture_diff_slices};

use super::veil::{self, Verdict};
use super::{Comparison, FieldChange, FieldDiff, Noise, SecretChange, keys, lines, noise};
use crate::definition::is_same_quantity;
use crate::secrets::MASK;

/// A walk over two trees at once.
pub(super) struct Walk<'a> {
    how: &'a Comparison<'a>,
    path: Vec<String>,
    found: Vec<FieldDiff>,
}

/// The fields in which two trees differ, in the order of the new one.
pub(super) fn fields(old: &Json, new: &Json, how: &Comparison<'_>) -> Vec<FieldDiff> {
    let mut walk = Walk { how, path: Vec::new(), found: Vec::new() };
    walk.values(old, new);
    walk.found
}

impl Walk<'_> {
    fn values(&mut self, old: &Json, new: &Json) {
        match (old, new) {
            (Json::Object(old), Json::Object(new)) => self.maps(old, new),
            (Json::Array(old), Json::Array(new)) => self.lists(old, new),
            (Json::String(a), Json::String(b)) => self.texts(a, b),
            _ if old == new || same_number(old, new) => {}
            _ => self.changed(old, new),
        }
    }

    fn maps(&mut self, old: &Map<String, Json>, new: &Map<String, Json>) {
        let none = noise::nothing(&self.path);
        let there = |map: &Map<String, Json>, key: &str| map.get(key).filter(|value| !none(key, value)).cloned();
        let gone = old.keys().filter(|key| !new.contains_key(*key));
        for key in new.keys().chain(gone) {
            let folded = noise::of_key(&self.path, key);
            self.path.push(key.clone());
            let before = self.found.len();
            self.optional(there(old, key).as_ref(), there(new, key).as_ref());
            if folded.is_some() {
                self.found[before..].iter_mut().for_each(|field| field.noise = folded);
            }
            self.path.pop();
        }
    }

    /// Nothing and `null` are the same to Kubernetes.
    fn optional(&mut self, old: Option<&Json>, new: Option<&Json>) {
        match (old, new) {
            (Some(old), Some(new)) => self.values(old, new),
            (None, Some(new)) => self.push(FieldChange::Added { new: self.how.new.value(new) }),
            (Some(old), None) => self.push(FieldChange::Removed { old: self.how.old.value(old) }),
            (None, None) => {}
        }
    }

    fn lists(&mut self, old: &[Json], new: &[Json]) {
        let name = self.path.last().cloned().unwrap_or_default();
        let Some((before, after)) = keys::keyed(&name, old, new) else { return self.sequence(old, new) };
        let find = |side: &keys::Keyed<'_>, name: &str| side.iter().find(|(n, _)| n == name).map(|(_, v)| (*v).clone());
        let gone = before.iter().filter(|(name, _)| find(&after, name).is_none());
        for (name, _) in after.iter().chain(gone) {
            self.path.push(format!("[{name}]"));
            self.optional(find(&before, name).as_ref(), find(&after, name).as_ref());
            self.path.pop();
        }
        if let Some([old, new]) = keys::reordered(&name, &before, &after) {
            let seen = |side: Vec<&str>, veil: &veil::Veil| side.into_iter().map(|name| veil.shown(name)).collect();
            self.push(FieldChange::Order { old: seen(old, self.how.old), new: seen(new, self.how.new) });
        }
    }

    /// Items without a key: the fewest that have to go and come; what stands in another's place is compared with it.
    fn sequence(&mut self, old: &[Json], new: &[Json]) {
        let texts = |side: &[Json], veil: &veil::Veil| -> Vec<String> {
            side.iter().map(|item| veil.told(&canonical(item))).collect()
        };
        let (before, after) = (texts(old, self.how.old), texts(new, self.how.new));
        for op in capture_diff_slices(Algorithm::Myers, &before, &after) {
            let (tag, from, to) = op.as_tag_tuple();
            if tag == DiffTag::Equal {
                continue;
            }
            for at in 0..from.len().max(to.len()) {
                let (a, b) = (from.clone().nth(at), to.clone().nth(at));
                self.path.push(format!("[{}]", b.or(a).unwrap_or(at)));
                self.optional(a.map(|a| &old[a]), b.map(|b| &new[b]));
                self.path.pop();
            }
        }
    }

    fn texts(&mut self, old: &str, new: &str) {
        if old == new && !veil::holds(old) {
            return;
        }
        match veil::compare(old, self.how.old, new, self.how.new) {
            Verdict::Same => {}
            Verdict::Unknown => self.not_compared(),
            Verdict::Differ if is_block(old) || is_block(new) => self.push(lines::lines(old, new, self.how)),
            Verdict::Differ => {
                let (old, new) = (Json::from(old), Json::from(new));
                self.changed(&old, &new);
            }
        }
    }

    fn changed(&mut self, old: &Json, new: &Json) {
        let tokens = |value: &Json| matches!(value, Json::String(text) if veil::holds(text));
        let shown = |veil: &veil::Veil, value: &Json, other: &Json| match value {
            // What stood where a secret comes in, or the other way round, may be the secret itself.
            Json::String(text) if tokens(other) && !veil::holds(text) => Json::from(MASK),
            value => veil.value(value),
        };
        let change = FieldChange::Changed { old: shown(self.how.old, old, new), new: shown(self.how.new, new, old) };
        self.push(change);
        if noise::holds_quantities(&self.path) && same_quantity(old, new) {
            self.fold(Noise::Quantity);
        }
    }

    fn not_compared(&mut self) {
        self.push(FieldChange::Secret { secret: SecretChange::NotCompared });
        self.fold(Noise::NotCompared);
    }

    fn push(&mut self, change: FieldChange) {
        // Two that look alike to people differ in a secret.
        let change = match change {
            FieldChange::Changed { old, new } if old == new => FieldChange::Secret { secret: SecretChange::Changed },
            change => change,
        };
        self.found.push(FieldDiff::new(path(&self.path), change, None));
    }

    fn fold(&mut self, noise: Noise) {
        if let Some(field) = self.found.last_mut() {
            field.noise = Some(noise);
        }
    }
}

/// A path as people write it; a key with dots or slashes stands in brackets.
pub(super) fn path(parts: &[String]) -> String {
    let mut text = String::new();
    for part in parts {
        let plain = !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
        match part.as_str() {
            item if item.starts_with('[') && item.ends_with(']') => text.push_str(item),
            key if plain && text.is_empty() => text.push_str(key),
            key if plain => text.extend([".", key]),
            key => text.extend(["[\"", key, "\"]"]),
        }
    }
    text
}

/// Whether a text reads better as lines.
fn is_block(text: &str) -> bool {
    text.trim_end_matches('\n').contains('\n')
}

fn same_number(old: &Json, new: &Json) -> bool {
    old.is_number() && new.is_number() && old.as_f64() == new.as_f64()
}

fn same_quantity(old: &Json, new: &Json) -> bool {
    let text = |value: &Json| match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    };
    text(old).zip(text(new)).is_some_and(|(old, new)| is_same_quantity(&old, &new))
}

/// JSON with sorted keys.
pub(super) fn canonical(value: &Json) -> String {
    match value {
        Json::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Json::Object(map) => {
            let mut entries: Vec<(&String, &Json)> = map.iter().filter(|(_, value)| !value.is_null()).collect();
            entries.sort_by_key(|(key, _)| *key);
            let text = |(key, value): (&String, &Json)| format!("{}:{}", Json::from(key.as_str()), canonical(value));
            format!("{{{}}}", entries.into_iter().map(text).collect::<Vec<_>>().join(","))
        }
        plain => plain.to_string(),
    }
}
