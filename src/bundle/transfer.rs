//! Streams one blob into its place: read while the bytes before are hashed and written by another thread.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};

use super::assemble::{Blob, Entry, Source};
use super::place::Place;
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
    entry: &Entry,
    blob: &Blob,
) -> Result<(), Error> {
    let of = blob.needed_by.first().cloned().unwrap_or_default();
    match &blob.source {
        Source::File(path) => copy(target, entry.place, path, blob.digest, &of).await?,
        Source::Repository(host, path) => {
            let _permit = budget.permit().await;
            let fetched = fetch(target, client, (host, path), entry.place, blob.digest, &of).await;
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
    (host, path): (&str, &str),
    place: Place,
    digest: Digest,
    of: &str,
) -> Result<(), Failure> {
    let repository = client.repository(host, path);
    let mut body = repository.blob(&digest, place.size)?;
    let mut sink = Sink::new(target, place);
    let (mut chunks, mut held) = (Vec::new(), 0);
    while let Some(chunk) = body.next().await? {
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
    if actual == digest { Ok(()) } else { Err(body.mismatch(digest, actual).into()) }
}

/// Copies a file of this machine.
async fn copy(target: &Target<'_>, place: Place, path: &Path, expected: Digest, of: &str) -> Result<(), Error> {
    let mut from = File::open(path).map_err(FileError::at("read", path))?;
    let mut sink = Sink::new(target, place);
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
    fn new(target: &'a Target<'a>, place: Place) -> Sink<'a> {
        Sink { target, offset: place.offset, hasher: Some(Hasher::default()), busy: None }
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
