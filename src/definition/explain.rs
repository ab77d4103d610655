//! Where a value comes from: who set it, whom they overrode, and what a template there names, down to the last file.
//! Worked out when somebody asks, from the places that nodes keep and the record of merging. Must not change values.

mod origin;

use std::collections::HashSet;

use super::expression::{self, Name};
use super::path::{Path, Step};
use super::provenance::{Provenance, Walk};
use super::{Definition, Release};
use crate::yaml::{Node, Sources, Span, Value, nearest};

pub use origin::Origin;

/// Where one value comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Its name: a path, or what a template calls it.
    pub name: String,
    /// The value; none when there is none, or when it must not be shown.
    pub value: Option<serde_json::Value>,
    /// Who set it, latest first.
    pub settings: Vec<Setting>,
}

/// One setting of a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Where.
    pub place: Place,
    /// The same in the texts of the definition.
    pub span: Span,
    /// What is written there.
    pub text: String,
    /// What became of it.
    pub state: State,
    /// What the template there names.
    pub from: Vec<Explanation>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as it is called in the definition.
    pub path: String,
    /// Line, from 1; 0 for the file as a whole.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

/// What became of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It holds.
    Holds,
    /// A later one replaced it.
    Overridden,
    /// It deletes what was there.
    Deletes,
    /// It was deleted.
    Deleted,
}

/// A path that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no `{path}`")]
pub struct NoSuchPath {
    /// What was asked for.
    pub path: Path,
    /// The nearest path that exists.
    pub near: Option<Path>,
    /// How far it leads.
    pub above: Path,
    /// What there is below that.
    pub keys: Vec<String>,
}

/// The longest text of a setting that is shown.
const MAX_TEXT: usize = 100;

impl Definition {
    /// Where a value comes from, and all below it: a value of the environment or of a release.
    ///
    /// # Errors
    /// [`NoSuchPath`] when nothing stands there and nothing ever did.
    pub fn explain(&self, release: Option<&Release>, path: &Path) -> Result<Vec<Explanation>, NoSuchPath> {
        let subject = Subject::of(self, release);
        let Some(at) = subject.at(path) else { return Err(subject.no_such_path(path)) };
        let mut found = Vec::new();
        let mut explainer = Explainer { definition: self, release, seen: HashSet::new() };
        explainer.leaves(&subject, &at, &mut path.clone(), &mut found);
        if found.is_empty() { Err(subject.no_such_path(path)) } else { Ok(found) }
    }

    /// Where each leaf of the values, or of a release's values, comes from.
    pub fn explain_all(&self, release: Option<&Release>) -> Vec<Explanation> {
        self.explain(release, &Path::default()).unwrap_or_default()
    }
}

/// Some values with their record.
#[derive(Clone, Copy)]
struct Subject<'d> {
    sources: &'d Sources,
    values: &'d Node,
    provenance: &'d Provenance,
}

/// A place in a subject.
#[derive(Clone)]
struct At<'d> {
    node: Option<&'d Node>,
    walk: Walk<'d>,
    /// How many of the last steps lead through what one template made.
    made: usize,
}

impl<'d> Subject<'d> {
    fn of(definition: &'d Definition, release: Option<&'d Release>) -> Subject<'d> {
        let sources = &definition.sources;
        match release {
            Some(release) => Subject { sources, values: &release.values, provenance: &release.provenance },
            None => Subject { sources, values: &definition.values, provenance: &definition.provenance },
        }
    }

    /// The place of a path; none when there is nothing and never was.
    fn at(&self, path: &Path) -> Option<At<'d>> {
        let top = At { node: Some(self.values), walk: self.provenance.top(), made: 0 };
        path.0.iter().try_fold(top, |at, step| at.down(step, at.node.and_then(|node| step.of(node))))
    }

    fn no_such_path(&self, path: &Path) -> NoSuchPath {
        let known = (0..path.0.len()).rev().map(|n| Path(path.0[..n].to_vec()));
        let above = known.into_iter().find(|above| above.find(self.values).is_some()).unwrap_or_default();
        let map = above.find(self.values).and_then(Node::as_map);
        let keys: Vec<&str> = map.into_iter().flat_map(|map| &map.0).map(|entry| entry.key.as_str()).collect();
        let near = match path.0.get(above.0.len()) {
            Some(Step::Key(key)) => nearest(key, &keys).map(|near| {
                let rest = &path.0[above.0.len() + 1..];
                let mut near = above.join(Step::Key(near.to_owned()));
                let whole = Path(near.0.iter().chain(rest).cloned().collect());
                if whole.find(self.values).is_some() {
                    near = whole;
                }
                near
            }),
            _ => None,
        };
        NoSuchPath { path: path.clone(), near, keys: keys.into_iter().map(str::to_owned).collect(), above }
    }
}

