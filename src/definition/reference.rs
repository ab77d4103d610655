//! Templates among values, and what they name there. Must not evaluate any.

use super::expression::{self, is_template};
use super::path::Path;
use crate::yaml::{Node, Span, Value};

/// Positions of entries and items down to a node.
pub(super) type Position = Vec<u32>;

/// A template among the values.
pub(super) struct Template {
    pub at: Position,
    pub text: String,
    pub span: Span,
    pub named: Vec<Named>,
}

/// What a template names below `values`.
pub(super) struct Named {
    pub path: Path,
    /// As far as the tree has it before anything is evaluated.
    pub at: Position,
    /// Whether something stands there, or may once the template there is evaluated.
    pub leads: bool,
}

/// The templates at and below a node.
pub(super) fn collect(node: &Node, at: &mut Position, leaves: &mut Vec<Template>) {
    match &node.value {
        Value::String(text) if is_template(text) => {
            leaves.push(Template { at: at.clone(), text: text.clone(), span: node.span, named: Vec::new() });
        }
        Value::List(items) => each(items.iter(), at, leaves),
        Value::Map(map) => each(map.0.iter().map(|entry| &entry.node), at, leaves),
        _ => {}
    }
}

fn each<'n>(nodes: impl Iterator<Item = &'n Node>, at: &mut Position, leaves: &mut Vec<Template>) {
    for (i, node) in nodes.enumerate() {
        at.push(i as u32);
        collect(node, at, leaves);
        at.pop();
    }
}

/// The paths below `values` that a template names.
pub(super) fn named(text: &str) -> Vec<Path> {
    let code = expression::code(text).unwrap_or_default();
    let names = expression::names(&code).into_iter().filter(|name| name.root == "values");
    names.map(|name| name.path).collect()
}
