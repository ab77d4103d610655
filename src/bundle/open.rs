//! Finds the entries of a bundle by their headers, and refuses whatever no bundle has. Must not read blobs.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::entry::{self, BLOCK, Block, END, PLATCTL, SIGNATURE_PATH, Said, padded};
use super::place::Place;
use super::{Error, Signed, Trust, index};
use crate::digest::Digest;
use crate::files::FileError;
use crate::layout::{Descriptor, INDEX_PATH, OCI_LAYOUT, OCI_LAYOUT_PATH, blob_path};

/// The entries of a bundle.
pub(super) struct Found {
    pub index: Vec<u8>,
    pub signed: Signed,
    pub top: Vec<Descriptor>,
    pub platctl: Place,
    pub blobs: BTreeMap<Digest, Place>,
    /// The digest whose blob is the platctl binary.
    pub link: Option<Digest>,
}

/// Walks over the headers of a tar.
struct Walk<'a> {
    file: &'a File,
    path: &'a Path,
    size: u64,
    offset: u64,
}

/// No signature is longer.
const LARGEST_SIGNATURE: u64 = 4096;
/// No bundle has more entries.
pub(super) const MOST_ENTRIES: usize = 100_000;

/// Finds all entries of a file of `size` bytes. Where somebody is trusted, nothing in it is read before the signature
/// is checked.
pub(super) fn find(file: &File, path: &Path, size: u64, trust: &Trust) -> Result<Found, Error> {
    let mut walk = Walk { file, path, size, offset: 0 };
    let platctl = walk.expect(PLATCTL)?;
    let layout = walk.expect(OCI_LAYOUT_PATH)?;
    if layout.size != OCI_LAYOUT.len() as u64 || walk.bytes(layout)? != OCI_LAYOUT.as_bytes() {
        return Err(walk.no_bundle("it is an OCI layout of another version"));
    }
    let place = walk.expect(INDEX_PATH)?;
    if place.size > index::LARGEST {
        return Err(walk.no_bundle("its index.json is too long"));
    }
    let index = walk.bytes(place)?;
    let signature = walk.signature()?;
    let signed = trust.check(path, &index, signature.as_deref())?;
    let (top, rest) = index::read(&index)?;
    walk.check_end(rest)?;
    let (blobs, link) = walk.blobs()?;
    Ok(Found { index, signed, top, platctl, blobs, link })
}

impl Walk<'_> {
    /// The next entry, which has to be this file.
    fn expect(&mut self, name: &str) -> Result<Place, Error> {
        let Some(block) = self.block()? else { return Err(self.no_bundle(&format!("it has no {name}"))) };
        match entry::read(&block) {
            Ok(said) if said.name == name && !said.link => self.enter(&said),
            _ => Err(self.no_bundle(&format!("the entry `{name}` is not where it should be, at byte {}", self.offset))),
        }
    }

    /// The signature, if the next entry is one. A file that ends here has none; that it ends is said later.
    fn signature(&mut self) -> Result<Option<Vec<u8>>, Error> {
        if self.size < self.offset + END {
            return Ok(None);
        }
        let Some(block) = self.block()? else { return Ok(None) };
        match entry::read(&block) {
            Ok(said) if said.name == SIGNATURE_PATH && !said.link => {
                if said.size > LARGEST_SIGNATURE {
                    return Err(self.no_bundle(&format!("its {SIGNATURE_PATH} is too long")));
                }
                let place = self.enter(&said)?;
                self.bytes(place).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// All entries up to the end.
    fn blobs(&mut self) -> Result<(BTreeMap<Digest, Place>, Option<Digest>), Error> {
        let (mut blobs, mut link) = (BTreeMap::new(), None);
        while let Some(block) = self.block()? {
            let offset = self.offset;
            let refused = |(entry, problem)| Error::Entry { entry, offset, problem };
            let said = entry::read(&block).map_err(refused)?;
            let known = |name: &str| Some(format!("sha256:{}", name.strip_prefix("blobs/sha256/")?));
            let digest: Option<Digest> = known(&said.name).and_then(|text| text.parse().ok());
            let problem = |problem: &str| refused((said.name.escape_default().to_string(), problem.to_owned()));
            let digest = digest.ok_or_else(|| problem("no bundle has an entry of this name"))?;
            if blobs.contains_key(&digest) || link == Some(digest) {
                return Err(problem("it is there twice"));
            }
            if blobs.len() == MOST_ENTRIES {
                return Err(problem("there are too many entries"));
            }
            match (said.link, link) {
                (true, None) if said.size == 0 => link = Some(digest),
                (true, _) => return Err(problem("only platctl is linked, and once")),
                (false, _) => _ = blobs.insert(digest, Place { offset: self.offset + BLOCK, size: said.size }),
            }
            self.enter(&said)?;
        }
        Ok((blobs, link))
    }

    /// The header here, none at the end.
    fn block(&self) -> Result<Option<Block>, Error> {
        let mut block = [0; BLOCK as usize];
        if self.size < self.offset + END {
            return Err(self.truncated(self.offset + END - self.size, true));
        }
        self.file.read_exact_at(&mut block, self.offset).map_err(FileError::at("read", self.path))?;
        if block != [0; BLOCK as usize] {
            return Ok(Some(block));
        }
        self.file.read_exact_at(&mut block, self.offset + BLOCK).map_err(FileError::at("read", self.path))?;
        let extra = self.size - self.offset - END;
        if block != [0; BLOCK as usize] || extra > 0 {
            return Err(Error::Trailing { path: self.path.to_owned(), extra });
        }
        Ok(None)
    }

    /// Jumps over an entry, which has to lie inside the file.
    fn enter(&mut self, said: &Said) -> Result<Place, Error> {
        let place = Place { offset: self.offset + BLOCK, size: said.size };
        let end = padded(said.size).and_then(|room| place.offset.checked_add(room));
        match end {
            Some(end) if end <= self.size => {
                self.offset = end;
                Ok(place)
            }
            _ => Err(self.truncated(end.unwrap_or(u64::MAX).saturating_add(END) - self.size, true)),
        }
    }

    /// Compares the file's size with what the index says.
    fn check_end(&self, rest: u64) -> Result<(), Error> {
        let whole = self.offset.saturating_add(rest);
        match self.size.cmp(&whole) {
            std::cmp::Ordering::Less => Err(self.truncated(whole - self.size, false)),
            std::cmp::Ordering::Greater => {
                Err(Error::Trailing { path: self.path.to_owned(), extra: self.size - whole })
            }
            std::cmp::Ordering::Equal => Ok(()),
        }
    }

    fn bytes(&self, place: Place) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; place.size as usize];
        self.file.read_exact_at(&mut bytes, place.offset).map_err(FileError::at("read", self.path))?;
        Ok(bytes)
    }

    fn truncated(&self, missing: u64, least: bool) -> Error {
        Error::Truncated { path: self.path.to_owned(), missing, least }
    }

    fn no_bundle(&self, problem: &str) -> Error {
        Error::NoBundle { path: self.path.to_owned(), problem: problem.to_owned() }
    }
}

impl Found {
    /// Where a blob lies.
    pub fn place(&self, digest: &Digest) -> Option<Place> {
        if self.link == Some(*digest) { Some(self.platctl) } else { self.blobs.get(digest).copied() }
    }

    /// The name of the entry that has a blob's bytes.
    pub fn entry(&self, digest: &Digest) -> String {
        if self.link == Some(*digest) { PLATCTL.to_owned() } else { blob_path(digest) }
    }
}
