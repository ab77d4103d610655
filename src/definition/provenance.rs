//! Who set what, and whom they overrode: a sparse record beside merged values. What holds now is in the nodes' own
//! spans; here stand earlier settings, deletions, and the text of templates. Must not change values.

use std::collections::{BTreeMap, HashMap};

use super::path::Step;
use crate::yaml::{Node, SourceId, Span, Value};

/// What merging and evaluating would otherwise forget.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    top: Trace,
    templates: HashMap<(SourceId, u32), String>,
    clock: usize,
}

/// The record of one path of map keys; paths without a record have no trace.
#[derive(Debug, Clone, Default)]
struct Trace {
    earlier: Vec<(usize, Earlier)>,
    below: BTreeMap<String, Trace>,
}

/// A setting that holds no more.
#[derive(Debug, Clone)]
pub(super) enum Earlier {
    /// It was set, with everything below it.
    Set(Node),
    /// It was deleted, by what stands there.
    Deleted(Span),
}

/// One setting of a path, latest first in lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Past {
    /// Where it was written.
    pub span: Span,
    /// Whether it deleted what was there.
    pub deletes: bool,
}

impl Provenance {
    /// Files a setting that is overridden or deleted now.
    pub(super) fn record(&mut self, path: &[String], earlier: Earlier) {
        let mut trace = &mut self.top;
        for key in path {
            trace = trace.below.entry(key.clone()).or_default();
        }
        self.clock += 1;
        trace.earlier.push((self.clock, earlier));
    }

    /// Files that a template gave nothing, so that its key goes.
    pub(super) fn removed(&mut self, path: &[String], span: Span) {
        self.record(path, Earlier::Set(Node::new(Value::Null, span)));
        self.record(path, Earlier::Deleted(span));
    }

    /// Files the text of a template before its result takes its place.
    pub(super) fn template(&mut self, span: Span, text: &str) {
        self.templates.insert((span.source, span.start), text.to_owned());
    }

    /// The template that stood where a node was written.
    pub(super) fn template_at(&self, span: Span) -> Option<&str> {
        self.templates.get(&(span.source, span.start)).map(String::as_str)
    }

    /// A place at the top, to walk down from.
    pub(super) fn top(&self) -> Walk<'_> {
        Walk { trace: Some(&self.top), carried: Vec::new() }
    }
}

/// A place in the record, with what is remembered of it from above.
#[derive(Debug, Clone)]
pub(super) struct Walk<'p> {
    trace: Option<&'p Trace>,
    carried: Vec<(usize, Carried<'p>)>,
}

#[derive(Debug, Clone, Copy)]
enum Carried<'p> {
    Set(&'p Node),
    Deleted(Span),
}

impl<'p> Walk<'p> {
    /// One step down.
    pub fn down(&self, step: &Step) -> Walk<'p> {
        let carry = |(at, carried): &(usize, Carried<'p>)| match carried {
            Carried::Set(node) => step.of(node).map(|node| (*at, Carried::Set(node))),
            deleted => Some((*at, *deleted)),
        };
        let carried = self.all().filter_map(|found| carry(&found)).collect();
        let trace = match step {
            Step::Key(key) => self.trace.and_then(|trace| trace.below.get(key)),
            Step::Item(_) => None,
        };
        Walk { trace, carried }
    }

    fn all(&self) -> impl Iterator<Item = (usize, Carried<'p>)> {
        let own = self.trace.into_iter().flat_map(|trace| &trace.earlier).map(|(at, earlier)| match earlier {
            Earlier::Set(node) => (*at, Carried::Set(node)),
            Earlier::Deleted(span) => (*at, Carried::Deleted(*span)),
        });
        self.carried.iter().copied().chain(own)
    }

    /// Whether nothing is recorded here or below.
    pub fn is_empty(&self) -> bool {
        self.trace.is_none() && self.carried.is_empty()
    }

    /// Earlier settings, latest first. A deletion of something that was never there is left out.
    pub fn past(&self) -> Vec<Past> {
        let mut all: Vec<_> = self.all().collect();
        all.sort_by_key(|(at, _)| *at);
        let first = all.iter().position(|(_, carried)| matches!(carried, Carried::Set(_))).unwrap_or(all.len());
        let past = all.into_iter().skip(first).map(|(_, carried)| match carried {
            Carried::Set(node) => Past { span: node.span, deletes: false },
            Carried::Deleted(span) => Past { span, deletes: true },
        });
        let mut past: Vec<Past> = past.collect();
        past.reverse();
        past
    }

    /// The keys below that are recorded.
    pub fn keys(&self) -> impl Iterator<Item = &'p str> {
        self.trace.into_iter().flat_map(|trace| trace.below.keys().map(String::as_str))
    }
}