impl<'d> At<'d> {
    fn down(&self, step: &Step, node: Option<&'d Node>) -> Option<At<'d>> {
        let walk = self.walk.down(step);
        if node.is_none() && walk.is_empty() {
            return None;
        }
        let same = node.zip(self.node).is_some_and(|(node, above)| node.span == above.span);
        Some(At { node, walk, made: if same { self.made + 1 } else { 0 } })
    }
}

struct Explainer<'d> {
    definition: &'d Definition,
    release: Option<&'d Release>,
    /// What the explanation that is being made has already.
    seen: HashSet<(String, Path)>,
}

impl<'d> Explainer<'d> {
    /// Everything at or below a place that has nothing below it.
    fn leaves(&mut self, subject: &Subject<'d>, at: &At<'d>, path: &mut Path, found: &mut Vec<Explanation>) {
        let before = found.len();
        match at.node.map(|node| &node.value) {
            Some(Value::Map(map)) => {
                for entry in &map.0 {
                    self.below(subject, at, path, Step::Key(entry.key.clone()), Some(&entry.node), found);
                }
            }
            Some(Value::List(items)) => {
                for (i, item) in items.iter().enumerate() {
                    self.below(subject, at, path, Step::Item(i), Some(item), found);
                }
            }
            _ => {}
        }
        for key in at.walk.keys().filter(|key| at.node.is_none_or(|node| node.get(key).is_none())) {
            self.below(subject, at, path, Step::Key(key.to_owned()), None, found);
        }
        let items = at.node.and_then(Node::as_list).map_or(0, <[Node]>::len);
        let filled = items > 0 || at.node.and_then(Node::as_map).is_some_and(|map| !map.0.is_empty());
        if !filled && (at.node.is_some() || !at.walk.past().is_empty()) {
            self.seen.clear();
            let one = self.one(path.to_string(), subject, at, path);
            found.insert(before, one);
        }
    }

    fn below(
        &mut self,
        subject: &Subject<'d>,
        at: &At<'d>,
        path: &mut Path,
        step: Step,
        node: Option<&'d Node>,
        found: &mut Vec<Explanation>,
    ) {
        if let Some(below) = at.down(&step, node) {
            path.0.push(step);
            self.leaves(subject, &below, path, found);
            path.0.pop();
        }
    }

    fn one(&mut self, name: String, subject: &Subject<'d>, at: &At<'d>, path: &Path) -> Explanation {
        let mut settings = Vec::new();
        let null = |node: &&Node| node.value == Value::Null;
        if let Some(node) = at.node {
            let state = if null(&node) { State::Deletes } else { State::Holds };
            let rest = &path.0[path.0.len() - at.made.min(path.0.len())..];
            settings.push(self.setting(subject, node.span, state, rest));
        }
        let mut deleted = at.node.is_none() || at.node.as_ref().is_some_and(null);
        for past in at.walk.past() {
            let state = match (past.deletes, deleted) {
                (true, _) => State::Deletes,
                (false, true) => State::Deleted,
                (false, false) => State::Overridden,
            };
            deleted = past.deletes;
            let same = settings
                .last()
                .is_some_and(|last: &Setting| past.span.line > 0 && last.place == place(subject.sources, past.span));
            if !same {
                let rest = if past.deletes && settings.is_empty() { Some([].as_slice()) } else { None };
                settings.push(match rest {
                    Some(rest) => self.setting(subject, past.span, state, rest),
                    None => bare(subject.sources, past.span, state),
                });
            }
        }
        let value = at.node.filter(|node| !null(node)).map(|node| self.definition.shown(node).to_json());
        Explanation { name, value, settings }
    }

