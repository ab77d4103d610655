//! The blobs of an open file: each read where it lies, and hashed before it is believed. Must not know what they are.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::open::Found;
use super::place::Place;
use super::{Damage, Error};
use crate::digest::{Digest, Hasher};
use crate::layout::Descriptor;

/// What is read into memory is no longer.
const LARGEST: u64 = 256 << 20;

/// The file and where its blobs lie.
pub(super) struct Blobs {
    pub file: Arc<File>,
    pub path: PathBuf,
    pub size: u64,
    pub found: Found,
}

/// Reads one blob and hashes it. Its last bytes are given out only when digest and size are right: else reading them
/// fails with [`Damage`] inside the error.
pub struct BlobReader {
    file: Arc<File>,
    place: Place,
    done: u64,
    /// None once the blob was compared.
    hasher: Option<Hasher>,
    expected: Digest,
    pub(super) entry: String,
    needed_by: Vec<String>,
}

impl Blobs {
    pub fn read(&self, blob: &Descriptor, needed_by: Vec<String>) -> Result<Vec<u8>, Error> {
        let mut reader = self.reader(blob, needed_by)?;
        if blob.size > LARGEST {
            let problem = format!("it has {} bytes, too many to be read at once", blob.size);
            return Err(Error::Entry { entry: reader.entry, offset: reader.place.offset, problem });
        }
        let mut bytes = Vec::with_capacity(blob.size as usize);
        reader.read_to_end(&mut bytes).map_err(|error| Error::reading(&self.path, error))?;
        Ok(bytes)
    }

    pub fn reader(&self, blob: &Descriptor, needed_by: Vec<String>) -> Result<BlobReader, Error> {
        let entry = self.found.entry(&blob.digest);
        match self.found.place(&blob.digest) {
            None => Err(Error::Missing { entry, needed_by }),
            Some(place) if place.size != blob.size => {
                Err(Error::Size { entry, expected: blob.size, actual: place.size, needed_by })
            }
            Some(place) => {
                let (file, hasher) = (self.file.clone(), Some(Hasher::default()));
                Ok(BlobReader { file, place, done: 0, hasher, expected: blob.digest, entry, needed_by })
            }
        }
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.place.size - self.done;
        let step = (buffer.len() as u64).min(left) as usize;
        if step == 0 && left > 0 {
            return Ok(0);
        }
        let n = self.file.read_at(&mut buffer[..step], self.place.offset + self.done)?;
        if n == 0 && left > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the bundle became shorter"));
        }
        self.done += n as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..n]);
        }
        if self.done == self.place.size
            && let Some(hasher) = self.hasher.take()
        {
            self.compare(hasher.finish())?;
        }
        Ok(n)
    }
}

impl BlobReader {
    fn compare(&self, actual: Digest) -> io::Result<()> {
        if actual == self.expected {
            return Ok(());
        }
        let (entry, needed_by) = (self.entry.clone(), self.needed_by.clone());
        let damage = Damage { entry, expected: self.expected, actual, needed_by };
        Err(io::Error::new(io::ErrorKind::InvalidData, damage))
    }
}

impl std::fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} of {} bytes)", self.entry, self.done, self.place.size)
    }
}

impl std::fmt::Debug for Blobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} blobs)", self.path.display(), self.found.blobs.len())
    }
}
