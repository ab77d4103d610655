//! What a bundle says it holds. Data only.

use crate::digest::Digest;
use crate::image::{Platform, Reference};
use crate::layout::Descriptor;

/// A chart in a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartInfo {
    /// The chart's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The package; its digest is the lock's.
    pub package: Descriptor,
    /// Chart.yaml as JSON.
    pub config: Descriptor,
    /// The artifact's manifest.
    pub manifest: Descriptor,
}

/// A tool in a bundle, or platctl itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolInfo {
    /// The tool's name.
    pub name: String,
    /// Its version; platctl's has none.
    pub version: Option<String>,
    /// The platform it is for.
    pub platform: Platform,
    /// The file's name at its publisher.
    pub title: String,
    /// The file; its digest is the lock's.
    pub file: Descriptor,
    /// The artifact's manifest.
    pub manifest: Descriptor,
}

/// An extra file in a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraInfo {
    /// Its name at the site.
    pub name: String,
    /// The file; its digest is the environment's.
    pub file: Descriptor,
    /// The artifact's manifest.
    pub manifest: Descriptor,
}

/// One platform's manifest of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestInfo {
    /// The platform.
    pub platform: Platform,
    /// The manifest.
    pub manifest: Descriptor,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, bottom first.
    pub layers: Vec<Descriptor>,
}

/// An image in a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageInfo {
    /// The reference as it is locked.
    pub reference: Reference,
    /// Digest of the index or manifest upstream.
    pub source_digest: Digest,
    /// What pods refer to at the site: the platform's manifest, or for several platforms the filtered index.
    pub top: Descriptor,
    /// The manifests, sorted by platform.
    pub manifests: Vec<ManifestInfo>,
}

impl ImageInfo {
    /// All distinct blobs: configurations and layers.
    pub fn blobs(&self) -> Vec<&Descriptor> {
        let mut seen = std::collections::BTreeSet::new();
        let all = self.manifests.iter().flat_map(|m| std::iter::once(&m.config).chain(&m.layers));
        all.filter(|blob| seen.insert(blob.digest)).collect()
    }

    /// Size of all distinct blobs.
    pub fn total(&self) -> u64 {
        self.blobs().iter().map(|blob| blob.size).sum()
    }
}
