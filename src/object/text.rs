//! Texts inside scalars, any number of times inside each other: YAML in a ConfigMap, a file in base64 in a Secret. What
//! stands in one is changed there and nowhere else. Must not know what is looked for.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::yaml::Span;

/// How a scalar holds its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Plain,
    /// Base64.
    Base64,
}

/// The text of a scalar.
#[derive(Debug, PartialEq, Eq)]
pub struct Text {
    home: Home,
    span: Span,
    encoding: Encoding,
    value: String,
}

/// An object, and the places of scalars on the way down from it.
type Way = (usize, Vec<(u32, u32)>);

/// What a scalar is a part of.
#[derive(Debug, PartialEq, Eq)]
enum Home {
    /// An object, by its index in its stream.
    Object(usize),
    /// A document inside another scalar.
    Text(Arc<Text>),
}

/// A replacement of a part of a scalar's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The text.
    pub text: Arc<Text>,
    /// Its part, in bytes.
    pub range: Range<usize>,
    /// What stands there after it.
    pub value: String,
}

/// Two edits that want the same place to become something else each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("one text would have to become two")]
pub struct Conflict;

impl Text {
    /// The text of a scalar of an object.
    pub fn of_object(object: usize, span: Span, encoding: Encoding, value: String) -> Arc<Text> {
        Arc::new(Text { home: Home::Object(object), span, encoding, value })
    }

    /// The text of a scalar of a document that is itself the text of a scalar.
    pub fn within(self: &Arc<Text>, span: Span, encoding: Encoding, value: String) -> Arc<Text> {
        Arc::new(Text { home: Home::Text(Arc::clone(self)), span, encoding, value })
    }

    /// The text itself.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Where it is; texts that an alias repeats are one.
    fn way(&self) -> Way {
        let own = (self.span.start, self.span.end);
        match &self.home {
            Home::Object(object) => (*object, vec![own]),
            Home::Text(text) => {
                let (object, mut way) = text.way();
                way.push(own);
                (object, way)
            }
        }
    }

    /// How the scalar is written with another text.
    fn written(&self, value: &str) -> String {
        let value = match self.encoding {
            Encoding::Plain => value.to_owned(),
            Encoding::Base64 => STANDARD.encode(value),
        };
        match &self.home {
            Home::Object(_) => quoted(&value),
            // What reads such a text may be no YAML reader: it keeps its look where that is possible.
            Home::Text(text) => as_before(&text.value[self.span.start as usize..self.span.end as usize], &value),
        }
    }
}

/// A text out of base64, as Kubernetes reads it; none if it is no text.
pub fn decoded(base64: &str) -> Option<String> {
    let broken = base64.contains(char::is_whitespace);
    let bytes =
        if broken { STANDARD.decode(base64.split_whitespace().collect::<String>()) } else { STANDARD.decode(base64) };
    String::from_utf8(bytes.ok()?).ok()
}

/// A scalar of an object and what it becomes, as it is written in the object's document.
pub(super) type Splice = (Range<usize>, String);

/// Texts with what is replaced in them; the deepest come first, because what they become is an edit of the text around
/// them.
#[derive(Default)]
struct Open(BTreeMap<(Reverse<usize>, Way), Edited>);

/// A text with what is replaced in it.
type Edited = (Arc<Text>, Vec<Splice>);

impl Open {
    fn add(&mut self, text: &Arc<Text>, splice: Splice) {
        let way = text.way();
        let key = (Reverse(way.1.len()), way);
        self.0.entry(key).or_insert_with(|| (Arc::clone(text), Vec::new())).1.push(splice);
    }
}

/// What edits come to for the scalars of objects.
pub(super) fn spliced(edits: &[Edit]) -> Result<BTreeMap<usize, Vec<Splice>>, Conflict> {
    let mut open = Open::default();
    edits.iter().for_each(|edit| open.add(&edit.text, (edit.range.clone(), edit.value.clone())));
    let mut objects: BTreeMap<usize, Vec<Splice>> = BTreeMap::new();
    while let Some((_, (text, splices))) = open.0.pop_first() {
        let value = splice(&text.value, splices)?;
        let place = text.span.start as usize..text.span.end as usize;
        let written = text.written(&value);
        match &text.home {
            Home::Object(object) => objects.entry(*object).or_default().push((place, written)),
            Home::Text(outer) => open.add(outer, (without_end(&outer.value, place), written)),
        }
    }
    Ok(objects)
}

/// A text with parts of it replaced.
pub(super) fn splice(text: &str, mut splices: Vec<Splice>) -> Result<String, Conflict> {
    splices.sort_by_key(|(range, _)| (range.start, range.end));
    splices.dedup();
    let mut out = String::with_capacity(text.len() + splices.len() * 64);
    let mut at = 0;
    for (range, value) in splices {
        out.push_str(text.get(at..range.start).ok_or(Conflict)?);
        out.push_str(&value);
        at = range.end;
    }
    out.push_str(text.get(at..).ok_or(Conflict)?);
    Ok(out)
}

