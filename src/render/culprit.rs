//! Who set what a tool complains about: from the tool's words and a release's values to lines of the definition.
//! Nothing is guessed: where the words name no value, there is no culprit.

use crate::definition::{ChartSource, Definition, Path, Release, Step, is_quantity};
use crate::tools::{Complaint, ImageGuard, complaints, image_guard};
use crate::yaml::{Excerpt, Node, Value, nearest};

/// A line of the definition that a tool's words are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Culprit {
    /// What stands there.
    pub text: String,
    /// Where.
    pub at: Excerpt,
    /// What it may have been meant to be.
    pub help: Option<String>,
}

/// Where a value that an API server refuses stands more often than that, it is not known which one is meant.
const MAX_ALIKE: usize = 3;
/// Keys that charts put an image together of.
const IMAGE_PARTS: [&str; 6] = ["imageRegistry", "registry", "repository", "image", "tag", "digest"];
/// The most that are shown.
const MAX_CULPRITS: usize = 12;

/// The lines that a tool's words about a release are about, each once.
pub fn culprits(definition: &Definition, release: &Release, word: &str) -> Vec<Culprit> {
    let blame = Blame { definition, release };
    let mut found: Vec<Culprit> = Vec::new();
    let guarded = image_guard(word).map(|guard| blame.makes(&guard)).unwrap_or_default();
    for culprit in complaints(word).iter().flat_map(|complaint| blame.complaint(complaint)).chain(guarded) {
        if !found.iter().any(|other| other.at == culprit.at) {
            found.push(culprit);
        }
    }
    found.truncate(MAX_CULPRITS);
    found
}

#[derive(Clone, Copy)]
struct Blame<'d> {
    definition: &'d Definition,
    release: &'d Release,
}

impl<'d> Blame<'d> {
    fn complaint(self, complaint: &Complaint) -> Vec<Culprit> {
        match complaint {
            Complaint::Schema { chart, path, says } => match self.prefix(chart) {
                Some(prefix) => self.set(&self.path(prefix, path), says),
                None => Vec::new(),
            },
            Complaint::UnknownKey { chart, path } => {
                self.prefix(chart).and_then(|prefix| self.unknown(&self.path(prefix, path))).into_iter().collect()
            }
            Complaint::Template { charts, path } => {
                let prefix = Path(charts.iter().skip(1).cloned().map(Step::Key).collect());
                self.set(&self.path(prefix, path), "")
            }
            Complaint::Value { field, value } => self.alike(field, value),
            Complaint::Quantity => self.no_quantities(),
        }
    }

    /// Where the values of a chart stand in those of the release: at the top, or below the name of a chart within it.
    /// A schema says no more than that name.
    fn prefix(self, chart: &str) -> Option<Path> {
        // A chart of our own has its name in its Chart.yaml: whatever is not the name of a chart within it.
        let (name, own) = match &self.release.chart {
            ChartSource::Repository { name, .. } => (name, None),
            ChartSource::Own { .. } => (&self.release.name, Some(Path::default())),
        };
        if chart == name {
            return Some(Path::default());
        }
        let mut level = vec![(Path::default(), &self.release.values)];
        // The nearest to the top, if there is one nearest.
        while !level.is_empty() {
            let below = level.iter().flat_map(|(path, node)| {
                let entries = node.as_map().into_iter().flat_map(|map| &map.0);
                entries.map(|entry| (path.join(Step::Key(entry.key.clone())), &entry.node))
            });
            let below: Vec<(Path, &Node)> = below.filter(|(_, node)| node.as_map().is_some()).collect();
            let named = |(path, _): &&(Path, &Node)| path.0.last() == Some(&Step::Key(chart.to_owned()));
            match below.iter().filter(named).collect::<Vec<_>>().as_slice() {
                [(path, _)] => return Some(path.clone()),
                [] => level = below,
                _ => return None,
            }
        }
        own
    }

    /// A path of texts; numbers are items where there is a list.
    fn path(self, prefix: Path, steps: &[String]) -> Path {
        let mut node = prefix.find(&self.release.values);
        let mut path = prefix;
        for text in steps {
            let item = text.parse().ok().filter(|_| node.is_some_and(|node| node.as_list().is_some()));
            let step = item.map_or_else(|| Step::Key(text.clone()), Step::Item);
            node = node.and_then(|node| step.of(node));
            path.0.push(step);
        }
        path
    }

