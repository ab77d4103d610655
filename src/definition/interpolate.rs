//! Environment values that refer to other values: every leaf is evaluated after the leaves it names, and a cycle is
//! an error with its line. A leaf sees only what it names, so that many leaves cost no more than they say. Must not
//! know any name but `values`, `environment` and `nodes`.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use tera::Context;

use super::expression::is_template;
use super::partial::Partial;
use super::path::{Path, Step};
use super::provenance::Provenance;
use super::reference::{Named, Position, Template, collect, named};
use super::scope::Leaf;
use super::template::Evaluator;
use crate::yaml::{Entry, Map, Node, Problem, Sources, Value};

/// Resolves every template among the values; `context` has all other names.
pub(super) fn resolve(
    sources: &Sources,
    mut values: Node,
    evaluator: &Evaluator,
    context: &Context,
    provenance: &mut Provenance,
) -> Result<Node, Problem> {
    let mut leaves = Vec::new();
    collect(&values, &mut Vec::new(), &mut leaves);
    if leaves.is_empty() {
        return Ok(values);
    }
    let mut finder = Finder::default();
    for leaf in &mut leaves {
        leaf.named = named(&leaf.text).into_iter().map(|path| finder.find(&values, path)).collect();
    }
    drop(finder);
    let order = order(sources, &values, &leaves)?;
    let cache = RefCell::default();
    let mut removed = Vec::new();
    for at in order {
        let leaf = &leaves[at];
        provenance.template(leaf.span, &leaf.text);
        let scope = Partial { values: &values, leaf, context, cache: &cache };
        let text = Leaf { sources, text: &leaf.text, span: leaf.span };
        match evaluator.leaf(text, &scope)? {
            Some(node) => put(&mut values, &leaf.at, node),
            None => {
                put(&mut values, &leaf.at, Node::new(Value::Null, leaf.span));
                removed.push(at);
            }
        }
    }
    let gone: HashSet<(u32, u32)> =
        removed.iter().map(|at| (leaves[*at].span.source.0, leaves[*at].span.start)).collect();
    if !gone.is_empty() {
        prune(&mut values, &gone, &mut Vec::new(), provenance);
    }
    Ok(values)
}

/// Finds nodes by path. Large maps are indexed once, so that many names stay linear.
#[derive(Default)]
struct Finder<'n> {
    wide: HashMap<*const Map, HashMap<&'n str, usize>>,
}

impl<'n> Finder<'n> {
    fn find(&mut self, top: &'n Node, path: Path) -> Named {
        let (mut node, mut at) = (top, Position::new());
        for step in &path.0 {
            let found = match (step, &node.value) {
                (Step::Key(key), Value::Map(map)) => self.key(map, key),
                (Step::Item(i), Value::List(items)) => items.get(*i).map(|node| (*i, node)),
                _ => None,
            };
            let Some((i, next)) = found else { break };
            at.push(i as u32);
            node = next;
        }
        let leads = at.len() == path.0.len() || node.as_str().is_some_and(is_template);
        Named { path, at, leads }
    }

    fn key(&mut self, map: &'n Map, key: &str) -> Option<(usize, &'n Node)> {
        let i = if map.0.len() < 16 {
            map.0.iter().position(|entry| entry.key == key)?
        } else {
            let index = || map.0.iter().enumerate().map(|(i, entry)| (entry.key.as_str(), i)).collect();
            *self.wide.entry(map).or_insert_with(index).get(key)?
        };
        Some((i, &map.0[i].node))
    }
}

