//! Writes a bundle at known offsets, blobs in parallel, resuming what an interrupted run left.

use std::path::{Path, PathBuf};

use super::{Error, Event, Layout};
use crate::digest::Digest;
use crate::net::Client;

/// A bundle that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The file.
    pub path: PathBuf,
    /// Digest of its `index.json`.
    pub index_digest: Digest,
    /// Size of the file.
    pub bytes: u64,
    /// Bytes of blobs that were fetched or read in this run.
    pub fetched: u64,
    /// Bytes of blobs that were there from a run that was interrupted.
    pub resumed: u64,
}

/// Writes the bundle to `output`, through `output.partial`, with at most `downloads` connections.
///
/// # Errors
/// [`Error`] naming the images that need what could not be fetched; what is whole stays for the next run.
pub async fn write(
    layout: &Layout,
    output: &Path,
    client: &Client,
    downloads: usize,
    events: &(dyn Fn(Event) + Send + Sync),
) -> Result<Written, Error> {
    let _ = (layout, output, client, downloads, events);
    todo!()
}
