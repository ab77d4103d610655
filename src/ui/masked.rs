//! The one gate that everything written goes through: what a masker knows is hidden. Must not know what is secret by
//! itself.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

use crate::secrets::Masker;

/// The masker in force; clones share it.
#[derive(Clone, Default)]
pub(super) struct Masked(Arc<RwLock<Option<Masker>>>);

impl Masked {
    pub fn set(&self, masker: Masker) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(masker);
    }

    /// The text with every secret hidden.
    pub fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            None => Cow::Borrowed(text),
            Some(masker) => Cow::Owned(masker.hide(text)),
        }
    }
}
