//! A field's difference as lines.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use super::bounded;
use super::rows::{Drawing, Mark};
use crate::diff::{FieldChange, FieldDiff, Hunk, Line, Noise, SecretChange, Sign};
use crate::yaml;

/// The longest that old and new stand on one line.
const WIDE: usize = 88;

impl Drawing<'_> {
    /// Everything there is to say of a field.
    pub(super) fn field(&mut self, field: &FieldDiff) {
        let mut path = field.path.clone();
        if !field.owners.is_empty() {
            path.push_str(&format!("  (set by {})", field.owners.join(", ")));
        }
        let size = |value: &Json| field.path.starts_with("binaryData").then(|| size(value)).flatten();
        match &field.change {
            FieldChange::Added { new: value } | FieldChange::Removed { old: value } if size(value).is_some() => {
                let mark = if matches!(field.change, FieldChange::Added { .. }) { Mark::Added } else { Mark::Removed };
                self.push(1, mark, format!("{path}  binary, {} B", size(value).unwrap_or_default()));
            }
            FieldChange::Changed { old, new } if size(old).is_some() && size(new).is_some() => {
                let [old, new] = [old, new].map(|value| size(value).unwrap_or_default());
                self.push(1, Mark::Changed, format!("{path}  binary, {old} B → {new} B"));
            }
            FieldChange::Added { new } => self.one(&path, Mark::Added, new),
            FieldChange::Removed { old } => self.one(&path, Mark::Removed, old),
            FieldChange::Changed { old, new } => self.two(&path, field, old, new),
            FieldChange::Secret { secret } => {
                let (mark, what) = match secret {
                    SecretChange::Added => (Mark::Added, "new secret value"),
                    SecretChange::Removed => (Mark::Removed, "secret value gone"),
                    SecretChange::Changed => (Mark::Changed, "secret value changed"),
                    SecretChange::NotCompared => (Mark::Plain, "secret value not compared"),
                };
                self.push(1, mark, format!("{path}  {what}"));
            }
            FieldChange::Order { old, new } => {
                let (old, new) = self.bounded(&old.join(", "), &new.join(", "));
                self.push(1, Mark::Changed, format!("{path}  order: {old} → {new}"));
            }
            FieldChange::LineEnds { old, new } => {
                self.push(1, Mark::Changed, format!("{path}  line ends changed: {old} → {new}"));
            }
            FieldChange::Lines { hunks } => {
                self.push(1, Mark::Changed, path);
                hunks.iter().for_each(|hunk| self.hunk(hunk));
            }
        }
    }

    fn hunk(&mut self, hunk: &Hunk) {
        self.push(2, Mark::Plain, format!("@@ line {} @@", hunk.new));
        let texts: Vec<String> = hunk.lines.iter().map(|line| self.names.shown(&line.text)).collect();
        for ((line, text), other) in hunk.lines.iter().zip(&texts).zip(counterparts(&hunk.lines)) {
            let mark = match line.sign {
                Sign::Added => Mark::Added,
                Sign::Removed => Mark::Removed,
                Sign::Same => Mark::Plain,
            };
            let text = match other.and_then(|at| texts.get(at)) {
                Some(other) => self.bounded(text, other).0,
                None => self.cut(text),
            };
            self.push(2, mark, text);
        }
    }

    /// A long text by its beginning; with `-v` all of it.
    fn cut(&self, text: &str) -> String {
        if self.verbose { text.to_owned() } else { bounded::one(text) }
    }

    /// Long texts by what differs; with `-v` all of them.
    fn bounded(&self, old: &str, new: &str) -> (String, String) {
        if self.verbose { (old.to_owned(), new.to_owned()) } else { bounded::both(old, new) }
    }

    fn one(&mut self, path: &str, mark: Mark, value: &Json) {
        let flat = self.names.shown(&flat(value));
        if path.chars().count() + flat.chars().count() <= WIDE && !flat.contains('\n') {
            return self.push(1, mark, format!("{path}  {flat}"));
        }
        self.push(1, mark, path);
        let text = self.yaml(value);
        text.lines().for_each(|line| self.push(2, mark, self.cut(line)));
    }

    fn two(&mut self, path: &str, field: &FieldDiff, old: &Json, new: &Json) {
        let (old, new) = self.names.both(&flat(old), &flat(new));
        let (old, new) = self.bounded(&old, &new);
        let why = match field.noise {
            Some(Noise::Autoscaler) => "  (the autoscaler's, it stays)",
            _ => "",
        };
        if path.chars().count() + old.chars().count() + new.chars().count() <= WIDE {
            return self.push(1, Mark::Changed, format!("{path}  {old} → {new}{why}"));
        }
        self.push(1, Mark::Changed, format!("{path}{why}"));
        self.push(2, Mark::Removed, old);
        self.push(2, Mark::Added, new);
    }
}

