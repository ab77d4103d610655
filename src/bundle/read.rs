//! An open bundle: everything is read where it lies, and hashed.

use std::io;
use std::path::{Path, PathBuf};

use super::{ChartInfo, Damage, Error, Event, ImageInfo, ToolInfo};
use crate::digest::Digest;
use crate::files::Store;
use crate::layout::Descriptor;

/// A bundle that was opened. Several threads may read at once.
#[derive(Debug)]
pub struct Bundle {}

/// Reads one blob; fails at its end when digest or size is wrong.
#[derive(Debug)]
pub struct BlobReader {}

/// What a check of all blobs found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Entries hashed.
    pub entries: usize,
    /// Bytes hashed.
    pub bytes: u64,
    /// Those that are not what the index promises.
    pub damaged: Vec<Damage>,
}

impl Bundle {
    /// Opens a bundle: reads index and manifests and finds every blob.
    ///
    /// # Errors
    /// [`Error`] naming the entry that is missing, cut short, unknown or not as platctl writes it.
    pub fn open(path: &Path) -> Result<Bundle, Error> {
        let _ = path;
        todo!()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        todo!()
    }

    /// The bytes of `index.json`, which a signature is over.
    pub fn index(&self) -> &[u8] {
        todo!()
    }

    /// The digest of `index.json`, which names the bundle.
    pub fn index_digest(&self) -> Digest {
        todo!()
    }

    /// Size of the file.
    pub fn size(&self) -> u64 {
        todo!()
    }

    /// The environment it is for.
    pub fn environment(&self) -> &str {
        todo!()
    }

    /// The definition's files, a plain tar.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn definition(&self) -> Result<Vec<u8>, Error> {
        todo!()
    }

    /// The charts, sorted by name and version.
    pub fn charts(&self) -> &[ChartInfo] {
        todo!()
    }

    /// The tools, sorted.
    pub fn tools(&self) -> &[ToolInfo] {
        todo!()
    }

    /// The platctl binary.
    pub fn platctl(&self) -> &ToolInfo {
        todo!()
    }

    /// The images, sorted by reference.
    pub fn images(&self) -> &[ImageInfo] {
        todo!()
    }

    /// How much it holds.
    pub fn totals(&self) -> super::Totals {
        todo!()
    }

    /// A blob's bytes, checked. Meant for what is small.
    ///
    /// # Errors
    /// [`Error::Damaged`], or that there is no such blob.
    pub fn read(&self, blob: &Descriptor) -> Result<Vec<u8>, Error> {
        let _ = blob;
        todo!()
    }

    /// Copies a blob into the store, checked; what is there already is left.
    ///
    /// # Errors
    /// [`Error::Damaged`], or that there is no such blob.
    pub fn extract(&self, blob: &Descriptor, store: &Store) -> Result<PathBuf, Error> {
        let _ = (blob, store);
        todo!()
    }

    /// A reader of a blob that hashes and fails at the end when digest or size is wrong.
    ///
    /// # Errors
    /// That there is no such blob.
    pub fn reader(&self, blob: &Descriptor) -> Result<BlobReader, Error> {
        let _ = blob;
        todo!()
    }

    /// Hashes every blob, with as many threads as there are cores.
    ///
    /// # Errors
    /// Only what keeps it from reading; damage is in the answer.
    pub fn verify(&self, events: &(dyn Fn(Event) + Send + Sync)) -> Result<Verified, Error> {
        let _ = events;
        todo!()
    }
}

impl io::Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let _ = buffer;
        todo!()
    }
}