    /// Who set a value, or would have.
    fn set(self, path: &Path, says: &str) -> Vec<Culprit> {
        let Some(origin) = self.definition.origin(self.release, path) else { return Vec::new() };
        let says = if says.is_empty() { String::new() } else { format!(": {says}") };
        let text = match (origin.path == *path, origin.deletes) {
            (true, true) => format!("`{path}`{says}; it is deleted here"),
            (true, false) => format!("`{path}`{says}; it is set here"),
            (false, true) => format!("`{path}`{says}; `{}` is deleted here", origin.path),
            (false, false) => format!("`{path}`{says}; `{}` is set here", origin.path),
        };
        let from = origin.from.into_iter().map(|(name, at)| {
            let text = format!("`{}` comes from `{name}`", origin.path);
            Culprit { text, at, help: None }
        });
        [Culprit { text, at: origin.at, help: None }].into_iter().chain(from).collect()
    }

    /// A key that somebody wrote and the chart does not know.
    fn unknown(self, path: &Path) -> Option<Culprit> {
        let (Step::Key(key), above) = path.0.split_last()? else { return None };
        let map = Path(above.to_vec()).find(&self.release.values)?.as_map()?;
        let entry = map.0.iter().find(|entry| entry.key == *key)?;
        let others: Vec<&str> = map.0.iter().map(|entry| entry.key.as_str()).filter(|other| other != key).collect();
        let help = nearest(key, &others).map(|near| format!("`{path}`: did you mean `{near}`?"));
        let text = format!("`{path}`: the chart has no such key");
        Some(Culprit { text, at: self.definition.sources.excerpt(entry.key_span), help })
    }

    /// Values that are the text an API server refuses; those with the field's own name, if there are any.
    fn alike(self, field: &str, value: &str) -> Vec<Culprit> {
        let mut leaves = self.leaves();
        leaves.retain(|(_, node)| text_of(node).as_deref() == Some(value));
        let words: Vec<&str> = field.split(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_'))).collect();
        let by_name = |(path, _): &(Path, &Node)| key_of(path).is_some_and(|key| words.contains(&key));
        if leaves.iter().any(by_name) {
            leaves.retain(by_name);
        }
        if leaves.len() > MAX_ALIKE {
            return Vec::new();
        }
        let refused = format!("`{value}` is refused for {field}");
        leaves.iter().flat_map(|(path, _)| self.set(path, &refused)).collect()
    }

    /// Values that make an image into one that the chart does not know: a registry, a repository, a tag of its own.
    fn makes(self, guard: &ImageGuard) -> Vec<Culprit> {
        let part_of = |text: &str| !text.is_empty() && guard.images.iter().any(|image| image.contains(text));
        let mut leaves = self.leaves();
        leaves.retain(|(path, node)| {
            let key = key_of(path).is_some_and(|key| IMAGE_PARTS.contains(&key));
            key && text_of(node).is_some_and(|text| part_of(&text))
        });
        leaves.iter().flat_map(|(path, _)| self.set(path, "it makes an image that the chart does not know")).collect()
    }

    /// Texts where an amount belongs that are none.
    fn no_quantities(self) -> Vec<Culprit> {
        let mut leaves = self.leaves();
        leaves.retain(|(path, node)| {
            let text = text_of(node).unwrap_or_default();
            is_amount(path) && !text.is_empty() && !is_quantity(&text) && !matches!(node.value, Value::Bool(_))
        });
        if leaves.len() > MAX_ALIKE {
            return Vec::new();
        }
        leaves.iter().flat_map(|(path, _)| self.set(path, "it is no amount that Kubernetes knows")).collect()
    }

    /// Everything with nothing below it.
    fn leaves(self) -> Vec<(Path, &'d Node)> {
        let mut found = Vec::new();
        leaves(&self.release.values, Path::default(), &mut found);
        found
    }
}

fn leaves<'n>(node: &'n Node, path: Path, found: &mut Vec<(Path, &'n Node)>) {
    match &node.value {
        Value::Map(map) => {
            map.0.iter().for_each(|entry| leaves(&entry.node, path.join(Step::Key(entry.key.clone())), found));
        }
        Value::List(items) => {
            items.iter().enumerate().for_each(|(i, item)| leaves(item, path.join(Step::Item(i)), found));
        }
        _ => found.push((path, node)),
    }
}

/// A scalar as a chart writes it.
fn text_of(node: &Node) -> Option<String> {
    match &node.value {
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => Some(node.to_json().to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

/// The key that a value stands under, or its list.
fn key_of(path: &Path) -> Option<&str> {
    path.0.iter().rev().find_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        Step::Item(_) => None,
    })
}

/// Whether charts take an amount there.
fn is_amount(path: &Path) -> bool {
    let inside = |step: &Step| matches!(step, Step::Key(key) if key == "requests" || key == "limits");
    let named = |key| ["cpu", "memory", "size", "sizeLimit", "storage"].contains(&key);
    path.0.iter().any(inside) || key_of(path).is_some_and(named)
}

#[cfg(test)]
mod tests;
