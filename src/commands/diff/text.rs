//! A comparison for people at a terminal.

use super::Names;
use super::rows::{self, Mark, Row};
use crate::diff::{Counts, ReleaseChange, ReleaseDiff, Report};
use crate::ui::{Style, Ui, Volume};

/// The whole screen.
pub(super) fn text(report: &Report, names: &Names, ui: &Ui) -> String {
    let style = &ui.style;
    let mut text = format!("{} → {}\n", style.bad(&report.old), style.heading(&report.new));
    let mut tier = None;
    for release in &report.releases {
        if tier != Some(&release.tier) {
            tier = Some(&release.tier);
            let name = if release.tier.is_empty() { "installed all the same" } else { &release.tier };
            text.push_str(&format!("\n{}\n", style.place(name)));
        }
        text.push_str(&heading(release, style));
        for row in rows::rows(release, names, ui.volume == Volume::Verbose) {
            text.push_str(&line(&row, style));
        }
    }
    if !report.releases.is_empty() {
        text.push('\n');
    }
    for note in &report.notes {
        text.push_str(&format!("{}: {note}\n", style.warning("note")));
    }
    text + &summary(report) + "\n"
}

fn heading(release: &ReleaseDiff, style: &Style) -> String {
    let (word, versions) = (rows::word(release.change), rows::versions(release));
    let comes_to = match release.change {
        ReleaseChange::Upgrade if release.counts() == Counts::default() => format!("  {}", rows::summary(release)),
        _ => String::new(),
    };
    format!("  {}  {word} {versions}", style.heading(&release.release)).trim_end().to_owned() + &comes_to + "\n"
}

fn line(row: &Row, style: &Style) -> String {
    let indent = "  ".repeat(row.depth + 2);
    let text = match row.mark {
        Mark::Aside => row.text.clone(),
        Mark::Added => style.good(&format!("+ {}", row.text)),
        Mark::Removed => style.bad(&format!("- {}", row.text)),
        Mark::Changed => format!("{} {}", style.warning("~"), row.text),
        Mark::Warning => style.warning(&format!("! {}", row.text)),
        Mark::Plain => format!("  {}", row.text),
    };
    format!("{indent}{text}").trim_end().to_owned() + "\n"
}

/// One line: how many releases do what.
pub(super) fn summary(report: &Report) -> String {
    let count = |wanted: ReleaseChange| report.releases.iter().filter(|release| release.change == wanted).count();
    let parts = [
        (count(ReleaseChange::Install), "install"),
        (count(ReleaseChange::Upgrade), "upgrade"),
        (count(ReleaseChange::Remove), "remove"),
        (count(ReleaseChange::Drift), "differ"),
        (count(ReleaseChange::Blocked), "blocked"),
        (count(ReleaseChange::Undeclared), "left alone"),
        (report.failed.len(), "failed"),
        (report.unchanged, "unchanged"),
    ];
    let said: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if said.is_empty() { "nothing to compare".to_owned() } else { said.join(", ") }
}
