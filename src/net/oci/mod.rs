//! The registry protocol (OCI distribution specification) over the client: manifests, blobs, tags, uploads.
//! Must not know what an image is for.

use std::path::PathBuf;

use super::{Client, Error};
use crate::digest::Digest;
use crate::files::Store;
use crate::image::Reference;
use crate::layout::Descriptor;

/// A manifest or index as the registry has it; the bytes were hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Digest of the bytes.
    pub digest: Digest,
    /// Media type, from the document itself where it says so.
    pub media_type: String,
    /// The document.
    pub bytes: Vec<u8>,
}

/// One repository of a registry.
#[derive(Clone)]
pub struct Repository {
    _client: Client,
}

impl Client {
    /// A repository, by registry host and path (`docker.io`, `library/busybox`), through the mirrors.
    pub fn repository(&self, host: &str, path: &str) -> Repository {
        let _ = (host, path);
        Repository { _client: self.clone() }
    }

    /// The manifest or index that a reference stands for: by its digest where it has one, else by its tag.
    ///
    /// # Errors
    /// As [`Repository::manifest`].
    pub async fn resolve(&self, reference: &Reference) -> Result<Document, Error> {
        self.repository(&reference.host, &reference.path).manifest(&reference.wanted()).await
    }
}

impl Repository {
    /// A manifest or index by tag or digest.
    ///
    /// # Errors
    /// [`Error`]; bytes that are not what the digest promised are [`super::Reason::Mismatch`].
    pub async fn manifest(&self, wanted: &str) -> Result<Document, Error> {
        let _ = wanted;
        todo!()
    }

    /// The digest of a manifest by tag or digest, `None` when the registry has it not.
    ///
    /// # Errors
    /// [`Error`] for any answer but "here it is" and "not found".
    pub async fn head_manifest(&self, wanted: &str) -> Result<Option<Digest>, Error> {
        let _ = wanted;
        todo!()
    }

    /// All tags.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn tags(&self) -> Result<Vec<String>, Error> {
        todo!()
    }

    /// A small blob, checked.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn blob_bytes(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, Error> {
        let _ = (descriptor, limit);
        todo!()
    }

    /// Downloads a blob into the store, checked; what is there already is not fetched.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn download_blob(&self, descriptor: &Descriptor, store: &Store) -> Result<PathBuf, Error> {
        let _ = (descriptor, store);
        todo!()
    }
}
