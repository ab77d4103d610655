//! What one leaf among environment values sees: the values that it names, as they are once those are evaluated. Must
//! not decide in which order that is.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use tera::Context;

use super::convert::to_tera;
use super::expression::Name;
use super::path::{Path, Step};
use super::reference::{Named, Template};
use super::scope::Scope;
use crate::yaml::{Node, Value};

/// What one leaf sees: the values that it names, and nothing else of them.
pub(super) struct Partial<'a> {
    pub values: &'a Node,
    pub leaf: &'a Template,
    pub context: &'a Context,
    pub cache: &'a RefCell<HashMap<Path, tera::Value>>,
}

impl Partial<'_> {
    /// What a name stands for now, by its position as far as that goes.
    fn find(&self, named: &Named) -> Option<&Node> {
        let mut node = self.values;
        for i in named.at.iter().map(|i| *i as usize) {
            node = match &node.value {
                Value::Map(map) => &map.0.get(i)?.node,
                Value::List(items) => items.get(i)?,
                _ => return None,
            };
        }
        named.path.0[named.at.len()..].iter().try_fold(node, |node, step| step.of(node))
    }

    fn value(&self, named: &Named) -> Option<tera::Value> {
        if let Some(value) = self.cache.borrow().get(&named.path) {
            return Some(value.clone());
        }
        let value = to_tera(self.find(named)?);
        self.cache.borrow_mut().insert(named.path.clone(), value.clone());
        Some(value)
    }
}

impl Scope for Partial<'_> {
    fn values(&self, path: &Path) -> Option<&Node> {
        self.leaf.named.iter().find(|named| named.path == *path).and_then(|named| self.find(named))
    }

    fn context(&self, _: &[Name]) -> Context {
        let mut seen = Sparse::default();
        for named in &self.leaf.named {
            if let Some(value) = self.value(named) {
                seen.put(&named.path.0, value);
            } else if let Some((_, above)) = named.path.0.split_last() {
                // What is there of the way down, so that it is the last step that is missing.
                let at = named.at.iter().copied().take(above.len()).collect();
                let above = Named { path: Path(above.to_vec()), at, leads: true };
                if matches!(self.find(&above), Some(Node { value: Value::Map(_), .. })) {
                    seen.put_empty(&above.path.0);
                }
            }
        }
        let mut context = self.context.clone();
        context.insert_value("values", seen.into_tera());
        context
    }

    fn neighbours(&self, name: &Name) -> Vec<String> {
        neighbours(self.values, self.context, name)
    }
}

/// The keys beside the one that a name ends in.
pub(super) fn neighbours(values: &Node, context: &Context, name: &Name) -> Vec<String> {
    let Some((_, above)) = name.path.0.split_last() else { return Vec::new() };
    if name.root == "values" {
        let found = above.iter().try_fold(values, |node, step| step.of(node));
        let map = found.and_then(Node::as_map);
        return map.into_iter().flat_map(|map| &map.0).map(|entry| entry.key.clone()).collect();
    }
    let found = context.get(name.root).filter(|_| above.is_empty()).and_then(tera::Value::as_map);
    found.into_iter().flat_map(|map| map.keys()).map(ToString::to_string).collect()
}

/// A tree of which only some parts are there.
#[derive(Default)]
enum Sparse {
    #[default]
    Nothing,
    Whole(tera::Value),
    Map(BTreeMap<String, Sparse>),
    List(BTreeMap<usize, Sparse>),
}

impl Sparse {
    fn put(&mut self, path: &[Step], value: tera::Value) {
        match (path, &mut *self) {
            // A part of what is there whole already.
            (_, Sparse::Whole(_)) => {}
            ([], _) => *self = Sparse::Whole(value),
            ([step, rest @ ..], _) => {
                if let Some(below) = self.below(step) {
                    below.put(rest, value);
                }
            }
        }
    }

    fn put_empty(&mut self, path: &[Step]) {
        match path {
            [] if matches!(self, Sparse::Nothing) => *self = Sparse::Map(BTreeMap::new()),
            [] => {}
            [step, rest @ ..] => {
                if let Some(below) = self.below(step) {
                    below.put_empty(rest);
                }
            }
        }
    }

    fn below(&mut self, step: &Step) -> Option<&mut Sparse> {
        match (step, &mut *self) {
            (Step::Key(_), Sparse::Nothing) => *self = Sparse::Map(BTreeMap::new()),
            (Step::Item(_), Sparse::Nothing) => *self = Sparse::List(BTreeMap::new()),
            _ => {}
        }
        match (step, self) {
            (Step::Key(key), Sparse::Map(map)) => Some(map.entry(key.clone()).or_default()),
            (Step::Item(i), Sparse::List(list)) => Some(list.entry(*i).or_default()),
            _ => None,
        }
    }

    fn into_tera(self) -> tera::Value {
        match self {
            Sparse::Nothing => tera::Map::new().into(),
            Sparse::Whole(value) => value,
            Sparse::Map(map) => {
                map.into_iter().map(|(key, below)| (key.into(), below.into_tera())).collect::<tera::Map>().into()
            }
            Sparse::List(mut list) => {
                let last = list.keys().next_back().copied().unwrap_or_default();
                let item = |i| list.remove(&i).map_or_else(tera::Value::none, Sparse::into_tera);
                (0..=last).map(item).collect::<Vec<_>>().into()
            }
        }
    }
}
