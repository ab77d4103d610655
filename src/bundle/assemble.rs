//! From known parts to a layout: every entry with its header, size and place. Pure; must not fetch or write.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use tar::EntryType;

use super::entry::{self, Block, END, PLATCTL, SIGNATURE_PATH, header, padded};
use super::open::MOST_ENTRIES;
use super::place::Place;
use super::{Error, ImageInfo, SigningKey, index};
use crate::digest::Digest;
use crate::layout::{Descriptor, INDEX_PATH, OCI_LAYOUT, OCI_LAYOUT_PATH, blob_path};

/// Entries before the signature: platctl, the layout's version, the index.
const FRONT: usize = 3;

/// Every byte range of a bundle to be, before the first large blob is fetched.
#[derive(Debug)]
pub struct Layout {
    pub(super) entries: Vec<Entry>,
    pub(super) size: u64,
    index: Vec<u8>,
    signature: Option<Vec<u8>>,
    totals: Totals,
}

/// How much a bundle holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Charts.
    pub charts: usize,
    /// Images.
    pub images: usize,
    /// Distinct layers.
    pub layers: usize,
    /// Size of the whole file.
    pub bytes: u64,
    /// Bytes of layers that are kept once but used several times.
    pub shared: u64,
}

/// One entry of the tar.
#[derive(Debug)]
pub(super) struct Entry {
    pub header: Block,
    pub place: Place,
    pub content: Content,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    Bytes(Vec<u8>),
    Blob(Blob),
}

/// Bytes that are not in memory.
#[derive(Debug, Clone)]
pub(super) struct Blob {
    pub digest: Digest,
    pub source: Source,
    /// What needs it, sorted.
    pub needed_by: Vec<String>,
}

/// Where bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    File(PathBuf),
    /// Host and path of a repository.
    Repository(String, String),
    /// An address of the web.
    Web(String),
}

/// The blobs of a layout while they are collected: each once.
#[derive(Default)]
pub(super) struct Blobs {
    all: BTreeMap<Digest, Collected>,
}

struct Collected {
    size: u64,
    kind: Kind,
    needed_by: BTreeSet<String>,
}

enum Kind {
    /// Manifests, configurations: to the front.
    Metadata(Vec<u8>),
    Definition(Vec<u8>),
    Platctl,
    Large(Source),
}

impl Layout {
    /// How much it holds.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The bytes of `index.json`.
    pub fn index(&self) -> &[u8] {
        &self.index
    }

    /// Digest of `index.json`, which names the bundle.
    pub fn index_digest(&self) -> Digest {
        Digest::of(&self.index)
    }

    /// The signature over it.
    pub fn signature(&self) -> Option<&[u8]> {
        self.signature.as_deref()
    }

    /// The same with a signature right after the index, which stays as it is: a signed bundle has the same name as one
    /// that is not.
    #[must_use]
    pub fn signed(mut self, key: &SigningKey, environment: &str) -> Layout {
        let signature = key.sign(&self.index, environment);
        let (header, size, content) = file(SIGNATURE_PATH, signature.clone());
        let end = |entry: &Entry| entry.place.offset + padded(entry.place.size).unwrap_or(entry.place.size);
        let start = self.entries[..FRONT].last().map_or(0, end);
        self.entries[FRONT..].iter_mut().for_each(|entry| entry.place.offset += room(size));
        let place = Place { offset: start + entry::BLOCK, size };
        self.entries.insert(FRONT, Entry { header, place, content });
        self.size += room(size);
        self.totals.bytes = self.size;
        self.signature = Some(signature);
        self
    }

    /// The entries that are streamed into their place.
    pub(super) fn streamed(&self) -> impl Iterator<Item = (&Entry, &Blob)> {
        self.entries.iter().filter_map(|entry| match &entry.content {
            Content::Blob(blob) => Some((entry, blob)),
            Content::Bytes(_) => None,
        })
    }
}

impl Blobs {
    /// A blob whose bytes are at hand; its descriptor.
    pub fn metadata(&mut self, media_type: &str, bytes: Vec<u8>, who: &str) -> Result<Descriptor, Error> {
        let descriptor = Descriptor::of(media_type, &bytes);
        self.add(&descriptor, Kind::Metadata(bytes), who)?;
        Ok(descriptor)
    }

    /// The definition's tar.
    pub fn definition(&mut self, media_type: &str, bytes: Vec<u8>, who: &str) -> Result<Descriptor, Error> {
        let descriptor = Descriptor::of(media_type, &bytes);
        self.add(&descriptor, Kind::Definition(bytes), who)?;
        Ok(descriptor)
    }

    /// A blob that is streamed.
    pub fn large(&mut self, blob: &Descriptor, source: Source, who: &str) -> Result<(), Error> {
        self.add(blob, Kind::Large(source), who)
    }

