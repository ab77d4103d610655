//! What goes into a bundle, as the caller has it from definition and lock. Data only.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Places;
use crate::digest::Digest;
use crate::image::{Platform, Reference};

/// Everything a bundle holds.
#[derive(Debug, Clone)]
pub struct Contents {
    /// The environment it is for.
    pub environment: String,
    /// The definition's files, a plain tar.
    pub definition: Vec<u8>,
    /// The platctl binary for the target.
    pub platctl: PathBuf,
    /// The platform that binary is for.
    pub platctl_platform: Platform,
    /// Chart packages.
    pub charts: Vec<Chart>,
    /// Tools.
    pub tools: Vec<Tool>,
    /// Images.
    pub images: Vec<Image>,
    /// Where they stand, by reference.
    pub places: Places,
    /// Extra files.
    pub extras: Vec<Extra>,
}

/// A file of the web.
#[derive(Debug, Clone)]
pub struct Extra {
    /// Its name at the site.
    pub name: String,
    /// Where it is fetched.
    pub url: String,
    /// What it must be.
    pub digest: Digest,
}

/// A chart package that lies on the disk.
#[derive(Debug, Clone)]
pub struct Chart {
    /// The chart's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Digest of the package.
    pub digest: Digest,
    /// Where the package lies.
    pub file: PathBuf,
    /// Its Chart.yaml as JSON.
    pub config_json: Vec<u8>,
}

/// A tool as its publisher serves it, on the disk.
#[derive(Debug, Clone)]
pub struct Tool {
    /// The tool's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The platform it is for.
    pub platform: Platform,
    /// Digest of the file.
    pub digest: Digest,
    /// Where the file lies.
    pub file: PathBuf,
    /// The file's name at its publisher.
    pub title: String,
}

/// An image in a registry.
#[derive(Debug, Clone)]
pub struct Image {
    /// The reference as it is locked.
    pub reference: Reference,
    /// Digest of the index or manifest upstream.
    pub digest: Digest,
    /// Digest of the manifest of each platform to carry.
    pub platforms: BTreeMap<Platform, Digest>,
}