/// A scalar's place without the line breaks at its end, which belong to what stands around it.
pub(super) fn without_end(text: &str, place: Range<usize>) -> Range<usize> {
    let end = place.start + text[place.clone()].trim_end_matches(['\n', '\r', ' ', '\t']).len();
    place.start..end
}

/// A value in the style its scalar had, if it needs no more than that; else quoted.
fn as_before(raw: &str, value: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "._/:@=+-".contains(c);
    let plain = value.starts_with(|c: char| c.is_ascii_alphanumeric()) && !value.ends_with(':');
    match raw.trim_end().chars().next() {
        Some('\'') if value.chars().all(harmless) => format!("'{value}'"),
        Some(c) if c.is_ascii_alphanumeric() && plain && value.chars().all(harmless) => value.to_owned(),
        _ => quoted(value),
    }
}

/// JSON's quoting is also YAML's double quoting, but for characters that YAML takes for line breaks or refuses.
fn quoted(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    for c in serde_json::Value::from(value).to_string().chars() {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                out.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Stream;
    use crate::yaml::{Node, parse_generated};

    fn find<'n>(node: &'n Node, path: &[&str]) -> &'n Node {
        path.iter().fold(node, |node, key| node.get(key).unwrap())
    }

    fn replace(text: &Arc<Text>, part: &str, value: &str) -> Edit {
        let start = text.value().find(part).unwrap();
        Edit { text: Arc::clone(text), range: start..start + part.len(), value: value.to_owned() }
    }

    const INNER: &str =
        "# kept\na: 'x:1'\nb: x:1 # kept too\nc: |\n  run x:1\n  é\u{85}\n\nd: {e: x:1, f: \"\\tx:1\"}\n";

    fn object(scalar: &str) -> String {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata:\n  t: {scalar}\n  u: \"x:1\" # end\n")
    }

    fn after(stream: &Stream, edits: &[Edit]) -> (String, String, String) {
        let text = stream.edited(edits).unwrap();
        let again = Stream::parse(text.clone()).unwrap();
        let value = |key| find(&again.objects[0].node, &["data", key]).as_str().unwrap().to_owned();
        (value("t"), value("u"), text)
    }

    #[test]
    fn parts_of_texts_inside_texts() {
        let block = format!("|\n    {}\n", INNER.trim_end().replace('\n', "\n    "));
        for (scalar, encoding) in [
            (block, Encoding::Plain),
            (quoted(INNER), Encoding::Plain),
            (format!("{}\n", STANDARD.encode(INNER)), Encoding::Base64),
            (
                format!("|\n    {}\n    {}\n", &STANDARD.encode(INNER)[..40], &STANDARD.encode(INNER)[40..]),
                Encoding::Base64,
            ),
        ] {
            let stream = Stream::parse(object(&scalar)).unwrap();
            let node = find(&stream.objects[0].node, &["data", "t"]);
            let outer = Text::of_object(0, node.span, encoding, INNER.to_owned());
            let inner = parse_generated("inner", INNER).unwrap();
            let edit = |path: &[&str]| {
                let node = find(&inner, path);
                let text = outer.within(node.span, Encoding::Plain, node.as_str().unwrap().to_owned());
                replace(&text, "x:1", "r:5000/x@y")
            };
            let edits: Vec<Edit> = [vec!["a"], vec!["b"], vec!["c"], vec!["d", "e"], vec!["d", "f"], vec!["a"]]
                .iter()
                .map(|path| edit(path))
                .collect();
            let (t, u, text) = after(&stream, &edits);
            let t =
                if encoding == Encoding::Base64 { String::from_utf8(STANDARD.decode(t).unwrap()).unwrap() } else { t };
            let expected = "# kept\na: 'r:5000/x@y'\nb: r:5000/x@y # kept too\nc: \"run r:5000/x@y\\né\\u0085\\n\"\n\n\
                d: {e: r:5000/x@y, f: \"\\tr:5000/x@y\"}\n";
            assert_eq!(t, expected, "{scalar}");
            assert_eq!(u, "x:1");
            assert!(text.ends_with("u: \"x:1\" # end\n"), "{text}");
            let before = inner.to_json().to_string();
            let now = parse_generated("inner", &t).unwrap().to_json().to_string();
            assert_eq!(now, before.replace("x:1", "r:5000/x@y"));
        }
    }

    #[test]
    fn one_text_never_becomes_two() {
        let stream = Stream::parse(object("x:1")).unwrap();
        let node = find(&stream.objects[0].node, &["data", "t"]);
        let text = Text::of_object(0, node.span, Encoding::Plain, "x:1".into());
        let (one, other) = (replace(&text, "x:1", "a"), replace(&text, ":1", "b"));
        assert_eq!(after(&stream, &[one.clone(), one.clone()]).0, "a");
        assert_eq!(stream.edited(&[one, other]), Err(Conflict));
    }
}
