//! What might be a finding, and which of these are.

use std::collections::HashSet;

use super::{Found, Place};
use crate::image::Reference;
use crate::object::Path;

/// How sure it is that an image is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// It is one.
    Certain,
    /// It may be one.
    Probable,
    /// It is one if the same image is known: declared, locked, or certain elsewhere.
    Known,
}

/// A place that might name an image.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Where in its object.
    pub path: Path,
    /// The name as it is written or put together.
    pub text: String,
    /// What it names.
    pub image: Found,
    /// How the place holds it.
    pub place: Place,
    /// How sure it is.
    pub level: Level,
}

/// The images that are known, once everything was looked at.
pub(super) fn known<'c>(candidates: impl Iterator<Item = &'c Candidate>, declared: &[Reference]) -> HashSet<Reference> {
    let certain = candidates.filter(|candidate| candidate.level == Level::Certain);
    let images = certain.filter_map(|candidate| match &candidate.image {
        Found::Image(image) => Some(image.clone()),
        _ => None,
    });
    images.chain(declared.iter().cloned()).collect()
}

impl Candidate {
    /// Whether it is a finding, and a certain one.
    pub fn certainty(&self, known: &HashSet<Reference>) -> Option<super::Confidence> {
        let is_known = matches!(&self.image, Found::Image(image) if known.contains(image));
        match self.level {
            Level::Certain => Some(super::Confidence::Certain),
            _ if is_known => Some(super::Confidence::Certain),
            Level::Probable => Some(super::Confidence::Probable),
            Level::Known => None,
        }
    }
}
