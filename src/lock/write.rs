//! Writes the lock: sorted, without time or program version, so that it changes only when content does.

use std::fmt::Write as _;

use super::{ChartOrigin, Lock, LockedChart, LockedImage, LockedTool};
use crate::image::Reference;
use crate::yaml::plain_needs_quotes;

const HEADER: &str = "# Written by `platctl lock`. Do not edit.\napiVersion: platctl.dev/v1\n";

impl Lock {
    /// The file's text.
    pub fn to_yaml(&self) -> String {
        let mut text = HEADER.to_owned();
        let (mut charts, mut tools) = (self.charts.clone(), self.tools.clone());
        charts.sort();
        tools.sort();
        section(&mut text, "charts", charts.iter().map(chart));
        section(&mut text, "images", self.images.iter().map(|(reference, image)| image_entry(reference, image)));
        section(&mut text, "tools", tools.iter().map(tool));
        text
    }
}

fn section(text: &mut String, name: &str, entries: impl Iterator<Item = String>) {
    let entries: String = entries.collect();
    let _ = if entries.is_empty() { writeln!(text, "{name}: []") } else { write!(text, "{name}:\n{entries}") };
}

fn chart(chart: &LockedChart) -> String {
    let mut text = format!("- name: {}\n  version: {}\n", scalar(&chart.name), scalar(&chart.version));
    let _ = match &chart.origin {
        ChartOrigin::Repository { repository, url } => {
            writeln!(text, "  repository: {}\n  url: {}", scalar(repository), scalar(url))
        }
        ChartOrigin::Own { path } => writeln!(text, "  path: {}", scalar(path)),
    };
    let _ = writeln!(text, "  digest: {}", chart.digest);
    text
}

fn image_entry(reference: &Reference, image: &LockedImage) -> String {
    let mut text = format!("- ref: {}\n  digest: {}\n  platforms:\n", scalar(&reference.to_string()), image.digest);
    for (platform, digest) in &image.platforms {
        let _ = writeln!(text, "    {platform}: {digest}");
    }
    let _ = writeln!(text, "  size: {}", image.size);
    text.push_str("  from:\n");
    for place in &image.from {
        let _ = writeln!(text, "  - {}", scalar(place));
    }
    text
}

fn tool(tool: &LockedTool) -> String {
    format!(
        "- name: {}\n  version: {}\n  platform: {}\n  url: {}\n  digest: {}\n",
        scalar(&tool.name),
        scalar(&tool.version),
        tool.platform,
        scalar(&tool.url),
        tool.digest
    )
}

/// A text as YAML: plain where that is safe, else in JSON's quotes.
fn scalar(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "._-/:@+".contains(c);
    let plain = text.chars().all(safe)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !text.ends_with(':')
        && !plain_needs_quotes(text);
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}
