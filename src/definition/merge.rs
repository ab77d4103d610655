//! The one merge rule: maps merge deep, everything else is replaced, an explicit null deletes. Every node keeps the
//! place it was written at; what is overridden or deleted goes to the record.

use std::collections::HashMap;

use super::provenance::{Earlier, Provenance};
use crate::yaml::{Entry, Map, Node, Value};

/// What becomes of an explicit null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nulls {
    /// It deletes, and is gone.
    Delete,
    /// It deletes, and stays: helm deletes the chart's own default by it.
    Keep,
}

/// Lays `over` on `base`, both maps or anything else.
pub(super) fn merge(base: &mut Node, over: Node, nulls: Nulls, provenance: &mut Provenance) {
    Merge { nulls, provenance, path: Vec::new() }.node(base, over);
}

struct Merge<'p> {
    nulls: Nulls,
    provenance: &'p mut Provenance,
    path: Vec<String>,
}

impl Merge<'_> {
    fn node(&mut self, base: &mut Node, mut over: Node) {
        if let (Value::Map(base), Value::Map(_)) = (&mut base.value, &over.value) {
            let Value::Map(over) = over.value else { return };
            return self.map(base, over);
        }
        self.clean(&mut over);
        let earlier = std::mem::replace(base, over);
        self.provenance.record(&self.path, Earlier::Set(earlier));
    }

    fn map(&mut self, base: &mut Map, over: Map) {
        let positions = positions(base, &over);
        let mut gone = Vec::new();
        for (mut entry, position) in over.0.into_iter().zip(positions) {
            let deletes = self.nulls == Nulls::Delete && entry.node.value == Value::Null;
            match position {
                Some(at) => {
                    self.path.push(entry.key);
                    let Entry { key_span, node, .. } = &mut base.0[at];
                    if deletes {
                        let earlier = std::mem::replace(&mut node.value, Value::Null);
                        self.provenance.record(&self.path, Earlier::Set(Node::new(earlier, node.span)));
                        self.provenance.record(&self.path, Earlier::Deleted(entry.node.span));
                        gone.push(at);
                    } else {
                        *key_span = entry.key_span;
                        self.node(node, entry.node);
                    }
                    self.path.pop();
                }
                None if deletes => {}
                None => {
                    self.clean(&mut entry.node);
                    base.0.push(entry);
                }
            }
        }
        remove(base, &mut gone);
    }

    /// A null where there was nothing to delete leaves nothing behind.
    fn clean(&self, node: &mut Node) {
        if self.nulls == Nulls::Delete {
            drop_nulls(node);
        }
    }
}

fn drop_nulls(node: &mut Node) {
    if let Value::Map(map) = &mut node.value {
        map.0.retain(|entry| entry.node.value != Value::Null);
        map.0.iter_mut().for_each(|entry| drop_nulls(&mut entry.node));
    }
}

/// Where each key of `over` stands in `base`. Large maps are indexed, so that 50,000 keys stay linear.
fn positions(base: &Map, over: &Map) -> Vec<Option<usize>> {
    if base.0.len().min(over.0.len()) < 8 {
        return over.0.iter().map(|entry| base.0.iter().position(|e| e.key == entry.key)).collect();
    }
    let index: HashMap<&str, usize> = base.0.iter().enumerate().map(|(i, entry)| (entry.key.as_str(), i)).collect();
    over.0.iter().map(|entry| index.get(entry.key.as_str()).copied()).collect()
}

/// Takes entries out in one pass.
fn remove(map: &mut Map, gone: &mut [usize]) {
    if gone.is_empty() {
        return;
    }
    gone.sort_unstable();
    let mut at = 0;
    let mut next = gone.iter().peekable();
    map.0.retain(|_| {
        let goes = next.next_if(|position| **position == at).is_some();
        at += 1;
        !goes
    });
}

#[cfg(test)]
mod tests;
