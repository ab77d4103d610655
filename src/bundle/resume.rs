//! What an interrupted run left that can be kept: blobs at their places whose bytes are right. Nothing is trusted
//! that was not hashed.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::assemble::{Blob, Entry, Layout};
use super::entry::BLOCK;
use super::place::parallel;

/// The entries that are still to be streamed, the largest first.
pub(super) fn missing<'a>(layout: &'a Layout, file: &File) -> Vec<(&'a Entry, &'a Blob)> {
    let mut all: Vec<_> = layout.streamed().collect();
    all.sort_by_key(|(entry, blob)| (std::cmp::Reverse(entry.place.size), blob.digest));
    let right = parallel(&all, |(entry, blob)| is_right(file, entry, blob));
    all.into_iter().zip(right).filter(|(_, right)| !right).map(|(one, _)| one).collect()
}

/// A stretch that can't be read is one that has to be written.
fn is_right(file: &File, entry: &Entry, blob: &Blob) -> bool {
    let mut header = [0; BLOCK as usize];
    // Another header means another layout: to hash what lies there would be for nothing.
    if file.read_exact_at(&mut header, entry.place.offset - BLOCK).is_err() || header != entry.header {
        return false;
    }
    // A stretch of zeros has not been written yet. If it should be one of zeros, it is written once more.
    if entry.place.looks_empty(file).unwrap_or(true) {
        return false;
    }
    entry.place.digest(file, &|_| {}).is_ok_and(|digest| digest == blob.digest)
}
