//! An open bundle: everything is read where it lies, and hashed before it is believed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::blobs::{BlobReader, Blobs};
use super::open;
use super::walk::{Holding, walk};
use super::{ChartInfo, Error, ExtraInfo, ImageInfo, Signed, ToolInfo, Totals, Trust};
use crate::digest::Digest;
use crate::files::{FileError, Store};
use crate::layout::Descriptor;

/// No definition's tar is longer: its files have at most 100 MiB.
const LARGEST_DEFINITION: u64 = 128 << 20;

/// A bundle that was opened. Several threads may read at once.
#[derive(Debug)]
pub struct Bundle {
    pub(super) blobs: Blobs,
    pub(super) holding: Holding,
    platctl: ToolInfo,
    definition: Descriptor,
    pub(super) places: Descriptor,
}

impl Bundle {
    /// Opens a bundle: reads index and manifests and finds every blob.
    ///
    /// # Errors
    /// [`Error`] that it is not signed by a key that is trusted, or naming the entry that is missing, cut short, unknown
    /// or not as platctl writes it.
    pub fn trusted(path: &Path, trust: &Trust) -> Result<Bundle, Error> {
        // Looked at first: to open a pipe would wait for its other end.
        if !std::fs::metadata(path).map_err(FileError::at("read", path))?.is_file() {
            return Err(Error::NoBundle { path: path.to_owned(), problem: "it is no file".to_owned() });
        }
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
        let (facts, file) = opened.map_err(FileError::at("read", path))?;
        let found = open::find(&file, path, facts.len(), trust)?;
        let blobs = Blobs { file: Arc::new(file), path: path.to_owned(), size: facts.len(), found };
        let mut holding = walk(&blobs)?;
        let lacks = |what: &str| Error::Index { problem: format!("it has no {what}") };
        let platctl = holding.platctl.take().ok_or_else(|| lacks("platctl"))?;
        let definition = holding.definition.take().ok_or_else(|| lacks("definition"))?;
        let places = holding.places.take().ok_or_else(|| lacks("places of images"))?;
        holding.needs_all(&blobs.found)?;
        Ok(Bundle { blobs, holding, platctl, definition, places })
    }

    /// The same where nobody is trusted: for tests, so that no verb leaves the check out.
    ///
    /// # Errors
    /// As [`Bundle::trusted`].
    #[cfg(test)]
    pub fn open(path: &Path) -> Result<Bundle, Error> {
        Bundle::trusted(path, &Trust::default())
    }

    /// What is known of its signature.
    pub fn signed(&self) -> &Signed {
        &self.blobs.found.signed
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.blobs.path
    }

    /// The bytes of `index.json`, which a signature is over.
    pub fn index(&self) -> &[u8] {
        &self.blobs.found.index
    }

    /// The digest of `index.json`, which names the bundle.
    pub fn index_digest(&self) -> Digest {
        Digest::of(self.index())
    }

    /// Size of the file.
    pub fn size(&self) -> u64 {
        self.blobs.size
    }

    /// The environment it is for.
    pub fn environment(&self) -> &str {
        &self.holding.environment
    }

    /// The definition's files, a plain tar.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn definition(&self) -> Result<Vec<u8>, Error> {
        if self.definition.size > LARGEST_DEFINITION {
            let problem = format!("it has more than {LARGEST_DEFINITION} bytes");
            return Err(Error::Document { what: "the definition".to_owned(), problem });
        }
        self.read(&self.definition)
    }

    /// The charts, sorted by name and version.
    pub fn charts(&self) -> &[ChartInfo] {
        &self.holding.charts
    }

    /// The tools, sorted by name, version and platform.
    pub fn tools(&self) -> &[ToolInfo] {
        &self.holding.tools
    }

    /// The platctl binary.
    pub fn platctl(&self) -> &ToolInfo {
        &self.platctl
    }

    /// The images, sorted by reference.
    pub fn images(&self) -> &[ImageInfo] {
        &self.holding.images
    }

    /// The extra files, sorted by name.
    pub fn extras(&self) -> &[ExtraInfo] {
        &self.holding.extras
    }

    /// How much it holds.
    pub fn totals(&self) -> Totals {
        Totals { bytes: self.size(), ..Totals::of(self.charts().len(), self.images()) }
    }

    /// A blob's bytes, checked. Meant for what is small.
    ///
    /// # Errors
    /// [`Error::Damaged`], or that there is no such blob, or that it is too large for memory.
    pub fn read(&self, blob: &Descriptor) -> Result<Vec<u8>, Error> {
        self.blobs.read(blob, self.needed_by(&blob.digest))
    }

    /// Copies a blob into the store, checked; what is there already is left.
    ///
    /// # Errors
    /// [`Error::Damaged`], or that there is no such blob, or that the disk refuses.
    pub fn extract(&self, blob: &Descriptor, store: &Store) -> Result<PathBuf, Error> {
        if let Some(path) = store.get_checked(&blob.digest)? {
            return Ok(path);
        }
        let reader = self.reader(blob)?;
        let entry = reader.entry.clone();
        let put = store.put(&entry, Some(&blob.digest), reader);
        Ok(put.map_err(|error| Error::storing(self.path(), error))?.1)
    }

    /// A reader of a blob that hashes and fails at the end when digest or size is wrong.
    ///
    /// # Errors
    /// That there is no such blob.
    pub fn reader(&self, blob: &Descriptor) -> Result<BlobReader, Error> {
        self.blobs.reader(blob, self.needed_by(&blob.digest))
    }

    pub(super) fn needed_by(&self, digest: &Digest) -> Vec<String> {
        self.holding.needed_by.get(digest).cloned().unwrap_or_default()
    }
}
