//! What an interrupted run left that can be kept: blobs at their places whose bytes are right, and beginnings of
//! others. Nothing is trusted that was not hashed; whether a beginning was right is known when its blob is whole.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::assemble::{Blob, Entry, Layout};
use super::entry::BLOCK;
use super::place::{Beginning, Written, parallel};

/// An entry that is still to be streamed.
pub(super) struct Missing<'a> {
    pub entry: &'a Entry,
    pub blob: &'a Blob,
    /// What is there of it already.
    pub kept: Beginning,
    /// Something else lies in its place.
    pub other: bool,
}

/// The entries that are still to be streamed, the largest first.
pub(super) fn missing<'a>(layout: &'a Layout, file: &File) -> Vec<Missing<'a>> {
    let mut all: Vec<_> = layout.streamed().collect();
    all.sort_by_key(|(entry, blob)| (std::cmp::Reverse(entry.place.size), blob.digest));
    let left = parallel(&all, |(entry, blob)| left_of(file, entry, blob));
    let left = all.into_iter().zip(left);
    left.filter_map(|((entry, blob), left)| match left {
        Left::Whole => None,
        Left::Beginning(kept) => Some(Missing { entry, blob, kept, other: false }),
        Left::Other => Some(Missing { entry, blob, kept: Beginning::default(), other: true }),
    })
    .collect()
}

enum Left {
    Whole,
    Beginning(Beginning),
    Other,
}

/// A stretch that can't be read is one that has to be written.
fn left_of(file: &File, entry: &Entry, blob: &Blob) -> Left {
    let mut header = [0; BLOCK as usize];
    // Another header means another layout: to hash what lies there would be for nothing.
    if file.read_exact_at(&mut header, entry.place.offset - BLOCK).is_err() || header != entry.header {
        return Left::Other;
    }
    match entry.place.written(file) {
        Ok(Written::Whole { digest, .. }) if digest == blob.digest => Left::Whole,
        Ok(Written::Whole { sure, .. } | Written::Part(sure)) => Left::Beginning(sure),
        Err(_) => Left::Other,
    }
}
