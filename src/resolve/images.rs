//! Pins images: the digest of what a reference names, and of the manifest for each platform.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;

use super::{Event, Events, ResolveError};
use crate::digest::Digest;
use crate::image::{Platform, Reference};
use crate::layout::{Descriptor, Index, Manifest, PlatformJson, media};
use crate::lock::{Lock, LockedImage};
use crate::net::{self, Client};

/// The largest image configuration that is read.
const MAX_CONFIG: u64 = 8 * 1024 * 1024;

/// What one image is wanted for.
pub type Wanted = BTreeMap<Reference, (BTreeSet<Platform>, BTreeSet<String>)>;

/// Pins every wanted image; what is pinned for all its platforms stays.
///
/// # Errors
/// [`ResolveError`] naming the image.
pub async fn lock_images(
    old: &Lock,
    wanted: Wanted,
    client: &Client,
    at_once: usize,
    events: Events<'_>,
) -> Result<BTreeMap<Reference, LockedImage>, ResolveError> {
    let pinning = wanted.into_iter().map(|(image, (platforms, from))| async move {
        let locked = match old.images.get(&image) {
            Some(pinned) if platforms.iter().eq(pinned.platforms.keys()) => LockedImage { from, ..pinned.clone() },
            pinned => {
                // For other platforms than before the same bytes are asked for, not what the tag names by now.
                let wanted = pinned.map_or(image.wanted(), |pinned| pinned.digest.to_string());
                let locked = look_up(client, &image, &wanted, &platforms, from).await?;
                events(Event::Pinned { kind: "image", name: image.to_string() });
                locked
            }
        };
        Ok((image, locked))
    });
    stream::iter(pinning).buffer_unordered(at_once).try_collect().await
}

async fn look_up(
    client: &Client,
    image: &Reference,
    wanted: &str,
    platforms: &BTreeSet<Platform>,
    from: BTreeSet<String>,
) -> Result<LockedImage, ResolveError> {
    let fetch = |source: net::Error| ResolveError::Fetch { what: needed(image, &from), source: Box::new(source) };
    let no_image = |reason: String| ResolveError::NoImage { image: image.clone(), reason };
    let repository = client.repository_of(image);
    let document = repository.manifest(wanted).await.map_err(fetch)?;
    let children = if media::is_index(&document.media_type) {
        let index: Index = serde_json::from_slice(&document.bytes).map_err(|e| no_image(e.to_string()))?;
        index.manifests.iter().filter_map(child).collect()
    } else if media::is_manifest(&document.media_type) {
        let manifest: Manifest = serde_json::from_slice(&document.bytes).map_err(|e| no_image(e.to_string()))?;
        let config = repository.blob_bytes(&manifest.config, MAX_CONFIG).await.map_err(fetch)?;
        let config: Config = serde_json::from_slice(&config)
            .map_err(|_| no_image("its configuration names no platform: it is no image".to_owned()))?;
        vec![(config.platform(), document.digest)]
    } else {
        return Err(no_image(format!("its manifest is of a kind that is not supported: {}", document.media_type)));
    };
    let mut found = BTreeMap::new();
    for platform in platforms {
        let Some((_, digest)) = children.iter().find(|(made_for, _)| made_for.serves(platform)) else {
            let known = children.iter().map(|(p, _)| p.to_string()).collect();
            let from = from.into_iter().collect();
            return Err(ResolveError::NoPlatform { image: image.clone(), platform: platform.clone(), known, from });
        };
        found.insert(platform.clone(), *digest);
    }
    let mut blobs = BTreeMap::new();
    for digest in found.values() {
        let bytes = match *digest == document.digest {
            true => document.bytes.clone(),
            false => repository.manifest(&digest.to_string()).await.map_err(fetch)?.bytes,
        };
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|e| no_image(e.to_string()))?;
        blobs.extend(manifest.layers.iter().chain([&manifest.config]).map(|blob| (blob.digest, blob.size)));
    }
    let size = blobs.values().fold(0, |sum: u64, size| sum.saturating_add(*size));
    Ok(LockedImage { digest: document.digest, platforms: found, size, from })
}

/// A manifest of an index with its platform; attestations (`unknown/unknown`) are none.
fn child(descriptor: &Descriptor) -> Option<(Platform, Digest)> {
    let platform = descriptor.platform.as_ref().filter(|p| p.os != "unknown")?;
    Some((Platform::from(platform), descriptor.digest))
}

/// The platform in an image's configuration.
#[derive(Deserialize)]
struct Config {
    architecture: String,
    os: String,
    #[serde(default)]
    variant: Option<String>,
}

impl Config {
    fn platform(self) -> Platform {
        let Config { architecture, os, variant } = self;
        Platform::from(&PlatformJson { architecture, os, variant, os_version: None })
    }
}

fn needed(image: &Reference, from: &BTreeSet<String>) -> String {
    format!("{image} (for {})", from.iter().cloned().collect::<Vec<_>>().join(", "))
}
