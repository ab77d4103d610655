//! What went wrong in a template, shown where it stands in the file. Must not evaluate anything.

use std::io;
use std::ops::Range;

use tera::{ErrorKind, Tera};

use super::expression::{Code, Name};
use super::guard::Guarded;
use super::path::Step;
use super::scope::{Leaf, Scope};
use crate::yaml::{Problem, Span, nearest};

/// What a guard says of a value that is not there.
pub(super) const UNDEFINED: &str = "it is not defined";
/// The most bytes that one leaf may become.
pub(super) const MAX_OUTPUT: usize = 1024 * 1024;

impl Leaf<'_> {
    pub fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::new(message).at(self.sources, self.span)
    }

    /// A problem with a part of the text, shown there when the file has the text as it is.
    pub fn problem_at(&self, message: impl Into<String>, part: Range<usize>) -> Problem {
        Problem::new(message).at(self.sources, self.part(part))
    }

    fn part(&self, part: Range<usize>) -> Span {
        let source = self.sources.text(self.span.source);
        let (start, end) = (self.span.start as usize, self.span.end as usize);
        let Some(written) = source.get(start..end) else { return self.span };
        let Some(offset) = offset_in(written, self.text, &part) else { return self.span };
        let before = &source[..start + offset];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let lines = written[..offset].matches('\n').count() as u32;
        Span {
            source: self.span.source,
            start: (start + offset) as u32,
            end: (start + offset + part.len().max(1)).min(end) as u32,
            line: self.span.line + lines,
            column: before[line_start..].trim_start_matches('\u{feff}').chars().count() as u32 + 1,
        }
    }
}

/// Where a part of a text stands in the way it is written, if it stands there as it is: quotes around it, or the lines
/// of a block.
fn offset_in(written: &str, text: &str, part: &Range<usize>) -> Option<usize> {
    if let Some(at) = written.find(text) {
        return Some(at + part.start);
    }
    let number = text.get(..part.start)?.matches('\n').count();
    let line_start = text[..part.start].rfind('\n').map_or(0, |i| i + 1);
    let line = text[line_start..].lines().next()?;
    // A block's place begins at its first line, or at its bar.
    let number = number + usize::from(written.starts_with('|'));
    let mut at = 0;
    for (i, candidate) in written.split_inclusive('\n').enumerate() {
        if i == number {
            return Some(at + candidate.find(line)? + part.start - line_start);
        }
        at += candidate.len();
    }
    None
}

/// A text that is no template to its end: the engine says why.
pub(super) fn unreadable(leaf: Leaf) -> Problem {
    // Only parsed: the text has no guards.
    match Tera::new().add_raw_template("leaf", leaf.text) {
        Err(error) => match error.kind() {
            ErrorKind::SyntaxError(report) => {
                leaf.problem_at(format!("template: {}", report.message()), report.span().range.clone())
            }
            _ => leaf.problem("template: it can't be read"),
        },
        Ok(()) => leaf.problem("template: it can't be read"),
    }
}

/// Says what went wrong where in the file.
pub(super) fn explain(
    leaf: Leaf,
    guarded: &Guarded,
    code: &[Code],
    names: &[Name],
    scope: &dyn Scope,
    error: &tera::Error,
) -> Problem {
    let (message, range) = match error.kind() {
        // The guards are nobody's business: what is wrong is said of the text as it is written.
        ErrorKind::SyntaxError(_) if Tera::new().add_raw_template("leaf", leaf.text).is_err() => {
            return unreadable(leaf);
        }
        ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => {
            (report.message().to_owned(), Some(guarded.original(report.span().range.clone())))
        }
        ErrorKind::Io(io::ErrorKind::FileTooLarge) => (format!("it gives more than {MAX_OUTPUT} bytes"), None),
        ErrorKind::Msg(message) => {
            let message = message.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let unknown = message.split('`').nth(1).and_then(|name| Some((leaf.text.find(name)?, name.len())));
            (message, unknown.map(|(at, length)| at..at + length))
        }
        _ => (error.to_string(), None),
    };
    // What follows lists everything there is.
    let cut = |text: &str| text.split(" Available ").next().unwrap_or_default().trim_end_matches('.').to_owned();
    let message = cut(&message);
    let missing = message.ends_with(UNDEFINED) || message.contains("is not defined");
    match (missing, range) {
        (true, Some(range)) => {
            let ends = |name: &&Name| name.range.end == range.start;
            let holds = |name: &&Name| name.range.start <= range.start && range.start < name.range.end;
            if let Some(name) = names.iter().find(ends).or_else(|| names.iter().find(holds)) {
                return undefined(leaf, name, scope);
            }
            // A guard stands behind what it weighs.
            let range = if range.is_empty() { word_before(leaf.text, range.end) } else { range };
            let written = leaf.text.get(range.clone()).unwrap_or_default().trim();
            leaf.problem_at(format!("template: `{written}` is not defined"), range)
        }
        (_, Some(range)) => {
            let start = word_before(leaf.text, range.start).start;
            leaf.problem_at(format!("template: {message}"), start..range.end)
        }
        (_, None) => {
            let first = code.first().map_or(0..0, |code| code.range.clone());
            leaf.problem_at(format!("template: {message}"), first)
        }
    }
}

/// The variable, with its attributes, that ends somewhere.
fn word_before(text: &str, end: usize) -> Range<usize> {
    let before = text.get(..end).unwrap_or_default();
    let other = |c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '?'));
    let start = before.rfind(other).map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    start..end
}

/// A name that nothing stands behind.
pub(super) fn undefined(leaf: Leaf, name: &Name, scope: &dyn Scope) -> Problem {
    let written = leaf.text.get(name.range.clone()).unwrap_or_default();
    let problem = leaf.problem_at(format!("template: `{written}` is not defined"), name.range.clone());
    let neighbours = scope.neighbours(name);
    let neighbours: Vec<&str> = neighbours.iter().map(String::as_str).collect();
    match name.path.0.last() {
        Some(Step::Key(key)) => match nearest(key, &neighbours) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help("write `or none` behind it, or `?.` in it, where it may be absent"),
        },
        _ => problem,
    }
}
