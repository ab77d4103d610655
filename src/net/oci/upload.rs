//! Uploading blobs: mounting from another repository, or one POST and one PUT with a body that is read while it is
//! sent.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Method, Response, StatusCode};
use tokio::sync::mpsc;
use url::Url;

use super::Repository;
use crate::digest::Digest;
use crate::net::client::{Ask, refusal};
use crate::net::error::Failure;
use crate::net::mirrors::authority;
use crate::net::retry::Tries;
use crate::net::{Error, Reason};

const CHUNK: usize = 1 << 20;
const LOOK: Duration = Duration::from_millis(100);
/// After the last byte a registry may hash and move the blob before it answers.
const MORE_PATIENCE: u32 = 10;

/// What is under way of one upload, for the thread that reads, the connection that sends and the watch over both.
#[derive(Default)]
struct Progress {
    sent: AtomicU64,
    /// Why the reader failed.
    unread: Mutex<Option<io::Error>>,
}

impl Repository {
    /// Takes a blob over from another repository of the same registry; false when the registry would not.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn mount_blob(&self, digest: &Digest, from: &Repository) -> Result<bool, Error> {
        let below = format!("blobs/uploads/?mount={digest}&from={}", from.path);
        let mut ask = self.change(Method::POST, &below, self.shown(&digest.to_string()))?;
        ask.scope = ask.scope.map(|scope| scope.and_mount(&from.path));
        let mut tries = Tries::of(&self.client);
        loop {
            match self.client.send_any(&ask).await {
                Ok(response) if response.status() == StatusCode::CREATED => return Ok(true),
                Ok(response) if response.status() == StatusCode::ACCEPTED => {
                    self.cancel(&ask, &response).await;
                    return Ok(false);
                }
                // No leave to read the other repository is no reason to give up: the blob can be sent.
                Ok(response) if matches!(response.status().as_u16(), 400..=405) => return Ok(false),
                Ok(response) => tries.failed(&ask, refusal(response).await).await?,
                Err(failure) => tries.failed(&ask, failure).await?,
            }
        }
    }

    /// Sends a blob. `open` gives a reader of all its bytes, once for each try; a reader that fails before its last
    /// bytes aborts the upload. `sent` hears how many bytes more were sent, each counted once.
    ///
    /// # Errors
    /// [`Error`]; what the reader failed with is in [`Reason::Source`].
    pub async fn upload_blob<R: Read + Send + 'static>(
        &self,
        digest: &Digest,
        size: u64,
        open: impl Fn() -> io::Result<R>,
        sent: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), Error> {
        let ask = self.change(Method::POST, "blobs/uploads/", self.shown(&digest.to_string()))?;
        let mut tries = Tries::of(&self.client);
        let mut told = 0;
        loop {
            let progress = Arc::new(Progress::default());
            let reader = open().map_err(|error| self.client.error(&ask, tries.made(), Reason::Source(error)))?;
            let mut tell = |now: u64| {
                if now > told {
                    sent(now - told);
                    told = now;
                }
            };
            let done = self.upload_once(&ask, digest, size, reader, &progress, &mut tell).await;
            let Err(mut failure) = done else { return Ok(()) };
            if let Some(error) = progress.unread.lock().unwrap_or_else(PoisonError::into_inner).take() {
                failure = Reason::Source(error).into();
            }
            tries.failed(&ask, failure).await?;
            // The answer may have been lost, not the blob.
            if self.head_blob(digest).await?.is_some() {
                return Ok(());
            }
        }
    }

    async fn upload_once(
        &self,
        ask: &Ask,
        digest: &Digest,
        size: u64,
        reader: impl Read + Send + 'static,
        progress: &Arc<Progress>,
        tell: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), Failure> {
        let started = self.client.send(ask).await?;
        let mut place = upload_place(ask, &started)?;
        place.query_pairs_mut().append_pair("digest", &digest.to_string());
        let mut put = Ask { method: Method::PUT, url: place, ..ask.clone() };
        put.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        put.headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
        if authority(&put.url) != authority(&ask.url) {
            put.scope = None;
        }
        let authorization = self.client.authorization(&put).await?;
        let answered = self.client.send_body(&put, authorization, streamed(reader, progress.clone()));
        let response = self.watched(answered, size, progress, tell).await?;
        if response.status() == StatusCode::CREATED || response.status() == StatusCode::NO_CONTENT {
            tell(size);
            return Ok(());
        }
        Err(refusal(response).await)
    }

    /// Waits for the answer as long as bytes are taken, and then for a good while more.
    async fn watched(
        &self,
        answered: impl Future<Output = Result<Response, Failure>>,
        size: u64,
        progress: &Progress,
        tell: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Response, Failure> {
        let mut answered = std::pin::pin!(answered);
        let patience = self.client.settings().timeout;
        let (mut last, mut since) = (0, Instant::now());
        loop {
            if let Ok(answer) = tokio::time::timeout(LOOK, &mut answered).await {
                return answer;
            }
            let now = progress.sent.load(Ordering::Relaxed);
            if now != last {
                (last, since) = (now, Instant::now());
                tell(now);
            }
            let patience = if now >= size { patience * MORE_PATIENCE } else { patience };
            if since.elapsed() > patience {
                return Err(Reason::Timeout(patience).into());
            }
        }
    }

    /// Gives up an upload that the registry began for us; if that fails, the registry forgets it by itself.
    async fn cancel(&self, ask: &Ask, response: &Response) {
        if let Ok(place) = upload_place(ask, response) {
            let ask = Ask { method: Method::DELETE, url: place, ..ask.clone() };
            let _ = self.client.send_any(&ask).await;
        }
    }
}

/// Where the registry wants the bytes. Some say `http` behind a proxy that does TLS for them.
fn upload_place(ask: &Ask, response: &Response) -> Result<Url, Reason> {
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let place = location.and_then(|location| ask.url.join(location).ok());
    let mut place = place.ok_or_else(|| Reason::Protocol("an upload without an address".to_owned()))?;
    if place.host_str() == ask.url.host_str() && ask.url.scheme() == "https" && place.scheme() == "http" {
        // Fails for no URL that begins with http.
        let _ = place.set_scheme("https");
    }
    Ok(place)
}

/// A body that a thread reads ahead of the connection.
fn streamed(mut reader: impl Read + Send + 'static, progress: Arc<Progress>) -> reqwest::Body {
    let (sender, mut chunks) = mpsc::channel::<io::Result<Bytes>>(2);
    let failed = progress.clone();
    tokio::task::spawn_blocking(move || {
        loop {
            let chunk = match read_chunk(&mut reader) {
                Ok(chunk) if chunk.is_empty() => return,
                Ok(chunk) => Ok(chunk),
                Err(error) => {
                    let told = io::Error::new(error.kind(), error.to_string());
                    *failed.unread.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    Err(told)
                }
            };
            // The other end is gone when the connection is; and nothing follows a failure.
            let last = chunk.is_err();
            if sender.blocking_send(chunk).is_err() || last {
                return;
            }
        }
    });
    reqwest::Body::wrap_stream(futures_util::stream::poll_fn(move |context| {
        let polled = chunks.poll_recv(context);
        if let std::task::Poll::Ready(Some(Ok(chunk))) = &polled {
            progress.sent.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
        polled
    }))
}

fn read_chunk(reader: &mut impl Read) -> io::Result<Bytes> {
    let mut chunk = Vec::with_capacity(CHUNK);
    reader.take(CHUNK as u64).read_to_end(&mut chunk)?;
    Ok(chunk.into())
}
