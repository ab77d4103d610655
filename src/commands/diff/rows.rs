//! A release's differences as lines with a sign, which text and markdown dress in their own ways.

use serde_json::Value as Json;

use super::{Names, bounded};
use crate::diff::{Counts, DefinitionDiff, NewImage, Noise, ObjectChange, ObjectDiff, ReleaseChange, ReleaseDiff};
use crate::ui::{bytes, count};
use crate::yaml;

/// What a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Added,
    Removed,
    Changed,
    /// It stands around.
    Plain,
    /// It is about the release as a whole.
    Aside,
    /// It wants attention.
    Warning,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub depth: usize,
    pub mark: Mark,
    pub text: String,
}

/// The versions of a release's chart: `1.11.4 → 1.11.5`.
pub(super) fn versions(release: &ReleaseDiff) -> String {
    match (&release.from, &release.to) {
        (Some(from), Some(to)) if from != to => format!("{from} → {to}"),
        (_, Some(version)) | (Some(version), None) => version.clone(),
        (None, None) => String::new(),
    }
}

/// What happens to a release, in a word.
pub(super) fn word(change: ReleaseChange) -> &'static str {
    match change {
        ReleaseChange::Install => "install",
        ReleaseChange::Upgrade => "upgrade",
        ReleaseChange::Remove => "remove",
        ReleaseChange::Drift => "differs",
        ReleaseChange::Undeclared => "stays",
        ReleaseChange::Blocked => "blocked",
    }
}

/// What a release comes to, in a line.
pub(super) fn summary(release: &ReleaseDiff) -> String {
    let Counts { added, changed, removed, folded } = release.counts();
    let parts = [(added, "new"), (changed, "changed"), (removed, "gone"), (folded, "folded")];
    let said: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    match said.is_empty() {
        false => said.join(", "),
        true if release.not_compared() > 0 => "only secrets may differ".to_owned(),
        true => "no object differs".to_owned(),
    }
}

/// Draws a release.
pub(super) struct Drawing<'a> {
    pub(super) names: &'a Names,
    pub(super) verbose: bool,
    rows: Vec<Row>,
}

/// Everything there is to say of a release, below its heading.
pub(super) fn rows(release: &ReleaseDiff, names: &Names, verbose: bool) -> Vec<Row> {
    let mut drawing = Drawing { names, verbose, rows: Vec::new() };
    if let Some(reason) = &release.renders_live {
        let why = format!("renders live: {reason}; what it looks up in the cluster is not in this comparison");
        drawing.push(0, Mark::Aside, why);
    }
    release.notes.iter().for_each(|note| drawing.push(0, Mark::Warning, note.clone()));
    let is_shown = |object: &&ObjectDiff| object.matters() || verbose;
    release.objects.iter().filter(is_shown).for_each(|object| drawing.object(object, &release.namespace));
    drawing.folded(release);
    release.definitions.iter().for_each(|definition| drawing.definition(definition));
    drawing.images(release);
    drawing.rows
}

