//! Bytes in a bundle that are not what the index promises. Data only.

use crate::digest::Digest;

/// An entry whose bytes are not what its name promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry `{entry}` is damaged: expected {expected}, got {actual}{}", Needed(needed_by))]
pub struct Damage {
    /// The entry's name in the tar.
    pub entry: String,
    /// The digest the index promises.
    pub expected: Digest,
    /// The digest of what is there.
    pub actual: Digest,
    /// What needs it: images, charts, tools.
    pub needed_by: Vec<String>,
}

/// Who needs something, behind a message.
pub(super) struct Needed<'a>(pub &'a [String]);

impl std::fmt::Display for Needed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            [] => Ok(()),
            [one] => write!(f, " (needed by {one})"),
            [one, more @ ..] => write!(f, " (needed by {one} and {} more)", more.len()),
        }
    }
}
