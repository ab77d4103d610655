//! What can be wrong with a bundle, or go wrong while one is made.

use std::io;
use std::path::PathBuf;

use super::damage::Needed;
use super::{Damage, TrustError};
use crate::digest::Digest;
use crate::files::{FileError, StoreError};
use crate::net::{self, Kind};

/// Why a bundle could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The network failed.
    #[error("cannot fetch {}", wanted(what))]
    Fetch {
        /// The image, or the images, that need it; or an extra file.
        what: String,
        /// The failure.
        #[source]
        source: net::Error,
    },
    /// Several images failed.
    #[error("{} images can't be bundled", failed.len())]
    Several {
        /// One error for each.
        failed: Vec<Error>,
        /// Whether the rest was not tried.
        more: bool,
    },
    /// An image that no bundle can carry.
    #[error("{image}: {problem}")]
    Unsupported {
        /// The image.
        image: String,
        /// Why not.
        problem: String,
    },
    /// Two things of one name.
    #[error("{what} is there twice")]
    Twice {
        /// The image, chart or tool.
        what: String,
    },
    /// Two documents say different sizes for one blob.
    #[error("{digest} is said to have {one} and {other} bytes, by {what}")]
    Sizes {
        /// The blob.
        digest: Digest,
        /// One size.
        one: u64,
        /// The other.
        other: u64,
        /// Who says the other.
        what: String,
    },
    /// A file on this machine is not, or no longer, what it was.
    #[error("{} changed: expected {expected}, got {actual}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// The digest it should have.
        expected: Digest,
        /// The digest it has.
        actual: Digest,
    },
    /// The disk has not enough room.
    #[error("{} needs {needed} more bytes, and there are {available}", path.display())]
    NoSpace {
        /// The bundle to be.
        path: PathBuf,
        /// Bytes that have to be added to the disk.
        needed: u64,
        /// Bytes that are free.
        available: u64,
    },
    /// Another process is writing the same bundle.
    #[error("{} is being written by another process", path.display())]
    Busy {
        /// The unfinished file.
        path: PathBuf,
    },
    /// A file that is no bundle.
    #[error("{} is no bundle: {problem}", path.display())]
    NoBundle {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// It is not signed by anybody who is trusted.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The end is missing.
    #[error("{} is cut short: it lacks {}{missing} of its bytes", path.display(), if *least { "at least " } else { "" })]
    Truncated {
        /// The file.
        path: PathBuf,
        /// How many bytes are missing.
        missing: u64,
        /// Whether there may be more than that: the part that says how many there are is missing too.
        least: bool,
    },
    /// There is something after the end.
    #[error("{} has {extra} bytes after its end", path.display())]
    Trailing {
        /// The file.
        path: PathBuf,
        /// How many.
        extra: u64,
    },
    /// An entry that no bundle has.
    #[error("entry `{entry}` at byte {offset} is refused: {problem}")]
    Entry {
        /// Its name, made harmless.
        entry: String,
        /// Where its header is.
        offset: u64,
        /// Why.
        problem: String,
    },
    /// `index.json` is damaged or says what no bundle says.
    #[error("index.json is damaged: {problem}")]
    Index {
        /// What is wrong.
        problem: String,
    },
    /// A manifest says what no bundle says.
    #[error("{what}: {problem}")]
    Document {
        /// The image, chart or tool.
        what: String,
        /// What is wrong.
        problem: String,
    },
    /// A blob is not in the bundle.
    #[error("entry `{entry}` is missing{}", Needed(needed_by))]
    Missing {
        /// The name it would have.
        entry: String,
        /// What needs it.
        needed_by: Vec<String>,
    },
    /// A blob has not the size that the index promises.
    #[error("entry `{entry}` has {actual} bytes, expected {expected}{}", Needed(needed_by))]
    Size {
        /// The entry's name.
        entry: String,
        /// What is promised.
        expected: u64,
        /// What it has.
        actual: u64,
        /// What needs it.
        needed_by: Vec<String>,
    },
    /// A blob's bytes are damaged.
    #[error(transparent)]
    Damaged(Damage),
}

/// An extra file is wanted itself, an image for what it needs. No image has a space in its name.
fn wanted(what: &str) -> String {
    if what.starts_with("extra ") { what.to_owned() } else { format!("what {what} needs") }
}

impl Error {
    /// Who can do something about it.
    pub fn kind(&self) -> Kind {
        match self {
            Error::Fetch { source, .. } => source.kind(),
            Error::Several { failed, .. } => failed.first().map_or(Kind::Permanent, Error::kind),
            Error::NoSpace { .. } | Error::Busy { .. } | Error::Twice { .. } | Error::Unsupported { .. } => Kind::Yours,
            _ => Kind::Permanent,
        }
    }

    /// The image, or the images, that failed alone: others may well come.
    pub(super) fn image(&self) -> Option<&str> {
        match self {
            Error::Fetch { what: image, .. } | Error::Unsupported { image, .. } => Some(image),
            _ => None,
        }
    }

    /// The error of a reader of a blob: damage, or the disk's own failure.
    pub(super) fn reading(path: &std::path::Path, error: io::Error) -> Error {
        match error.downcast::<Damage>() {
            Ok(damage) => Error::Damaged(damage),
            Err(error) => Error::File(FileError { action: "read", path: path.to_owned(), source: error }),
        }
    }

    pub(super) fn storing(path: &std::path::Path, error: StoreError) -> Error {
        match error {
            StoreError::File(error) => Error::File(error),
            StoreError::Source { source, .. } => Error::reading(path, source),
            StoreError::Mismatch { name, expected, actual } => {
                Error::Damaged(Damage { entry: name, expected, actual, needed_by: Vec::new() })
            }
        }
    }
}
