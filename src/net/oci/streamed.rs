//! A request's body that a thread reads ahead of the connection, with the watch over both. Must not know what the
//! bytes are.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Response;
use tokio::sync::mpsc;

use crate::net::Reason;
use crate::net::error::Failure;

/// What is read at once. Three of them are in memory for each upload.
const CHUNK: usize = 1 << 20;
const LOOK: Duration = Duration::from_millis(100);
/// After the last byte a registry may hash and move the blob before it answers.
const MORE_PATIENCE: u32 = 10;

/// What is under way of one body, for the thread that reads, the connection that sends and the watch over both.
#[derive(Default)]
pub(super) struct Progress {
    sent: AtomicU64,
    /// Why the reader failed.
    unread: Mutex<Option<io::Error>>,
}

impl Progress {
    /// Bytes given to the connection.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Why the reader failed, if it did.
    pub fn unread(&self) -> Option<io::Error> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn fail(&self, error: io::Error) {
        *self.unread.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

/// The body: everything that the reader gives.
pub(super) fn streamed(mut reader: impl Read + Send + 'static, progress: Arc<Progress>) -> reqwest::Body {
    let (sender, mut chunks) = mpsc::channel::<io::Result<Bytes>>(1);
    let failed = progress.clone();
    tokio::task::spawn_blocking(move || {
        loop {
            let chunk = match read_chunk(&mut reader) {
                Ok(chunk) if chunk.is_empty() => return,
                Ok(chunk) => Ok(chunk),
                Err(error) => {
                    let told = io::Error::new(error.kind(), error.to_string());
                    failed.fail(error);
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
        if let Poll::Ready(Some(Ok(chunk))) = &polled {
            progress.sent.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
        polled
    }))
}

fn read_chunk(reader: &mut impl Read) -> io::Result<Bytes> {
    let mut chunk = vec![0; CHUNK];
    let mut filled = 0;
    while filled < chunk.len() {
        match reader.read(&mut chunk[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    chunk.truncate(filled);
    Ok(chunk.into())
}

/// Waits for the answer to a body of `size` bytes as long as bytes are taken, and then for a good while more.
pub(super) async fn watched(
    answered: impl Future<Output = Result<Response, Failure>>,
    size: u64,
    progress: &Progress,
    patience: Duration,
    tell: &mut (dyn FnMut(u64) + Send),
) -> Result<Response, Failure> {
    let mut answered = std::pin::pin!(answered);
    let (mut last, mut since) = (0, Instant::now());
    loop {
        if let Ok(answer) = tokio::time::timeout(LOOK, &mut answered).await {
            return answer;
        }
        let now = progress.sent();
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
