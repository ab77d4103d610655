//! What the lock should say: versions become bytes, rendered images become digests. What is pinned stays; what is
//! missing is looked up. Must not write the lock.

mod charts;
mod error;
mod images;
mod needs;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::definition::{ChartSource, Definition, Release, Tree};
use crate::files::Store;
use crate::image::Platform;
use crate::lock::{Lock, LockedTool};
use crate::net::Client;
use crate::supply::{Supply, SupplyError};
use crate::tools;

pub use charts::Charts;
pub use error::ResolveError;
pub use images::lock_images;
pub use needs::{Need, Needs, needs, wanted_images};

/// Something was pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A chart, tool or image was looked up and pinned.
    Pinned {
        /// `chart`, `tool` or `image`.
        kind: &'static str,
        /// Which.
        name: String,
    },
    /// A release was rendered.
    Rendered {
        /// `environment/tier/release`.
        place: String,
        /// How many images it shows.
        images: usize,
    },
}

/// How events are told.
pub type Events<'a> = &'a (dyn Fn(Event) + Send + Sync);

/// Pins the tools that environments name, for their platforms and the one this program runs on.
///
/// # Errors
/// [`ResolveError`] naming the tool.
pub async fn lock_tools(
    old: &Lock,
    definitions: &[Definition],
    client: &Client,
    store: &Store,
    events: Events<'_>,
) -> Result<Vec<LockedTool>, ResolveError> {
    let mut wanted: BTreeSet<(String, String, Platform)> = BTreeSet::new();
    for environment in definitions.iter().map(|d| &d.environment) {
        for (name, version) in &environment.tools.0 {
            let platforms = environment.platforms.iter().cloned().chain([Platform::host()]);
            wanted.extend(platforms.map(|platform| (name.clone(), version.clone(), platform)));
        }
    }
    let mut locked = Vec::new();
    for (name, version, platform) in wanted {
        if let Some(pinned) = old.tool(&name, &version, &platform) {
            locked.push(pinned.clone());
            continue;
        }
        let url = tools::tool(&name).map(|tool| tool.url(&version, &platform)).unwrap_or_default();
        let (digest, _) =
            client.download(&url, None, store).await.map_err(|e| SupplyError::fetch(format!("{name} {version}"), e))?;
        events(Event::Pinned { kind: "tool", name: format!("{name} {version} {platform}") });
        locked.push(LockedTool { name, version, platform, url, digest });
    }
    Ok(locked)
}

/// The charts of releases, on the disk.
///
/// # Errors
/// [`SupplyError`] naming the chart.
pub async fn chart_files(
    releases: &[Release],
    lock: &Lock,
    tree: &Tree,
    supply: Supply<'_>,
) -> Result<BTreeMap<ChartSource, PathBuf>, SupplyError> {
    let mut files = BTreeMap::new();
    for release in releases {
        if !files.contains_key(&release.chart) {
            let locked = crate::supply::locked_chart(lock, tree, &release.name, &release.chart)?;
            files.insert(release.chart.clone(), supply.chart(locked, tree).await?);
        }
    }
    Ok(files)
}