/// Where the line stands that takes the place of each, or whose place it takes.
fn counterparts(lines: &[Line]) -> Vec<Option<usize>> {
    let mut others = vec![None; lines.len()];
    let run = |at: usize, sign: Sign| lines[at..].iter().take_while(|line| line.sign == sign).count();
    let mut at = 0;
    while at < lines.len() {
        let removed = run(at, Sign::Removed);
        let added = run(at + removed, Sign::Added);
        for n in 0..removed.min(added) {
            others[at + n] = Some(at + removed + n);
            others[at + removed + n] = Some(at + n);
        }
        at += (removed + added).max(1);
    }
    others
}

/// How many bytes base64 stands for, if it is any.
fn size(value: &Json) -> Option<usize> {
    STANDARD.decode(value.as_str()?.trim()).ok().map(|bytes| bytes.len())
}

/// A value on one line: texts without quotes where nothing else could be meant.
fn flat(value: &Json) -> String {
    match value {
        Json::String(text) if is_plain(text) => text.clone(),
        Json::Array(items) => format!("[{}]", items.iter().map(flat).collect::<Vec<_>>().join(", ")),
        Json::Object(map) => {
            let entries: Vec<String> = map.iter().map(|(key, value)| format!("{key}: {}", flat(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        plain => plain.to_string(),
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && !text.contains(char::is_control) && !yaml::plain_needs_quotes(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::commands::diff::{Names, release, rows};
    use crate::diff::{Comparison, ReleaseDiff, Veil, object};

    fn shown(old: Json, new: Json) -> Vec<String> {
        let veil = Veil::default();
        let how = Comparison { namespace: "", old: &veil, new: &veil, context: 3 };
        let map = |part: Json| {
            let mut map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}});
            map.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
            map
        };
        let objects = object(Some(map(old)), Some(map(new)), &how).into_iter().collect();
        let release = ReleaseDiff { objects, ..release::empty() };
        rows::rows(&release, &Names::default(), false).into_iter().skip(1).map(|row| row.text).collect()
    }

    #[test]
    fn what_a_text_holds_does_nothing_to_a_terminal() {
        assert_eq!(
            shown(json!({"data": {"f": "a\nb\n"}}), json!({"data": {"f": "a\n\u{1b}[31mb\u{202e}\n"}})),
            ["data.f", "@@ line 1 @@", "a", "b", "\\u001b[31mb\\u202e"]
        );
    }

    #[test]
    fn long_values_are_shown_where_they_change() {
        let long = |middle: &str| format!("{{{}{middle}{}}}", "a".repeat(150_000), "b".repeat(150_000));
        let data = |text: String| json!({"data": {"f": text}});
        let told =
            [shown(data(long("1")), data(long("2"))), shown(data(long("1") + "\nx\n"), data(long("2") + "\nx\n"))];
        for rows in told {
            let changed: Vec<&String> = rows.iter().filter(|row| row.contains("300003 characters")).collect();
            assert!(changed.len() == 2 && changed[0].contains("a1b") && changed[1].contains("a2b"), "{rows:?}");
            assert!(rows.iter().all(|row| row.len() < 500), "{rows:?}");
        }
        let gone = shown(data(long("1")), json!({}));
        assert!(gone.iter().all(|row| row.len() < 500) && gone[1].contains("characters)"), "{gone:?}");
    }

    #[test]
    fn of_binary_data_the_size_is_told() {
        let data = |bytes: &[u8]| json!({"binaryData": {"logo.png": STANDARD.encode(bytes), "same": "AAAA"}});
        assert_eq!(shown(data(&[0; 1800]), data(&[1; 1801])), ["binaryData[\"logo.png\"]  binary, 1800 B → 1801 B"]);
        let rest = json!({"binaryData": {"same": "AAAA"}});
        assert_eq!(shown(data(&[0; 9]), rest), ["binaryData[\"logo.png\"]  binary, 9 B"]);
    }
}
