//! Paths into values, as people write them: `mlflow.hosts[0]`, `labels."app.kubernetes.io/name"`, `a['k']`. Must not
//! know where values come from.

use std::fmt;
use std::str::FromStr;

use crate::yaml::{Node, Value};

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// To the value of a key.
    Key(String),
    /// To an item of a list, from 0.
    Item(usize),
}

/// A way down from the top of some values.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(pub Vec<Step>);

/// A text that is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a path: `{text}`: {reason}")]
pub struct InvalidPath {
    text: String,
    reason: &'static str,
}

impl Path {
    /// What stands at the path, if anything does.
    pub fn find<'n>(&self, node: &'n Node) -> Option<&'n Node> {
        self.0.iter().try_fold(node, |node, step| step.of(node))
    }

    /// The path with one more step.
    pub fn join(&self, step: Step) -> Path {
        let mut path = self.clone();
        path.0.push(step);
        path
    }
}

impl Step {
    /// What stands one step below a node.
    pub fn of<'n>(&self, node: &'n Node) -> Option<&'n Node> {
        match (self, &node.value) {
            (Step::Key(key), Value::Map(map)) => map.get(key),
            (Step::Item(i), Value::List(items)) => items.get(*i),
            _ => None,
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Item(item) => write!(f, "[{item}]")?,
                Step::Key(key) => {
                    if i > 0 {
                        f.write_str(".")?;
                    }
                    match plain(key) {
                        true => f.write_str(key)?,
                        false => write!(f, "\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""))?,
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether a key needs no quotes in a path.
fn plain(key: &str) -> bool {
    !key.is_empty() && !key.contains(|c: char| matches!(c, '.' | '[' | ']' | '"' | '\'' | '\\') || c.is_whitespace())
}

impl FromStr for Path {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Path, InvalidPath> {
        let wrong = |reason| InvalidPath { text: text.to_owned(), reason };
        let mut path = Path::default();
        let mut rest = text;
        while !rest.is_empty() {
            let (step, after) = match rest.strip_prefix('[') {
                Some(inner) => bracket(inner).map_err(wrong)?,
                None => {
                    let key = match (rest.strip_prefix('.'), path.0.is_empty()) {
                        (Some(after), false) => after,
                        (None, true) => rest,
                        _ => return Err(wrong("keys are set apart by single dots")),
                    };
                    key_step(key).map_err(wrong)?
                }
            };
            path.0.push(step);
            rest = after;
        }
        if path.0.is_empty() { Err(wrong("it is empty")) } else { Ok(path) }
    }
}

/// A key, in quotes or plain, and what follows it.
fn key_step(text: &str) -> Result<(Step, &str), &'static str> {
    if text.starts_with(['"', '\'']) {
        let (key, after) = quoted(text)?;
        return Ok((Step::Key(key), after));
    }
    let end = text.find(['.', '[']).unwrap_or(text.len());
    if end == 0 {
        return Err("a key is missing");
    }
    Ok((Step::Key(text[..end].to_owned()), &text[end..]))
}

/// What stands in brackets: a number or a key in quotes.
fn bracket(text: &str) -> Result<(Step, &str), &'static str> {
    let (step, after) = if text.starts_with(['"', '\'']) {
        let (key, after) = quoted(text)?;
        (Step::Key(key), after)
    } else {
        let end = text.find(']').ok_or("a bracket is not closed")?;
        let item = text[..end].trim().parse().map_err(|_| "brackets hold a number, or a key in quotes")?;
        (Step::Item(item), &text[end..])
    };
    Ok((step, after.strip_prefix(']').ok_or("a bracket is not closed")?))
}

/// A text in quotes; a backslash takes the next character as it is.
fn quoted(text: &str) -> Result<(String, &str), &'static str> {
    let mut chars = text.char_indices();
    let quote = chars.next().map(|(_, quote)| quote);
    let mut key = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => key.extend(chars.next().map(|(_, c)| c)),
            c if Some(c) == quote => return Ok((key, &text[at + c.len_utf8()..])),
            c => key.push(c),
        }
    }
    Err("a quote is not closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(steps: &[&str]) -> Path {
        let step = |text: &&str| text.parse().map_or_else(|_| Step::Key((*text).to_owned()), Step::Item);
        Path(steps.iter().map(step).collect())
    }

    #[test]
    fn paths_are_read_as_people_write_them() {
        for (text, expected) in [
            ("mlflow.hosts[0]", keys(&["mlflow", "hosts", "0"])),
            ("a.\"key.with.dots\".b", keys(&["a", "key.with.dots", "b"])),
            ("a['k'][2][\"x y\"]", keys(&["a", "k", "2", "x y"])),
            ("[1].a-b_c/d", keys(&["1", "a-b_c/d"])),
            (r#"a."say \"hi\"""#, keys(&["a", "say \"hi\""])),
        ] {
            let path: Path = text.parse().unwrap();
            assert_eq!(path, expected, "{text}");
            assert_eq!(path.to_string().parse::<Path>().unwrap(), path, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["", ".", "a.", ".a", "a..b", "a[", "a[x]", "a['x]", "a[0", "a\"b\"[-1]", "a[]"] {
            assert!(text.parse::<Path>().is_err(), "{text}");
        }
    }
}
