//! The walk over a tree of values, each with its path.

use std::fmt;

use crate::yaml::{Node, Value};

/// One step down a tree.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Into a map.
    Key(String),
    /// Into a list.
    Index(usize),
    /// Into the text of a scalar, and of several documents in it the one with this number, from 1.
    Text(Option<usize>),
    /// To a line of a text, from 1.
    Line(usize),
}

/// The way from an object's top to a value; prints as `spec.containers[0].image`, and inside
/// the text of a scalar as `data["a.yaml"]: document 2: spec.image`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Path(pub Vec<Step>);

impl Path {
    /// The last key on the way.
    pub fn key(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            _ => None,
        })
    }

    /// What stands at the path below a node.
    pub fn find<'n>(&self, node: &'n Node) -> Option<&'n Node> {
        self.0.iter().try_fold(node, |node, step| match step {
            Step::Key(key) => node.get(key),
            Step::Index(index) => node.as_list()?.get(*index),
            Step::Text(_) | Step::Line(_) => None,
        })
    }

    /// The same path one key further.
    pub fn child(&self, key: &str) -> Path {
        let mut path = self.clone();
        path.0.push(Step::Key(key.to_owned()));
        path
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for step in &self.0 {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if key.contains(['.', '[', '/']) => write!(f, "[\"{key}\"]")?,
                Step::Key(key) if first => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Text(None) => f.write_str(": ")?,
                Step::Text(Some(number)) => write!(f, ": document {number}: ")?,
                Step::Line(number) => write!(f, ": line {number}")?,
            }
            first = matches!(step, Step::Text(_));
        }
        Ok(())
    }
}

/// Calls `visit` for every value, top down.
pub fn walk<'n>(node: &'n Node, visit: &mut dyn FnMut(&Path, &'n Node)) {
    descend(node, &(), &mut Path::default(), &mut |path, node, ()| {
        visit(path, node);
        Some(())
    });
}

/// The walk with something handed down: `visit` is given what it said for the value above, and says what the values
/// below are given, or that they are left out.
pub fn descend<'n, C>(
    node: &'n Node,
    context: &C,
    path: &mut Path,
    visit: &mut dyn FnMut(&Path, &'n Node, &C) -> Option<C>,
) {
    let Some(below) = visit(path, node, context) else { return };
    match &node.value {
        Value::List(items) => {
            for (i, item) in items.iter().enumerate() {
                path.0.push(Step::Index(i));
                descend(item, &below, path, visit);
                path.0.pop();
            }
        }
        Value::Map(map) => {
            for entry in &map.0 {
                path.0.push(Step::Key(entry.key.clone()));
                descend(&entry.node, &below, path, visit);
                path.0.pop();
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_people_write_them() {
        let node = crate::yaml::parse_generated("x", "spec: {a: [{image: x}], \"b.c\": 1}").unwrap();
        let mut paths = Vec::new();
        walk(&node, &mut |path, _| paths.push(path.to_string()));
        walk(&node, &mut |path, found| assert!(std::ptr::eq(path.find(&node).unwrap(), found)));
        assert_eq!(paths, ["", "spec", "spec.a", "spec.a[0]", "spec.a[0].image", "spec[\"b.c\"]"]);
    }

    #[test]
    fn paths_go_on_inside_texts() {
        let key = |key: &str| Step::Key(key.to_owned());
        let path = |steps: &[Step]| Path(steps.to_vec()).to_string();
        assert_eq!(path(&[key("data"), key("a"), Step::Text(None), key("b"), key("c")]), "data.a: b.c");
        assert_eq!(path(&[key("a.b"), Step::Text(Some(2)), Step::Index(0)]), "[\"a.b\"]: document 2: [0]");
        assert_eq!(path(&[key("a"), Step::Line(7)]), "a: line 7");
    }

    #[test]
    fn a_walk_hands_down_and_leaves_out() {
        let node = crate::yaml::parse_generated("x", "a: {b: 1, c: [2]}\nskip: {d: 3}").unwrap();
        let mut seen = Vec::new();
        descend(&node, &0, &mut Path::default(), &mut |path, _, depth| {
            seen.push(format!("{depth}{path}"));
            (path.key() != Some("skip")).then_some(depth + 1)
        });
        assert_eq!(seen, ["0", "1a", "2a.b", "2a.c", "3a.c[0]", "1skip"]);
    }
}
