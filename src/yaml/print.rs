//! From tree to text, so that reading it again gives the same tree: block style, keys in their order, texts in quotes
//! only where they need them. Must not decide what is printed.

use std::fmt::Write as _;

use super::{Entry, Node, Value, plain_needs_quotes};

/// A tree as YAML text; the same tree gives the same text.
pub fn print(node: &Node) -> String {
    let mut text = String::new();
    match &node.value {
        Value::Map(map) if !map.0.is_empty() => entries(&mut text, &map.0, 0),
        Value::List(list) if !list.is_empty() => items(&mut text, list, 0),
        plain => {
            scalar(&mut text, plain, 0);
            text.push('\n');
        }
    }
    text
}

fn entries(text: &mut String, entries: &[Entry], indent: usize) {
    for (i, entry) in entries.iter().enumerate() {
        if i > 0 {
            pad(text, indent);
        }
        text.push_str(&key(&entry.key));
        text.push(':');
        below(text, &entry.node, indent);
    }
}

/// What follows a key.
fn below(text: &mut String, node: &Node, indent: usize) {
    match &node.value {
        Value::Map(map) if !map.0.is_empty() => {
            text.push('\n');
            pad(text, indent + 2);
            entries(text, &map.0, indent + 2);
        }
        Value::List(list) if !list.is_empty() => {
            text.push('\n');
            pad(text, indent);
            items(text, list, indent);
        }
        plain => {
            text.push(' ');
            scalar(text, plain, indent + 2);
            text.push('\n');
        }
    }
}

fn items(text: &mut String, list: &[Node], indent: usize) {
    for (i, item) in list.iter().enumerate() {
        if i > 0 {
            pad(text, indent);
        }
        text.push_str("- ");
        match &item.value {
            Value::Map(map) if !map.0.is_empty() => entries(text, &map.0, indent + 2),
            Value::List(list) if !list.is_empty() => items(text, list, indent + 2),
            plain => {
                scalar(text, plain, indent + 2);
                text.push('\n');
            }
        }
    }
}

fn pad(text: &mut String, indent: usize) {
    text.extend(std::iter::repeat_n(' ', indent));
}

fn key(key: &str) -> String {
    if is_plain(key) && key != "<<" { key.to_owned() } else { quoted(key) }
}

fn scalar(text: &mut String, value: &Value, indent: usize) {
    let _ = match value {
        Value::Null => write!(text, "null"),
        Value::Bool(b) => write!(text, "{b}"),
        Value::Int(i) => write!(text, "{i}"),
        Value::Float(f) => write!(text, "{}", float(*f)),
        Value::List(_) => write!(text, "[]"),
        Value::Map(_) => write!(text, "{{}}"),
        Value::String(string) if is_plain(string) => write!(text, "{string}"),
        Value::String(string) if is_block(string) => {
            block(text, string, indent);
            Ok(())
        }
        Value::String(string) => write!(text, "{}", quoted(string)),
    };
}

/// A number that is read as a float again.
fn float(f: f64) -> String {
    let text = format!("{f:?}");
    if text.contains(['.', 'e']) { text } else { format!("{text}.0") }
}

/// Whether a text may stand without quotes.
fn is_plain(text: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || "._-/:@+=,%() *&!?'\"<>|;$~^".contains(c);
    let first = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '(' | '+' | '$' | '^');
    text.chars().all(inside)
        && text.starts_with(first)
        && !text.ends_with([':', ' '])
        && !text.contains(": ")
        && !text.starts_with("...")
        && !plain_needs_quotes(text)
}

/// Whether a text reads better as lines.
fn is_block(text: &str) -> bool {
    let printable =
        |c: char| c == '\n' || c == '\t' || (!c.is_control() && !matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}'));
    let lines = || text.split('\n');
    text.trim_end_matches('\n').contains('\n')
        && text.chars().all(printable)
        && !text.starts_with(['\n', ' ', '\t'])
        && lines().all(|line| !line.ends_with([' ', '\t']) && !line.starts_with('\t'))
}

fn block(text: &mut String, string: &str, indent: usize) {
    let body = string.trim_end_matches('\n');
    let newlines = string.len() - body.len();
    text.push_str(match newlines {
        0 => "|-",
        1 => "|",
        _ => "|+",
    });
    for line in body.split('\n') {
        text.push('\n');
        if !line.is_empty() {
            pad(text, indent);
            text.push_str(line);
        }
    }
    text.extend(std::iter::repeat_n('\n', newlines.saturating_sub(1)));
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        let _ = match c {
            '"' => write!(quoted, "\\\""),
            '\\' => write!(quoted, "\\\\"),
            '\n' => write!(quoted, "\\n"),
            '\t' => write!(quoted, "\\t"),
            '\r' => write!(quoted, "\\r"),
            c if c.is_control() || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}') => {
                write!(quoted, "\\u{:04x}", c as u32)
            }
            c => write!(quoted, "{c}"),
        };
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse_generated;

    #[test]
    fn what_is_printed_reads_the_same_again() {
        let text = "a: 1\nb:\n  c: [x, {d: e, f: []}, [1, [2]], \"\"]\n  g: {}\nh: \"yes\"\ni: 1.0\nj: null\n\
                    k: |\n  two\n\n    lines\nl: |+\n  x\n  y\n\nm: \" x\"\n\"n: o\": \"p #q\"\n\"1\": true\n\
                    o: \"- x\"\np: \"a\\u0085\\u0000b\"\nq: \"*x\"\nr: 1e20\n";
        let node = parse_generated("t", text).unwrap();
        let printed = print(&node);
        let again = parse_generated("printed", &printed).unwrap();
        assert_eq!(again.to_json(), node.to_json(), "{printed}");
        assert_eq!(print(&again), printed);
        assert!(
            printed.starts_with("a: 1\nb:\n  c:\n  - x\n  - d: e\n    f: []\n  - - 1\n    - - 2\n  - \"\"\n  g: {}\n"),
            "{printed}"
        );
    }

    #[test]
    fn any_text_survives() {
        for text in [
            "",
            " ",
            "\n",
            "x\n",
            "\n\nx",
            "x\ny ",
            "\tx\n y",
            "a\r\nb",
            "---",
            "...",
            "? x",
            "!x",
            "%x",
            "\u{feff}x",
            "x #y",
            "x: y",
            "=",
            "<<",
            "~",
            "0o7",
            "'",
            "a\n---\nb\n",
            "a\n...\nb",
        ] {
            let node = Node::new(Value::String(text.to_owned()), Default::default());
            let printed = format!("k: {}", print(&node));
            // A block in its own document stands further in than the key.
            let tree = Node::new(
                Value::Map(crate::yaml::Map(vec![Entry { key: "k".into(), key_span: Default::default(), node }])),
                Default::default(),
            );
            let read = parse_generated("t", &print(&tree)).unwrap();
            assert_eq!(read.get("k").unwrap().as_str(), Some(text), "{printed}");
        }
    }
}
