//! Streams one blob into its place: read while the bytes before are hashed and written by another thread.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};

use super::assemble::{Blob, Source};
use super::place::{Beginning, Place};
use super::resume::Missing;
use super::{Error, Event};
use crate::digest::{Digest, Hasher};
use crate::files::FileError;
use crate::net::{Budget, Client};

/// So much is hashed and written at a time.
const STEP: usize = 1 << 20;

/// Where all blobs go.
pub(super) struct Target<'a> {
    pub file: Arc<File>,
    pub path: &'a Path,
    pub events: &'a (dyn Fn(Event) + Send + Sync),
}

/// Streams a blob into its place, hashed.
pub(super) async fn transfer(
    target: &Target<'_>,
    client: &Client,
    budget: &Budget,
    missing: &Missing<'_>,
) -> Result<(), Error> {
    let Missing { entry, blob, kept, .. } = missing;
    let of = blob.needed_by.first().cloned().unwrap_or_default();
    match &blob.source {
        Source::File(path) => copy(target, entry.place, path, blob.digest, &of).await?,
        Source::Repository(..) | Source::Web(_) => {
            let _permit = budget.permit().await;
            let mut fetched = fetch(target, client, entry.place, blob, kept.clone(), &of).await;
            if fetched.as_ref().is_err_and(Failure::is_mismatch) {
                // What an earlier run left was no beginning of it, or something on the way altered it.
                fetched = fetch(target, client, entry.place, blob, Beginning::default(), &of).await;
            }
            fetched.map_err(|failure| match failure {
                Failure::Net(source) => Error::Fetch { what: names(&blob.needed_by), source },
                Failure::Own(error) => error,
            })?;
        }
    }
    (target.events)(Event::BlobDone { of });
    Ok(())
}

enum Failure {
    Net(crate::net::Error),
    Own(Error),
}

impl Failure {
    fn is_mismatch(&self) -> bool {
        matches!(self, Failure::Net(error) if matches!(error.reason, crate::net::Reason::Mismatch { .. }))
    }
}

impl From<crate::net::Error> for Failure {
    fn from(error: crate::net::Error) -> Failure {
        Failure::Net(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Own(error)
    }
}

async fn fetch(
    target: &Target<'_>,
    client: &Client,
    place: Place,
    blob: &Blob,
    kept: Beginning,
    of: &str,
) -> Result<(), Failure> {
    let repository;
    let mut body = match &blob.source {
        Source::Repository(host, path) => {
            repository = client.repository(host, path);
            repository.blob_from(&blob.digest, place.size, kept.bytes)?
        }
        Source::Web(url) => client.file_from(url, place.size, kept.bytes)?,
        Source::File(path) => return Ok(copy(target, place, path, blob.digest, of).await?),
    };
    let mut sink = Sink::new(target, place, kept);
    let (mut chunks, mut held) = (Vec::new(), 0);
    loop {
        let chunk = match body.next().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(error) => {
                // The next run goes on behind what came.
                sink.put(chunks).await?;
                sink.finish().await?;
                return Err(error.into());
            }
        };
        held += chunk.len();
        chunks.push(chunk);
        if held >= STEP {
            sink.put(std::mem::take(&mut chunks)).await?;
            (target.events)(Event::Bytes { bytes: held as u64, of: of.to_owned() });
            held = 0;
        }
    }
    sink.put(chunks).await?;
    (target.events)(Event::Bytes { bytes: held as u64, of: of.to_owned() });
    let actual = sink.finish().await?;
    if actual == blob.digest { Ok(()) } else { Err(body.mismatch(blob.digest, actual).into()) }
}

/// Copies a file of this machine.
async fn copy(target: &Target<'_>, place: Place, path: &Path, expected: Digest, of: &str) -> Result<(), Error> {
    let mut from = File::open(path).map_err(FileError::at("read", path))?;
    let mut sink = Sink::new(target, place, Beginning::default());
    let mut left = place.size;
    while left > 0 {
        let step = left.min(STEP as u64);
        let read = spawn_blocking(move || {
            let mut bytes = vec![0; step as usize];
            from.read_exact(&mut bytes).map(|()| (from, bytes))
        });
        let read = read.await.map_err(std::io::Error::from).flatten().map_err(FileError::at("read", path))?;
        from = read.0;
        sink.put(vec![read.1.into()]).await?;
        left -= step;
        (target.events)(Event::Bytes { bytes: step, of: of.to_owned() });
    }
    let actual = sink.finish().await?;
    if actual == expected { Ok(()) } else { Err(Error::Changed { path: path.to_owned(), expected, actual }) }
}

/// Hashes and writes one step while the next is being read.
struct Sink<'a> {
    target: &'a Target<'a>,
    offset: u64,
    hasher: Option<Hasher>,
    busy: Option<JoinHandle<std::io::Result<Hasher>>>,
}

impl<'a> Sink<'a> {
    fn new(target: &'a Target<'a>, place: Place, kept: Beginning) -> Sink<'a> {
        Sink { target, offset: place.offset + kept.bytes, hasher: Some(kept.hasher), busy: None }
    }

    async fn put(&mut self, chunks: Vec<Bytes>) -> Result<(), Error> {
        let mut hasher = self.idle().await?;
        let (file, mut offset) = (self.target.file.clone(), self.offset);
        self.offset += chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
        self.busy = Some(spawn_blocking(move || {
            for chunk in chunks {
                hasher.update(&chunk);
                file.write_all_at(&chunk, offset)?;
                offset += chunk.len() as u64;
            }
            Ok(hasher)
        }));
        Ok(())
    }

    async fn finish(mut self) -> Result<Digest, Error> {
        Ok(self.idle().await?.finish())
    }

    /// Waits for the step before.
    async fn idle(&mut self) -> Result<Hasher, Error> {
        let Some(busy) = self.busy.take() else { return Ok(self.hasher.take().unwrap_or_default()) };
        let done = busy.await.map_err(std::io::Error::from).flatten();
        Ok(done.map_err(FileError::at("write", self.target.path))?)
    }
}

fn names(needed_by: &[String]) -> String {
    match needed_by {
        [] => "the bundle".to_owned(),
        [first, rest @ ..] if rest.len() > 2 => format!("{first} and {} more", rest.len()),
        all => all.join(", "),
    }
}
