//! What images have in common: layers that are kept once and used several times. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::ImageInfo;
use crate::digest::Digest;

/// A layer that more than one image uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedLayer {
    /// The layer.
    pub digest: Digest,
    /// Its size.
    pub size: u64,
    /// Bytes that are not kept again.
    pub saved: u64,
    /// The images, sorted.
    pub images: Vec<String>,
}

/// The layers that more than one of the images use; those that save most come first.
pub fn shared(images: &[ImageInfo]) -> Vec<SharedLayer> {
    let mut users: BTreeMap<Digest, (u64, BTreeSet<String>)> = BTreeMap::new();
    for image in images {
        let name = image.reference.to_string();
        for layer in image.manifests.iter().flat_map(|manifest| &manifest.layers) {
            users.entry(layer.digest).or_insert((layer.size, BTreeSet::new())).1.insert(name.clone());
        }
    }
    let several = users.into_iter().filter(|(_, (_, images))| images.len() > 1);
    let mut all: Vec<SharedLayer> = several
        .map(|(digest, (size, images))| {
            let saved = size.saturating_mul(images.len() as u64 - 1);
            SharedLayer { digest, size, saved, images: images.into_iter().collect() }
        })
        .collect();
    all.sort_by_key(|layer| (std::cmp::Reverse(layer.saved), layer.digest));
    all
}
