//! Texts of several lines, compared line by line: the lines that changed, with some around them.

use serde::Serialize;
use similar::{Algorithm, DiffTag, capture_diff_slices, group_diff_ops};

use super::veil::{self, Veil, fits, holds};
use super::{Comparison, FieldChange, SecretChange};
use crate::digest::Digest;

/// A place where a text changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hunk {
    /// Line of the old text at which it begins, from 1.
    pub old: usize,
    /// Line of the new text at which it begins, from 1.
    pub new: usize,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// A line of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What happens to it.
    pub sign: Sign,
    /// The line, without its end.
    pub text: String,
}

/// What happens to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Sign {
    /// It is new.
    #[serde(rename = "+")]
    Added,
    /// It is gone.
    #[serde(rename = "-")]
    Removed,
    /// It stands around.
    #[serde(rename = " ")]
    Same,
}

/// A line as people may see it, with what tells it from others that look the same: a secret in it.
type Seen = (String, Option<Digest>);

/// Compares two texts that differ, line by line.
pub(super) fn lines(old: &str, new: &str, how: &Comparison<'_>) -> FieldChange {
    let sides = [(old, how.old, patterns(new, how.new)), (new, how.new, patterns(old, how.old))];
    let [Some(before), Some(after)] = sides.map(|(text, veil, others)| seen(text, veil, &others)) else {
        return FieldChange::Secret { secret: SecretChange::Changed };
    };
    let hunks = hunks(&before, &after, how.context);
    if !hunks.is_empty() {
        return FieldChange::Lines { hunks };
    }
    let same = |of: fn(&str) -> String| of(old).trim_end_matches('\n') == of(new).trim_end_matches('\n');
    match (same(str::to_owned), old.len() < new.len()) {
        (true, true) => FieldChange::Added { new: "a line break at the end".into() },
        (true, false) => FieldChange::Removed { old: "a line break at the end".into() },
        // The texts themselves are the same then, so no secret is another.
        _ if same(|text| text.replace("\r\n", "\n")) => FieldChange::LineEnds { old: ends(old), new: ends(new) },
        _ => FieldChange::Secret { secret: SecretChange::Changed },
    }
}

/// How the lines of a text end.
fn ends(text: &str) -> &'static str {
    let (all, long) = (text.matches('\n').count(), text.matches("\r\n").count());
    match long {
        0 => "LF",
        n if n == all => "CRLF",
        _ => "mixed",
    }
}

/// The lines of a text that hold tokens, as they are and as they are seen.
fn patterns<'t>(text: &'t str, veil: &Veil) -> Vec<(&'t str, Seen)> {
    let seen = |line: &str| (veil.shown(line), Some(Digest::of(veil.told(line))));
    text.lines().filter(|line| holds(line)).map(|line| (line, seen(line))).collect()
}

/// A text's lines as people may see them. Where the other side has tokens and this one values, a line that could be one
/// of the other's counts as that line; none, when that could be any line.
fn seen(text: &str, veil: &Veil, others: &[(&str, Seen)]) -> Option<Vec<Seen>> {
    let whole = veil.shown(text);
    let one_by_one = whole.lines().count() == text.lines().count();
    if !one_by_one {
        return others.is_empty().then(|| whole.lines().map(|line| (line.to_owned(), None)).collect());
    }
    let foreign = if holds(text) { &[] } else { others };
    let bare = |pattern: &str| veil::literals(pattern).iter().all(|literal| literal.trim().is_empty());
    if foreign.iter().any(|(pattern, _)| bare(pattern)) {
        return None;
    }
    let line = |(shown, line): (&str, &str)| match foreign.iter().find(|(pattern, _)| fits(pattern, line)) {
        Some((_, as_other)) => as_other.clone(),
        None if shown == line => (shown.to_owned(), None),
        None => (shown.to_owned(), Some(Digest::of(veil.told(line)))),
    };
    Some(whole.lines().zip(text.lines()).map(line).collect())
}

fn hunks(old: &[Seen], new: &[Seen], context: usize) -> Vec<Hunk> {
    let groups = group_diff_ops(capture_diff_slices(Algorithm::Myers, old, new), context);
    let hunk = |ops: Vec<similar::DiffOp>| {
        let first = ops.first()?;
        let (old_start, new_start) = (first.old_range().start + 1, first.new_range().start + 1);
        let mut lines = Vec::new();
        for op in ops {
            let (tag, before, after) = op.as_tag_tuple();
            let mut push = |sign: Sign, side: &[Seen]| {
                lines.extend(side.iter().map(|(text, _)| Line { sign, text: text.clone() }));
            };
            if tag == DiffTag::Equal {
                push(Sign::Same, &new[after]);
                continue;
            }
            push(Sign::Removed, &old[before]);
            push(Sign::Added, &new[after]);
        }
        Some(Hunk { old: old_start, new: new_start, lines })
    };
    groups.into_iter().filter_map(hunk).collect()
}