    /// The platctl binary, which is an entry of its own.
    pub fn platctl(&mut self, blob: &Descriptor) -> Result<(), Error> {
        self.add(blob, Kind::Platctl, PLATCTL)
    }

    fn add(&mut self, blob: &Descriptor, kind: Kind, who: &str) -> Result<(), Error> {
        let new = || Collected { size: blob.size, kind, needed_by: BTreeSet::new() };
        let found = self.all.entry(blob.digest).or_insert_with(new);
        if found.size != blob.size {
            let (digest, one, other) = (blob.digest, found.size, blob.size);
            return Err(Error::Sizes { digest, one, other, what: who.to_owned() });
        }
        found.needed_by.insert(who.to_owned());
        Ok(())
    }

    /// Lays the tar out.
    pub fn lay_out(self, top: Vec<Descriptor>, platctl: &Binary, mut totals: Totals) -> Result<Layout, Error> {
        if self.all.len() > MOST_ENTRIES {
            return Err(Error::Index { problem: format!("it would name more than {MOST_ENTRIES} blobs") });
        }
        let blobs = self.entries();
        let rest = blobs.iter().map(|(_, size, _)| room(*size)).sum::<u64>() + END;
        let index = index::write(top, rest)?;
        let binary = Blob {
            digest: platctl.digest,
            source: Source::File(platctl.file.clone()),
            needed_by: vec![PLATCTL.to_owned()],
        };
        let front = [
            (header(PLATCTL, platctl.size, EntryType::Regular), platctl.size, Content::Blob(binary)),
            file(OCI_LAYOUT_PATH, OCI_LAYOUT.as_bytes().to_vec()),
            file(INDEX_PATH, index.clone()),
        ];
        let mut size = 0;
        let mut entries = Vec::new();
        for (header, length, content) in front.into_iter().chain(blobs) {
            entries.push(Entry { header, place: Place { offset: size + entry::BLOCK, size: length }, content });
            size += room(length);
        }
        size += END;
        totals.bytes = size;
        Ok(Layout { entries, size, index, signature: None, totals })
    }

    /// All blobs in their order: what is small and needed first, the definition, the others; by digest in each.
    fn entries(self) -> Vec<(Block, u64, Content)> {
        let mut groups = [Vec::new(), Vec::new(), Vec::new()];
        for (digest, blob) in self.all {
            let name = blob_path(&digest);
            let needed_by = blob.needed_by.into_iter().collect();
            let (group, entry) = match blob.kind {
                Kind::Metadata(bytes) => (0, file(&name, bytes)),
                Kind::Definition(bytes) => (1, file(&name, bytes)),
                Kind::Platctl => (2, (header(&name, 0, EntryType::Link), 0, Content::Bytes(Vec::new()))),
                Kind::Large(source) => {
                    let content = Content::Blob(Blob { digest, source, needed_by });
                    (2, (header(&name, blob.size, EntryType::Regular), blob.size, content))
                }
            };
            groups[group].push(entry);
        }
        groups.into_iter().flatten().collect()
    }
}

/// The platctl binary, hashed.
pub(super) struct Binary {
    pub file: PathBuf,
    pub digest: Digest,
    pub size: u64,
}

impl Totals {
    /// Counts images and their layers.
    pub(super) fn of(charts: usize, images: &[ImageInfo]) -> Totals {
        let mut distinct = BTreeMap::new();
        let mut used = 0;
        for image in images {
            // A layer that several platforms of one image have is one for the image.
            let own: BTreeMap<Digest, u64> =
                image.manifests.iter().flat_map(|m| &m.layers).map(|layer| (layer.digest, layer.size)).collect();
            used += own.values().sum::<u64>();
            distinct.extend(own);
        }
        let kept: u64 = distinct.values().sum();
        Totals { charts, images: images.len(), layers: distinct.len(), bytes: 0, shared: used - kept }
    }
}

fn file(name: &str, bytes: Vec<u8>) -> (Block, u64, Content) {
    let size = bytes.len() as u64;
    (header(name, size, EntryType::Regular), size, Content::Bytes(bytes))
}

/// Header and content. Sizes are of files and of registries' blobs, whose sum no disk holds if it overflows.
fn room(size: u64) -> u64 {
    entry::BLOCK.saturating_add(padded(size).unwrap_or(u64::MAX))
}

/// A document's bytes.
pub(super) fn json(who: &str, document: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(document).map_err(|error| Error::Document { what: who.to_owned(), problem: error.to_string() })
}

/// Nothing of one kind is there twice.
pub(super) fn no_twins(names: impl Iterator<Item = String>) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name.clone()) {
            return Err(Error::Twice { what: name });
        }
    }
    Ok(())
}
