//! Downloading blobs.

use std::path::PathBuf;

use reqwest::{Method, StatusCode};

use super::Repository;
use crate::digest::Digest;
use crate::files::Store;
use crate::layout::Descriptor;
use crate::net::client::{Ask, refusal};
use crate::net::retry::Tries;
use crate::net::{Body, Error, Reason};

impl Repository {
    /// A blob as a stream that goes on where it broke off. Whoever reads it checks the digest.
    ///
    /// # Errors
    /// [`Error`] when the registry's host is none; nothing is sent yet.
    pub fn blob(&self, digest: &Digest, size: u64) -> Result<Body<'_>, Error> {
        self.blob_from(digest, size, 0)
    }

    /// A blob from a place inside on: its first bytes are there already.
    ///
    /// # Errors
    /// As [`Repository::blob`].
    pub fn blob_from(&self, digest: &Digest, size: u64, offset: u64) -> Result<Body<'_>, Error> {
        Ok(Body::known(&self.client, self.about_blob(Method::GET, digest)?, Some(size)).from(offset))
    }

    /// A small blob, checked.
    ///
    /// # Errors
    /// [`Error`]; also when the descriptor promises more than `limit` bytes.
    pub async fn blob_bytes(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, Error> {
        let mut body = self.blob(&descriptor.digest, descriptor.size)?;
        if descriptor.size > limit {
            return Err(body.failed(Reason::TooLarge { limit }));
        }
        let mut bytes = Vec::with_capacity(descriptor.size as usize);
        while let Some(chunk) = body.next().await? {
            bytes.extend_from_slice(&chunk);
        }
        let actual = Digest::of(&bytes);
        if actual == descriptor.digest { Ok(bytes) } else { Err(body.mismatch(descriptor.digest, actual)) }
    }

    /// Downloads a blob into the store, checked; what is there already is not fetched.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn download_blob(&self, descriptor: &Descriptor, store: &Store) -> Result<PathBuf, Error> {
        let body = self.blob(&descriptor.digest, descriptor.size)?;
        Ok(self.client.keep(body, Some(descriptor.digest), store).await?.1)
    }

    /// The size of a blob, none when the registry has it not. A registry that does not say the size says 0.
    ///
    /// # Errors
    /// [`Error`] for any answer but "here it is" and "not found".
    pub async fn head_blob(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let ask = self.about_blob(Method::HEAD, digest)?;
        let mut tries = Tries::of(&self.client);
        loop {
            match self.client.send_any(&ask).await {
                Ok(response) if response.status() == StatusCode::NOT_FOUND => return Ok(None),
                Ok(response) if response.status().is_success() => {
                    let length = response.headers().get("content-length").and_then(|value| value.to_str().ok());
                    return Ok(Some(length.and_then(|length| length.parse().ok()).unwrap_or_default()));
                }
                Ok(response) => tries.failed(&ask, refusal(response).await).await?,
                Err(failure) => tries.failed(&ask, failure).await?,
            }
        }
    }

    fn about_blob(&self, method: Method, digest: &Digest) -> Result<Ask, Error> {
        self.ask(method, &format!("blobs/{digest}"), self.shown(&digest.to_string()))
    }
}
