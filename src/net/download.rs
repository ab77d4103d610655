//! Whole documents and files from the web: into memory when small, into the store when not.

use std::io::{self, Read};
use std::path::PathBuf;

use bytes::Bytes;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_RANGE, HeaderMap, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode};
use tokio::sync::mpsc;
use url::Url;

use super::body::Body;
use super::client::{Ask, refusal};
use super::error::{Failure, shown};
use super::retry::Tries;
use super::{Client, Error, Reason};
use crate::digest::Digest;
use crate::files::{Store, StoreError};

impl Client {
    /// Gets a document of at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error`] with the URL, why and after how many tries.
    pub async fn get_bytes(&self, url: &str, limit: u64) -> Result<Vec<u8>, Error> {
        let mut ask = self.web(url)?;
        ask.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let mut tries = Tries::of(self);
        loop {
            match self.document(&ask, limit).await {
                Ok(bytes) => return Ok(bytes),
                Err(failure) => tries.failed(&ask, failure).await?,
            }
        }
    }

    /// Downloads into the store, hashing on the way; with a digest, what is there already is not fetched.
    ///
    /// # Errors
    /// [`Error`]; a digest that differs is [`Reason::Mismatch`] and nothing is kept.
    pub async fn download(
        &self,
        url: &str,
        expected: Option<&Digest>,
        store: &Store,
    ) -> Result<(Digest, PathBuf), Error> {
        let ask = self.web(url)?;
        if let Some(expected) = expected {
            return self.keep(Body::known(self, ask, None), Some(*expected), store).await;
        }
        let mut tries = Tries::of(self);
        loop {
            match self.keep(Body::unknown(self, ask.clone()), None, store).await {
                Ok(kept) => return Ok(kept),
                Err(error) => tries.failed(&ask, error.reason.into()).await?,
            }
        }
    }

    /// How long a file is, as far as its server says.
    ///
    /// # Errors
    /// [`Error`] with the URL.
    pub async fn size(&self, url: &str) -> Result<Option<u64>, Error> {
        let mut ask = self.web(url)?;
        // Some servers refuse HEAD, and addresses that are signed are so for GET alone.
        ask.headers.insert(RANGE, HeaderValue::from_static("bytes=0-0"));
        let mut tries = Tries::of(self);
        loop {
            let failure = match self.send_any(&ask).await {
                Ok(response) if response.status() == StatusCode::RANGE_NOT_SATISFIABLE => return Ok(Some(0)),
                Ok(response) if response.status().is_success() => return Ok(length(&response)),
                Ok(response) => refusal(response).await,
                Err(failure) => failure,
            };
            tries.failed(&ask, failure).await?;
        }
    }

    /// A file of known length as a stream, from a place inside on. Whoever reads it checks its digest.
    ///
    /// # Errors
    /// [`Error`] when it is no address; nothing is sent yet.
    pub fn file_from(&self, url: &str, size: u64, offset: u64) -> Result<Body<'_>, Error> {
        Ok(Body::known(self, self.web(url)?, Some(size)).from(offset))
    }

    /// Takes a download into the store.
    pub(super) async fn keep(
        &self,
        mut body: Body<'_>,
        expected: Option<Digest>,
        store: &Store,
    ) -> Result<(Digest, PathBuf), Error> {
        if let Some(expected) = expected
            && let Some(path) = present(store, expected).await.map_err(|reason| body.failed(reason))?
        {
            return Ok((expected, path));
        }
        let (sender, chunks) = mpsc::channel(4);
        let into = store.clone();
        let kept = tokio::task::spawn_blocking(move || into.put("", expected.as_ref(), Chunks::from(chunks)));
        loop {
            let chunk = body.next().await?;
            let ended = chunk.is_none();
            // The other end is gone when the disk failed; its error says why.
            if sender.send(chunk).await.is_err() || ended {
                break;
            }
        }
        let kept = kept.await.map_err(|error| body.failed(Reason::Source(error.into())))?;
        kept.map_err(|error| match error {
            StoreError::Mismatch { expected, actual, .. } => body.mismatch(expected, actual),
            other => body.failed(Reason::Store(other)),
        })
    }

    fn web(&self, url: &str) -> Result<Ask, Error> {
        let wrong = |message: String| {
            let reason = Reason::Address(message);
            // A text that is no URL may still have a login in it.
            let url = url.rsplit('@').next().unwrap_or_default().to_owned();
            Error { url, via: None, tries: 0, reason }
        };
        let own = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        if !matches!(own.scheme(), "http" | "https") {
            return Err(wrong(format!("`{}` is neither http nor https", own.scheme())));
        }
        let target = self.settings().mirrors.web(&own);
        let repository =
            self.repository_at(&target).map_err(|reason| Error { url: shown(&own), via: None, tries: 0, reason })?;
        let shown = shown(&own);
        Ok(Ask { method: Method::GET, url: target, shown, headers: HeaderMap::new(), scope: None, repository })
    }

    async fn document(&self, ask: &Ask, limit: u64) -> Result<Vec<u8>, Failure> {
        let response = self.send(ask).await?;
        let packed = response.headers().get(CONTENT_ENCODING).is_some_and(|value| value.as_bytes() == b"gzip");
        let bytes = self.whole(response, limit).await?;
        if packed { Ok(unpacked(&bytes, limit)?) } else { Ok(bytes) }
    }
}

/// `bytes 0-0/200` is of 200 bytes; a server without ranges sends them all.
fn length(response: &Response) -> Option<u64> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return response.content_length();
    }
    response.headers().get(CONTENT_RANGE)?.to_str().ok()?.rsplit_once('/')?.1.parse().ok()
}

async fn present(store: &Store, digest: Digest) -> Result<Option<PathBuf>, Reason> {
    let store = store.clone();
    let looked = tokio::task::spawn_blocking(move || store.get_checked(&digest)).await;
    looked.map_err(|error| Reason::Source(error.into()))?.map_err(|error| Reason::Store(error.into()))
}

fn unpacked(bytes: &[u8], limit: u64) -> Result<Vec<u8>, Reason> {
    let mut out = Vec::new();
    let read = flate2::read::MultiGzDecoder::new(bytes).take(limit.saturating_add(1)).read_to_end(&mut out);
    read.map_err(|error| Reason::Protocol(format!("the gzip encoding is broken: {error}")))?;
    if out.len() as u64 > limit { Err(Reason::TooLarge { limit }) } else { Ok(out) }
}

/// The chunks of a download as a reader for a thread that may block. It ends well only after an explicit end: when
/// the download is given up, so must be what is read of it.
struct Chunks {
    chunks: mpsc::Receiver<Option<Bytes>>,
    current: Bytes,
    ended: bool,
}

impl From<mpsc::Receiver<Option<Bytes>>> for Chunks {
    fn from(chunks: mpsc::Receiver<Option<Bytes>>) -> Chunks {
        Chunks { chunks, current: Bytes::new(), ended: false }
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.chunks.blocking_recv() {
                Some(Some(chunk)) => self.current = chunk,
                Some(None) => self.ended = true,
                None => return Err(io::Error::other("the download was given up")),
            }
        }
        let n = buffer.len().min(self.current.len());
        buffer[..n].copy_from_slice(&self.current.split_to(n));
        Ok(n)
    }
}
