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
}

/// The way from an object's top to a value; prints as `spec.containers[0].image`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Path(pub Vec<Step>);

impl Path {
    /// The last key on the way.
    pub fn key(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) => None,
        })
    }

    /// What stands at the path below a node.
    pub fn find<'n>(&self, node: &'n Node) -> Option<&'n Node> {
        self.0.iter().try_fold(node, |node, step| match step {
            Step::Key(key) => node.get(key),
            Step::Index(index) => node.as_list()?.get(*index),
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
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if key.contains(['.', '[', '/']) => write!(f, "[\"{key}\"]")?,
                Step::Key(key) if i == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

/// Calls `visit` for every value, top down.
pub fn walk<'n>(node: &'n Node, visit: &mut dyn FnMut(&Path, &'n Node)) {
    step(node, &mut Path::default(), visit);
}

fn step<'n>(node: &'n Node, path: &mut Path, visit: &mut dyn FnMut(&Path, &'n Node)) {
    visit(path, node);
    match &node.value {
        Value::List(items) => {
            for (i, item) in items.iter().enumerate() {
                path.0.push(Step::Index(i));
                step(item, path, visit);
                path.0.pop();
            }
        }
        Value::Map(map) => {
            for entry in &map.0 {
                path.0.push(Step::Key(entry.key.clone()));
                step(&entry.node, path, visit);
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
}
