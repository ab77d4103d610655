//! Why something can't be locked.

use crate::image::{Platform, Reference};
use crate::net;
use crate::render::{RenderError, Violation};
use crate::supply::SupplyError;
use crate::yaml::Problem;

/// Why something can't be locked.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// A repository's index can't be read.
    #[error("{repository}: its index can't be read: {reason}")]
    Index {
        /// The repository.
        repository: String,
        /// Why.
        reason: String,
    },
    /// A repository does not have the chart, or not in that version.
    #[error("{repository} has no chart {name} {version}")]
    NoVersion {
        /// The repository.
        repository: String,
        /// The chart.
        name: String,
        /// The version.
        version: String,
        /// Versions it has, newest first.
        known: Vec<String>,
    },
    /// A chart of the definition can't be packed.
    #[error("{0}")]
    OwnChart(Problem),
    /// The network failed.
    #[error("cannot look up {what}")]
    Fetch {
        /// What was looked up.
        what: String,
        /// The failure.
        #[source]
        source: Box<net::Error>,
    },
    /// Images that can't be locked, with their places.
    #[error("{} images can't be locked", .0.len())]
    Images(Vec<Violation>),
    /// A place of `images.computed` is in no object of the release.
    #[error("{declared_at}: no object has the place {place}")]
    NoPlace {
        /// File and line.
        declared_at: String,
        /// The place.
        place: String,
    },
    /// An image is not made for a platform of the environment.
    #[error("{image} is not made for {platform}")]
    NoPlatform {
        /// The image.
        image: Reference,
        /// The platform.
        platform: Platform,
        /// The platforms it is made for.
        known: Vec<String>,
        /// Releases that want it.
        from: Vec<String>,
    },
    /// What a registry serves is no image.
    #[error("{image}: {reason}")]
    NoImage {
        /// The image.
        image: Reference,
        /// Why.
        reason: String,
    },
    /// The bytes can't be had.
    #[error(transparent)]
    Supply(#[from] SupplyError),
    /// The chart does not render.
    #[error(transparent)]
    Render(#[from] RenderError),
}
