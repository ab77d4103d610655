//! Why locked bytes can't be had.

use crate::bundle;
use crate::digest::Digest;
use crate::files::{FileError, StoreError};
use crate::net;
use crate::tools::InstallError;
use crate::yaml::Problem;

/// Why locked bytes can't be had.
#[derive(Debug, thiserror::Error)]
pub enum SupplyError {
    /// Nothing is locked at all.
    #[error("nothing is locked: there is no charts-lock.yaml, or it is empty")]
    NoLock,
    /// A release's chart is not in the lock.
    #[error("{release}: its chart is not in the lock")]
    ChartNotLocked {
        /// The release.
        release: String,
    },
    /// A tool is not in the lock.
    #[error("{name} {version} for {platform} is not in the lock")]
    ToolNotLocked {
        /// The tool.
        name: String,
        /// Its version.
        version: String,
        /// The platform.
        platform: String,
    },
    /// A chart of the definition was changed after it was locked.
    #[error("{folder}: the chart differs from the one that is locked")]
    OwnChartChanged {
        /// The chart's folder.
        folder: String,
    },
    /// A folder is no chart.
    #[error("{0}")]
    OwnChart(Problem),
    /// A repository now serves other bytes.
    #[error("{chart}: {url} holds other bytes than the lock: expected {expected}, got {actual}")]
    ChartChanged {
        /// The chart.
        chart: String,
        /// Its address.
        url: String,
        /// The lock's digest.
        expected: Digest,
        /// The digest of what is served.
        actual: Digest,
    },
    /// What an address serves is no chart.
    #[error("{name}: {reason}")]
    NoChart {
        /// The address.
        name: String,
        /// Why.
        reason: String,
    },
    /// The network failed.
    #[error("cannot fetch {what}")]
    Fetch {
        /// What was fetched.
        what: String,
        /// The failure.
        #[source]
        source: Box<net::Error>,
    },
    /// The bundle lacks it.
    #[error("{what} is locked, but not in {bundle}")]
    NotInBundle {
        /// What is missing.
        what: String,
        /// The bundle's file.
        bundle: String,
    },
    /// The bundle can't be read.
    #[error(transparent)]
    Bundle(#[from] bundle::Error),
    /// The store can't keep it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A tool can't be installed.
    #[error(transparent)]
    Install(#[from] InstallError),
}

impl SupplyError {
    /// A failed fetch.
    pub fn fetch(what: impl Into<String>, source: net::Error) -> SupplyError {
        SupplyError::Fetch { what: what.into(), source: Box::new(source) }
    }
}
