//! `charts-lock.yaml`: what was resolved, by content. Reading and writing the file and looking things up in it;
//! must not resolve anything itself.

mod read;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use crate::definition::ChartSource;
use crate::digest::Digest;
use crate::image::{Platform, Reference};

/// Everything that is pinned. Sorted; the same content gives the same file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    /// Charts.
    pub charts: Vec<LockedChart>,
    /// Images by reference.
    pub images: BTreeMap<Reference, LockedImage>,
    /// Tools.
    pub tools: Vec<LockedTool>,
}

/// A chart by the digest of its archive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockedChart {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it comes from.
    pub origin: ChartOrigin,
    /// Digest of the archive.
    pub digest: Digest,
}

/// Where a locked chart comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChartOrigin {
    /// A repository, and the address the archive was found at.
    Repository {
        /// As the release names it.
        repository: String,
        /// The archive's address.
        url: String,
    },
    /// A folder of the definition.
    Own {
        /// Its path.
        path: String,
    },
}

/// An image by digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedImage {
    /// Digest of the index or manifest the reference names.
    pub digest: Digest,
    /// Digest of the manifest for each platform.
    pub platforms: BTreeMap<Platform, Digest>,
    /// Bytes of all its distinct blobs on these platforms: what is carried and pulled.
    pub size: u64,
    /// The releases it is for: `environment/tier/release`.
    pub from: BTreeSet<String>,
}

/// A tool by the digest of the file its publisher serves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockedTool {
    /// `helm`, `kubectl`, `sops`.
    pub name: String,
    /// Its version, without `v`.
    pub version: String,
    /// The platform it runs on.
    pub platform: Platform,
    /// Where the file was found.
    pub url: String,
    /// Digest of the file.
    pub digest: Digest,
}

impl Lock {
    /// The chart a release wants.
    pub fn chart(&self, source: &ChartSource) -> Option<&LockedChart> {
        self.charts.iter().find(|chart| match (&chart.origin, source) {
            (
                ChartOrigin::Repository { repository: locked, .. },
                ChartSource::Repository { repository, name, version },
            ) => locked == repository && chart.name == *name && chart.version == *version,
            (ChartOrigin::Own { path }, ChartSource::Own { folder }) => path == folder,
            _ => false,
        })
    }

    /// A tool for a platform.
    pub fn tool(&self, name: &str, version: &str, platform: &Platform) -> Option<&LockedTool> {
        self.tools.iter().find(|t| t.name == name && t.version == version && t.platform == *platform)
    }

    /// The images of one release, named as in `from`.
    pub fn images_of<'l>(&'l self, place: &'l str) -> impl Iterator<Item = (&'l Reference, &'l LockedImage)> {
        self.images.iter().filter(move |(_, image)| image.from.contains(place))
    }

    /// The images of one environment.
    pub fn images_for<'l>(&'l self, environment: &str) -> impl Iterator<Item = (&'l Reference, &'l LockedImage)> {
        let prefix = format!("{environment}/");
        self.images.iter().filter(move |(_, image)| image.from.iter().any(|place| place.starts_with(&prefix)))
    }
}
