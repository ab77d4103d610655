//! A comparison for a comment on a pull request: a table of releases, and the details of each to unfold.

use super::Names;
use super::rows::{self, Mark, Row};
use super::text::summary;
use crate::diff::{ReleaseDiff, Report};
use crate::ui::bytes;

/// The most characters a comment may have at GitHub are 65,536.
const LONGEST: usize = 65_000;
/// What is kept for the notes at the end.
const END: usize = 600;

/// The whole comment.
pub(super) fn markdown(report: &Report, names: &Names) -> String {
    let mut text = format!("### {}\n\n**{}** → **{}**\n\n", summary(report), plain(&report.old), plain(&report.new));
    if !report.releases.is_empty() {
        text.push_str("| Release | Change | Chart | Objects | New images |\n|---|---|---|---|---|\n");
    }
    let mut cut = Vec::new();
    for release in &report.releases {
        let row = table_row(release);
        if room(&text) > row.chars().count() {
            text.push_str(&row);
        } else {
            cut.push(release.release.as_str());
        }
    }
    text.push('\n');
    for release in report.releases.iter().filter(|release| !cut.contains(&release.release.as_str())).collect::<Vec<_>>()
    {
        let rows = rows::rows(release, names, false);
        if rows.is_empty() {
            continue;
        }
        match details(release, &rows, room(&text)) {
            Some(details) => text.push_str(&details),
            None => cut.push(&release.release),
        }
    }
    for note in &report.notes {
        if room(&text) + END / 2 > note.chars().count() {
            text.push_str(&format!("> {}\n\n", plain(note)));
        }
    }
    if !report.failed.is_empty() {
        let failed = report.failed.join(", ").chars().take(END / 4).collect::<String>();
        text.push_str(&format!("> could not be compared: {}\n\n", plain(&failed)));
    }
    if !cut.is_empty() {
        let names = cut.join(", ").chars().take(END / 4).collect::<String>();
        text.push_str(&format!("> too long for a comment, left out: {names}. `platctl diff` shows everything.\n\n"));
    }
    text.trim_end().to_owned() + "\n"
}

/// Characters that are left.
fn room(text: &str) -> usize {
    (LONGEST - END).saturating_sub(text.chars().count())
}

fn table_row(release: &ReleaseDiff) -> String {
    let new: Vec<String> = release
        .new_images
        .iter()
        .filter(|image| !image.locked || image.bundled == Some(false))
        .map(|image| format!("⚠ {}{}", plain(&image.image), plain(rows::covered(image).1).replace("  ", ": ")))
        .collect();
    let known: u64 = release.new_images.iter().filter_map(|image| image.size).sum();
    let mut images = match release.new_images.len() {
        0 => String::new(),
        n => format!("{n}, {}", bytes(known)),
    };
    if !new.is_empty() {
        images.push_str(&format!("<br>{}", new.join("<br>")));
    }
    let (word, versions) = (rows::word(release.change), rows::versions(release));
    format!(
        "| **{}** | {word} | {} | {} | {images} |\n",
        plain(&release.release),
        plain(&versions),
        rows::summary(release)
    )
}

/// The fewest characters of a release that are worth showing.
const FEWEST: usize = 400;

/// The lines of a release, as many as there is room for; none, when that is nearly none.
fn details(release: &ReleaseDiff, rows: &[Row], room: usize) -> Option<String> {
    let mut left = room.checked_sub(FEWEST)?;
    let mut body = String::new();
    let lines: Vec<String> = rows.iter().map(line).collect();
    // One fence for whatever is shown of it.
    let fence = fence(&lines.concat());
    left = left.checked_sub(2 * fence.len())?;
    for (at, line) in lines.iter().enumerate() {
        let Some(rest) = left.checked_sub(line.chars().count()) else {
            body.push_str(&format!("  … {} more lines are too many for a comment\n", lines.len() - at));
            break;
        };
        left = rest;
        body.push_str(line);
    }
    let (name, word, versions) = (plain(&release.release), rows::word(release.change), plain(&rows::versions(release)));
    let summary = format!("<b>{name}</b> {word} {versions}");
    Some(format!("<details><summary>{}</summary>\n\n{fence}diff\n{body}{fence}\n\n</details>\n\n", summary.trim_end()))
}

/// A line of a fence of kind `diff`: its sign stands first, so that it is coloured.
fn line(row: &Row) -> String {
    let sign = match row.mark {
        Mark::Aside => return format!("{}\n", row.text),
        Mark::Added => '+',
        Mark::Removed => '-',
        Mark::Changed | Mark::Warning => '!',
        Mark::Plain => ' ',
    };
    format!("{sign} {}{}", "  ".repeat(row.depth), row.text).trim_end().to_owned() + "\n"
}

/// A fence longer than any in the text.
fn fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(3.max(longest + 1))
}

/// A text that is nothing but a text, in a table too.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' | '*' | '[' | ']' | '\\' | '@' | '#' => out.extend(['\\', c]),
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
