//! What can be wrong with a bundle, or go wrong while one is made.

use crate::digest::Digest;
use crate::files::FileError;
use crate::net;

/// Bytes in a bundle that are not what the index promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry `{entry}` is damaged: expected {expected}, got {actual}")]
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

/// Why a bundle could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The network failed.
    #[error("cannot fetch {what}")]
    Fetch {
        /// The image or images that need it.
        what: String,
        /// The failure.
        #[source]
        source: net::Error,
    },
    /// Something in the file is damaged.
    #[error(transparent)]
    Damaged(Damage),
}
