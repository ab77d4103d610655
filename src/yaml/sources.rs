//! The texts that nodes point into, with the paths people know them by. Must not read files.

use super::{Author, Excerpt, Map, Node, Problem, Span, Value, parse};

/// Names a text in [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u32);

/// The texts that nodes point into, each with the path the user knows it by.
#[derive(Debug, Default, Clone)]
pub struct Sources(Vec<(String, String)>);

impl Sources {
    /// Adds a text.
    pub fn add(&mut self, path: impl Into<String>, text: impl Into<String>) -> SourceId {
        self.0.push((path.into(), text.into()));
        SourceId((self.0.len() - 1) as u32)
    }

    /// The path of a source.
    pub fn path(&self, id: SourceId) -> &str {
        self.0.get(id.0 as usize).map_or("", |(path, _)| path)
    }

    /// The text of a source.
    pub fn text(&self, id: SourceId) -> &str {
        self.0.get(id.0 as usize).map_or("", |(_, text)| text)
    }

    /// Reads a source that holds one document; an empty one is an empty map.
    ///
    /// # Errors
    /// The first [`Problem`] in it.
    pub fn read(&self, id: SourceId) -> Result<Node, Problem> {
        let mut found = parse(self, id, Author::Person)?;
        if found.len() > 1 {
            return Err(Problem::new("more than one document in the file")
                .at(self, found[1].span)
                .help("keep one document per file: Helm versions differ in which of several they read"));
        }
        Ok(found.pop().unwrap_or(Node::new(Value::Map(Map::default()), Span { source: id, ..Span::default() })))
    }

    /// The line a span starts in.
    pub fn excerpt(&self, span: Span) -> Excerpt {
        let text = self.text(span.source);
        let line = if span.line == 0 { "" } else { line_at(text, span.start as usize) };
        let rest = line.chars().count().saturating_sub(span.column.saturating_sub(1) as usize);
        let meant = text.get(span.start as usize..span.end as usize).unwrap_or("");
        let width = meant.lines().next().unwrap_or("").chars().count().min(rest).max(1);
        Excerpt {
            path: self.path(span.source).to_owned(),
            line: span.line,
            column: span.column,
            text: line.to_owned(),
            width: width as u32,
        }
    }
}

/// The line that holds a byte.
fn line_at(text: &str, at: usize) -> &str {
    let at = at.min(text.len());
    let bytes = text.as_bytes();
    let start = bytes[..at].iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let end = bytes[start..].iter().position(|b| *b == b'\n').map_or(text.len(), |i| start + i);
    let line = text.get(start..end).unwrap_or("");
    line.strip_suffix('\r').unwrap_or(line).trim_start_matches('\u{feff}')
}