/// Leaves after the leaves they name. The leaves are sorted by position, so those below one are a range.
fn order(sources: &Sources, values: &Node, leaves: &[Template]) -> Result<Vec<usize>, Problem> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    struct Frame {
        leaf: usize,
        name: usize,
        below: Range<usize>,
        rest: Range<usize>,
    }
    let frame = |leaf| Frame { leaf, name: 0, below: 0..0, rest: 0..0 };
    let mut ordered = Vec::with_capacity(leaves.len());
    let mut states = vec![State::New; leaves.len()];
    let mut done: HashSet<Range<usize>> = HashSet::new();
    for first in 0..leaves.len() {
        if states[first] == State::Done {
            continue;
        }
        states[first] = State::Open;
        let mut open = vec![frame(first)];
        while let Some(top) = open.last_mut() {
            if let Some(next) = top.rest.next() {
                match states[next] {
                    State::Done => {}
                    State::New => {
                        states[next] = State::Open;
                        open.push(frame(next));
                    }
                    State::Open => {
                        let cycle = open.iter().map(|frame| frame.leaf).skip_while(|leaf| *leaf != next).collect();
                        return Err(cycle_problem(sources, values, leaves, cycle));
                    }
                }
            } else {
                // What was gone through whole holds nothing new, however many leaves name it.
                done.insert(top.below.clone());
                let Some(named) = leaves[top.leaf].named.get(top.name) else {
                    states[top.leaf] = State::Done;
                    ordered.push(top.leaf);
                    open.pop();
                    continue;
                };
                top.name += 1;
                top.below = if named.leads { below(leaves, &named.at) } else { 0..0 };
                top.rest = if done.contains(&top.below) { 0..0 } else { top.below.clone() };
            }
        }
    }
    Ok(ordered)
}

/// The leaves at or below a position.
fn below(leaves: &[Template], at: &[u32]) -> Range<usize> {
    let start = leaves.partition_point(|leaf| leaf.at.as_slice() < at);
    let end = start + leaves[start..].partition_point(|leaf| leaf.at.starts_with(at));
    start..end
}

fn cycle_problem(sources: &Sources, values: &Node, leaves: &[Template], cycle: Vec<usize>) -> Problem {
    let path = |leaf: usize| path_of(values, &leaves[leaf].at);
    let mut cycle = cycle.into_iter();
    let first = cycle.next().unwrap_or_default();
    let mut problem = Problem::new(format!("`{}` refers to itself", path(first))).at(sources, leaves[first].span);
    for leaf in cycle.take(8) {
        problem = problem.note(format!("through `{}`", path(leaf)), sources, leaves[leaf].span);
    }
    problem.help("give one of them a value of its own")
}

fn path_of(top: &Node, at: &[u32]) -> Path {
    let (mut node, mut path) = (top, Path::default());
    for i in at.iter().map(|i| *i as usize) {
        node = match &node.value {
            Value::Map(map) => {
                path.0.push(Step::Key(map.0[i].key.clone()));
                &map.0[i].node
            }
            Value::List(items) => {
                path.0.push(Step::Item(i));
                &items[i]
            }
            _ => return path,
        };
    }
    path
}

fn put(values: &mut Node, at: &[u32], result: Node) {
    let mut node = values;
    for i in at.iter().map(|i| *i as usize) {
        let next = match &mut node.value {
            Value::Map(map) => map.0.get_mut(i).map(|entry| &mut entry.node),
            Value::List(items) => items.get_mut(i),
            _ => None,
        };
        let Some(next) = next else { return };
        node = next;
    }
    *node = result;
}

/// Takes out what gave `none`. Positions held until all was evaluated; now they may shift.
fn prune(node: &mut Node, gone: &HashSet<(u32, u32)>, path: &mut Vec<String>, provenance: &mut Provenance) {
    let goes = |node: &Node| node.value == Value::Null && gone.contains(&(node.span.source.0, node.span.start));
    match &mut node.value {
        Value::List(items) => {
            items.retain(|item| !goes(item));
            // Below a list nothing is recorded.
            items.iter_mut().for_each(|item| prune(item, gone, &mut Vec::new(), &mut Provenance::default()));
        }
        Value::Map(map) => {
            for Entry { key, node, .. } in &mut map.0 {
                path.push(key.clone());
                if goes(node) {
                    provenance.removed(path, node.span);
                } else {
                    prune(node, gone, path, provenance);
                }
                path.pop();
            }
            map.0.retain(|entry| !goes(&entry.node));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