impl Drawing<'_> {
    pub(super) fn push(&mut self, depth: usize, mark: Mark, text: impl Into<String>) {
        self.rows.push(Row { depth, mark, text: bounded::harmless(&text.into()) });
    }

    fn object(&mut self, object: &ObjectDiff, namespace: &str) {
        let mark = match object.change {
            ObjectChange::Added => Mark::Added,
            ObjectChange::Removed => Mark::Removed,
            ObjectChange::Changed => Mark::Changed,
        };
        let mut title = object.title(namespace);
        let facts: Vec<String> = object.facts.iter().map(|fact| self.names.shown(fact)).collect();
        if !facts.is_empty() {
            title.push_str(&format!("  {}", facts.join(", ")));
        }
        if object.restarts {
            title.push_str("  (its pods start anew)");
        }
        self.push(0, mark, title);
        let verbose = self.verbose;
        let folded = object.folded.iter().filter(|field| verbose || field.noise == Some(Noise::Autoscaler));
        for field in object.fields.iter().chain(folded) {
            self.field(field);
        }
        if self.verbose && !object.content.is_null() {
            let text = self.yaml(&object.content);
            text.lines().for_each(|line| self.push(1, mark, line.to_owned()));
        }
    }

    pub(super) fn yaml(&self, value: &Json) -> String {
        self.names.shown(&yaml::print(&yaml::Node::from_json(value.clone())))
    }

    fn folded(&mut self, release: &ReleaseDiff) {
        let folded: Vec<&ObjectDiff> =
            release.objects.iter().filter(|object| !object.matters() && !object.only_not_compared()).collect();
        if !folded.is_empty() && !self.verbose {
            let restarts = folded.iter().filter(|object| object.restarts).count();
            let pods = match restarts {
                0 => String::new(),
                n if n == folded.len() => "; their pods start anew".to_owned(),
                n => format!("; the pods of {n} start anew"),
            };
            let differ = if folded.len() == 1 { "differs" } else { "differ" };
            let others = if release.counts().changed + release.counts().added + release.counts().removed > 0 {
                " more"
            } else {
                ""
            };
            let objects = format!("{}{others} object{}", folded.len(), if folded.len() == 1 { "" } else { "s" });
            self.push(0, Mark::Aside, format!("… {objects} {differ} only in chart labels and checksums{pods}"));
        }
        let hidden = release.not_compared();
        if hidden > 0 && !self.verbose {
            self.push(0, Mark::Aside, format!("… {} not compared: no key", count(hidden, "secret value")));
        }
    }

    fn definition(&mut self, definition: &DefinitionDiff) {
        let title = format!("CustomResourceDefinition {}", definition.name);
        match definition.change {
            ObjectChange::Added => {
                return self.push(0, Mark::Added, format!("{title}  {}", definition.versions_added.join(", ")));
            }
            ObjectChange::Removed => {
                return self.push(
                    0,
                    Mark::Removed,
                    format!("{title}  no longer in the chart; it stays in the cluster"),
                );
            }
            ObjectChange::Changed => self.push(0, Mark::Changed, title),
        }
        let list = |what: &[String]| what.join(", ");
        if !definition.versions_added.is_empty() {
            self.push(1, Mark::Added, format!("version {}", list(&definition.versions_added)));
        }
        if !definition.versions_removed.is_empty() {
            self.push(1, Mark::Removed, format!("version {}", list(&definition.versions_removed)));
        }
        if let Some([old, new]) = &definition.storage {
            self.push(1, Mark::Changed, format!("stored as  {old} → {new}"));
        }
        if let Some([old, new]) = &definition.scope {
            self.push(1, Mark::Warning, format!("scope  {old} → {new}: it must be made anew"));
        }
        definition.fields_removed.iter().for_each(|field| self.push(1, Mark::Removed, format!("field {field}")));
        definition.fields_changed.iter().for_each(|field| self.push(1, Mark::Changed, format!("field {field}")));
        definition
            .fields_required
            .iter()
            .for_each(|f| self.push(1, Mark::Warning, format!("field {f} must be there now")));
        if definition.fields_added > 0 {
            self.push(1, Mark::Added, count(definition.fields_added, "field"));
        }
    }

    fn images(&mut self, release: &ReleaseDiff) {
        for image in &release.new_images {
            let (mark, covered) = covered(image);
            let size = image.size.map(|size| format!("  {}", bytes(size))).unwrap_or_default();
            self.push(0, mark, format!("image {}{size}{covered}", image.image));
        }
        for image in &release.gone_images {
            let shown = self.names.shown(image);
            self.push(0, Mark::Removed, format!("image {shown}"));
        }
    }
}

/// Whether lock and bundle have an image that is new.
pub(super) fn covered(image: &NewImage) -> (Mark, &'static str) {
    match image {
        NewImage { locked: false, .. } => (Mark::Warning, "  not in the lock: run `platctl lock`"),
        NewImage { bundled: Some(false), .. } => (Mark::Warning, "  not in the bundle: make it again"),
        NewImage { bundled: Some(true), .. } => (Mark::Added, "  in the lock and the bundle"),
        NewImage { bundled: None, .. } => (Mark::Added, "  in the lock"),
    }
}
