//! A leaf that may be a template, and what is at hand where it stands. Must not evaluate anything.

use tera::Context;

use super::expression::Name;
use super::path::Path;
use crate::yaml::{Node, Sources, Span};

/// What is at hand where a template stands.
pub(super) trait Scope {
    /// The environment's values, for expressions that are a plain path into them.
    fn values(&self, path: &Path) -> Option<&Node>;

    /// Everything that some names need.
    fn context(&self, names: &[Name]) -> Context;

    /// What there is instead of a name: its neighbours.
    fn neighbours(&self, name: &Name) -> Vec<String>;
}

/// A leaf to evaluate.
#[derive(Clone, Copy)]
pub(super) struct Leaf<'a> {
    pub sources: &'a Sources,
    pub text: &'a str,
    pub span: Span,
}
