//! From contents to a layout: all manifests fetched and checked, every entry's size and place known.

use super::{Contents, Error, Event};
use crate::digest::Digest;
use crate::net::Client;

/// Every byte range of a bundle to be, before the first large blob is fetched.
#[derive(Debug)]
pub struct Layout {}

/// How much a bundle holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Charts.
    pub charts: usize,
    /// Images.
    pub images: usize,
    /// Distinct layers.
    pub layers: usize,
    /// Size of the whole file.
    pub bytes: u64,
    /// Bytes of layers that are kept once but used several times.
    pub shared: u64,
}

/// Fetches the manifests and configurations of all images and lays the bundle out.
///
/// # Errors
/// [`Error`] naming the image.
pub async fn gather(
    contents: Contents,
    client: &Client,
    concurrency: usize,
    events: &(dyn Fn(Event) + Send + Sync),
) -> Result<Layout, Error> {
    let _ = (contents, client, concurrency, events);
    todo!()
}

impl Layout {
    /// How much it holds.
    pub fn totals(&self) -> Totals {
        Totals::default()
    }

    /// The bytes of `index.json`.
    pub fn index(&self) -> &[u8] {
        &[]
    }

    /// Digest of `index.json`.
    pub fn index_digest(&self) -> Digest {
        Digest::of(self.index())
    }
}
