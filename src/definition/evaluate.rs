//! A whole tree of a release's values: every leaf that is a template, with the names that are at hand there. Must not
//! read files.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;

use tera::Context;

use super::convert::to_tera;
use super::expression::{Name, is_template};
use super::partial::neighbours;
use super::path::Path;
use super::provenance::Provenance;
use super::scope::{Leaf, Scope};
use super::template::Evaluator;
use crate::yaml::{Entry, Map, Node, Problem, Sources, Value};

/// The names of one environment.
pub(super) struct Names<'v> {
    values: &'v Node,
    context: Context,
    /// The values as the template language has them: brought over for the first template that is no plain path.
    whole: OnceCell<tera::Value>,
    found: RefCell<HashMap<Path, Option<&'v Node>>>,
}

/// The names of one release.
pub(super) struct ReleaseNames<'n, 'v> {
    names: &'n Names<'v>,
    context: Context,
}

impl<'v> Names<'v> {
    /// The names of an environment; its values are brought over at most once for all releases.
    pub fn new(values: &'v Node, context: Context) -> Names<'v> {
        Names { values, context, whole: OnceCell::new(), found: RefCell::default() }
    }

    /// The same with a release.
    pub fn of_release(&self, name: &str, namespace: &str) -> ReleaseNames<'_, 'v> {
        let mut context = self.context.clone();
        context.insert("release", &serde_json::json!({ "name": name, "namespace": namespace }));
        ReleaseNames { names: self, context }
    }
}

impl Scope for ReleaseNames<'_, '_> {
    fn values(&self, path: &Path) -> Option<&Node> {
        *self.names.found.borrow_mut().entry(path.clone()).or_insert_with(|| path.find(self.names.values))
    }

    fn context(&self, _: &[Name]) -> Context {
        let mut context = self.context.clone();
        context.insert_value("values", self.names.whole.get_or_init(|| to_tera(self.names.values)).clone());
        context
    }

    fn neighbours(&self, name: &Name) -> Vec<String> {
        neighbours(self.names.values, &self.context, name)
    }
}

/// Evaluates every leaf of a tree.
pub(super) fn tree(
    evaluator: &Evaluator,
    sources: &Sources,
    top: Node,
    scope: &dyn Scope,
    provenance: &mut Provenance,
) -> Result<Node, Problem> {
    let span = top.span;
    let mut walk = Walk { evaluator, sources, scope, provenance, path: Vec::new(), lists: 0 };
    Ok(walk.node(top)?.unwrap_or(Node::new(Value::Null, span)))
}

struct Walk<'a> {
    evaluator: &'a Evaluator,
    sources: &'a Sources,
    scope: &'a dyn Scope,
    provenance: &'a mut Provenance,
    path: Vec<String>,
    /// How many lists the walk is in: below one nothing is recorded.
    lists: usize,
}

impl Walk<'_> {
    /// `None` means that the leaf gave `none`: its key or item goes.
    fn node(&mut self, node: Node) -> Result<Option<Node>, Problem> {
        let span = node.span;
        let value = match node.value {
            Value::String(text) if is_template(&text) => {
                self.provenance.template(span, &text);
                return self.evaluator.leaf(Leaf { sources: self.sources, text: &text, span }, self.scope);
            }
            Value::List(items) => {
                self.lists += 1;
                let kept: Result<Vec<_>, _> = items.into_iter().map(|item| self.node(item)).collect();
                self.lists -= 1;
                Value::List(kept?.into_iter().flatten().collect())
            }
            Value::Map(map) => Value::Map(self.map(map)?),
            plain => plain,
        };
        Ok(Some(Node::new(value, span)))
    }

    fn map(&mut self, map: Map) -> Result<Map, Problem> {
        let mut kept = Map::default();
        for Entry { key, key_span, node } in map.0 {
            let span = node.span;
            self.path.push(key);
            let node = self.node(node)?;
            if node.is_none() && self.lists == 0 {
                self.provenance.removed(&self.path, span);
            }
            let key = self.path.pop().unwrap_or_default();
            kept.0.extend(node.map(|node| Entry { key, key_span, node }));
        }
        Ok(kept)
    }
}