    /// A setting with what its template names; `rest` leads from the template's value to the one explained.
    fn setting(&mut self, subject: &Subject<'d>, span: Span, state: State, rest: &[Step]) -> Setting {
        let mut setting = bare(subject.sources, span, state);
        let Some(template) = subject.provenance.template_at(span) else { return setting };
        let code = expression::code(template).unwrap_or_default();
        let whole = expression::whole(template).as_ref().and_then(expression::plain_path);
        let names = match whole {
            Some(mut name) => {
                name.path.0.extend(rest.iter().cloned());
                vec![name]
            }
            None => expression::names(&code),
        };
        setting.from.extend(names.iter().filter_map(|name| self.name(name)));
        setting.from.extend(expression::calls(&code).iter().filter_map(|call| self.call(call)));
        setting
    }

    /// What a template names, once.
    fn name(&mut self, name: &Name) -> Option<Explanation> {
        if !self.seen.insert((name.root.to_owned(), name.path.clone())) {
            return None;
        }
        let separator = if matches!(name.path.0.first(), Some(Step::Key(_))) { "." } else { "" };
        let title = format!("{}{separator}{}", name.root, name.path);
        if name.root == "values" {
            let subject = Subject::of(self.definition, None);
            return Some(match subject.at(&name.path) {
                Some(at) => self.one(title, &subject, &at, &name.path),
                None => Explanation { name: title, value: None, settings: Vec::new() },
            });
        }
        self.declared(title, name)
    }

    /// What comes from `environment.yaml` or `release.yaml`.
    fn declared(&self, title: String, name: &Name) -> Option<Explanation> {
        let key = match name.path.0.first() {
            Some(Step::Key(key)) => Some(key.as_str()),
            _ => None,
        };
        let (top, path, folder) = match (name.root, key) {
            ("environment", Some("name")) => (None, "", Some(self.definition.environment.name.as_str())),
            ("environment", Some(key)) => (Some(&self.definition.declared), key, None),
            ("nodes" | "releases", _) => (Some(&self.definition.declared), name.root, None),
            ("release", Some("name")) => (None, "", self.release.map(|release| release.name.as_str())),
            ("release", Some(key)) => (self.release.map(|release| &release.declared), key, None),
            _ => return None,
        };
        if let Some(folder) = folder {
            return Some(Explanation { name: title, value: Some(folder.into()), settings: Vec::new() });
        }
        let mut node = top?.get(path)?;
        let rest = match name.root {
            "nodes" => name.path.0.as_slice(),
            // Which are on is computed; what switches some off is what there is to see.
            "releases" => &[],
            _ => name.path.0.get(1..).unwrap_or_default(),
        };
        for step in rest {
            node = step.of(node)?;
        }
        let setting = bare(&self.definition.sources, node.span, State::Holds);
        Some(Explanation { name: title, value: Some(node.to_json()), settings: vec![setting] })
    }

    /// A secret is named, never shown.
    fn call(&mut self, call: &expression::Call) -> Option<Explanation> {
        let known = matches!(call.function, "secret" | "file" | "image");
        let key = Path(vec![Step::Key(call.argument.clone())]);
        let first = known && self.seen.insert((call.function.to_owned(), key));
        first.then(|| Explanation {
            name: format!("{}('{}')", call.function, call.argument),
            value: None,
            settings: Vec::new(),
        })
    }
}

/// A setting without what a template there names.
fn bare(sources: &Sources, span: Span, state: State) -> Setting {
    Setting { place: place(sources, span), span, text: text(sources, span), state, from: Vec::new() }
}

fn place(sources: &Sources, span: Span) -> Place {
    Place { path: sources.path(span.source).to_owned(), line: span.line, column: span.column }
}

/// What is written at a place: its first line, as far as that says something.
fn text(sources: &Sources, span: Span) -> String {
    let written = sources.text(span.source).get(span.start as usize..span.end as usize).unwrap_or_default();
    let written = written.trim_end();
    let first = written.lines().next().unwrap_or_default();
    let short: String = first.chars().take(MAX_TEXT).collect();
    if short.len() < written.len() { format!("{} …", short.trim_end()) } else { short }
}

#[cfg(test)]
mod tests;
