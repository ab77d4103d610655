//! Writes a bundle: what is known at once, the blobs in parallel at their places, then the file under its name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use tokio::runtime::{Handle, RuntimeFlavor};

use super::partial::Partial;
use super::resume::missing;
use super::several::every;
use super::transfer::{Target, transfer};
use super::{Error, Event, Layout};
use crate::digest::Digest;
use crate::net::{Budget, Client};

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
/// [`Error`] naming the images that need what could not be fetched; what was fetched stays for the next run.
pub async fn write(
    layout: &Layout,
    output: &Path,
    client: &Client,
    downloads: usize,
    events: &(dyn Fn(Event) + Send + Sync),
) -> Result<Written, Error> {
    events(Event::Planned(layout.totals()));
    let all: u64 = layout.streamed().map(|(entry, _)| entry.place.size).sum();
    let (partial, missing) = blocking(|| {
        let partial = Partial::open(output)?;
        partial.check_space(layout.size)?;
        let missing = missing(layout, &partial.file);
        missing.iter().filter(|one| one.other).for_each(|one| partial.clear(one.entry.place));
        partial.reserve(layout.size)?;
        partial.write_known(layout)?;
        Ok::<_, Error>((partial, missing))
    })?;
    let fetched: u64 = missing.iter().map(|one| one.entry.place.size - one.kept.bytes).sum();
    let resumed = all - fetched;
    if resumed > 0 {
        events(Event::Resumed { bytes: resumed });
    }
    let target = Target { file: partial.file.clone(), path: &partial.path, events };
    let budget = Arc::new(Budget::new(downloads));
    let client = client.within(&budget);
    let transfers = stream::iter(&missing).map(|one| transfer(&target, &client, &budget, one));
    every(transfers.buffer_unordered(downloads.max(1))).await?;
    // Syncing before the end was tried: it holds up the writes, and the kernel begins by itself early enough.
    events(Event::Syncing);
    drop(target);
    let path = blocking(|| partial.finish())?;
    Ok(Written { path, index_digest: layout.index_digest(), bytes: layout.size, fetched, resumed })
}

/// Does something that keeps the disk busy, without keeping other tasks waiting where that can be avoided.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
