//! The bytes of what is locked: charts and tools from the private store, from a bundle, or by network where there is
//! no bundle. Always checked against the lock; must not decide what is locked.

mod error;

use std::path::{Path, PathBuf};

use crate::bundle::Bundle;
use crate::definition::{ChartSource, Environment, OwnChart, Tree};
use crate::digest::Digest;
use crate::files::Store;
use crate::image::{Platform, Reference};
use crate::layout::{Manifest, media};
use crate::lock::{ChartOrigin, Lock, LockedChart, LockedTool};
use crate::net::Client;
use crate::tools;

pub use error::SupplyError;

/// Where locked bytes are taken from.
#[derive(Clone, Copy)]
pub struct Supply<'a> {
    /// What was fetched or read before.
    pub store: &'a Store,
    /// The bundle, when there is one; then nothing comes from the network.
    pub bundle: Option<&'a Bundle>,
    /// The network.
    pub client: &'a Client,
}

impl Supply<'_> {
    /// The archive of a locked chart.
    ///
    /// # Errors
    /// [`SupplyError`] naming the chart.
    pub async fn chart(&self, locked: &LockedChart, tree: &Tree) -> Result<PathBuf, SupplyError> {
        let own = own_chart(locked, tree)?;
        if let Some(path) = self.store.get_checked(&locked.digest)? {
            return Ok(path);
        }
        match &locked.origin {
            ChartOrigin::Own { .. } => {
                let bytes = own.map(|own| own.bytes).unwrap_or_default();
                Ok(self.store.put(&locked.name, Some(&locked.digest), bytes.as_slice())?.1)
            }
            ChartOrigin::Repository { repository, url } => match self.bundle {
                Some(bundle) => chart_in(bundle, locked, self.store),
                None => self.fetched_chart(locked, repository, url).await,
            },
        }
    }

    async fn fetched_chart(&self, locked: &LockedChart, repository: &str, url: &str) -> Result<PathBuf, SupplyError> {
        let web = self.client.of_repository(repository);
        let fetched = match url.strip_prefix("oci://") {
            None => web.download(url, Some(&locked.digest), self.store).await.map(|(_, path)| path),
            Some(name) => {
                let (digest, path) = oci_chart(self.client, name, self.store).await?;
                if digest != locked.digest {
                    let (expected, actual) = (locked.digest, digest);
                    return Err(SupplyError::ChartChanged {
                        chart: title(locked),
                        url: url.to_owned(),
                        expected,
                        actual,
                    });
                }
                Ok(path)
            }
        };
        fetched.map_err(|source| SupplyError::fetch(title(locked), source))
    }

    /// The executable of a tool the environment names, for the platform this program runs on.
    ///
    /// # Errors
    /// [`SupplyError`] naming the tool.
    pub async fn tool(
        &self,
        lock: &Lock,
        environment: &Environment,
        name: &str,
        cache: &Path,
    ) -> Result<PathBuf, SupplyError> {
        let version = environment.tools.0.get(name).map_or("", String::as_str);
        let host = Platform::host();
        let missing = || SupplyError::ToolNotLocked {
            name: name.to_owned(),
            version: version.to_owned(),
            platform: host.to_string(),
        };
        let locked = lock.tool(name, version, &host).ok_or_else(missing)?;
        self.locked_tool(locked, cache).await
    }

    /// The executable of a locked tool.
    ///
    /// # Errors
    /// [`SupplyError`] naming the tool.
    pub async fn locked_tool(&self, locked: &LockedTool, cache: &Path) -> Result<PathBuf, SupplyError> {
        let installed = cache.join("tools").join(format!("sha256-{}", locked.digest.hex())).join(&locked.name);
        if installed.is_file() {
            return Ok(installed);
        }
        let file = self.tool_file(locked).await?;
        Ok(tools::install(&file, locked, &cache.join("tools"))?)
    }

    /// The file of a locked tool as its publisher serves it.
    ///
    /// # Errors
    /// [`SupplyError`] naming the tool.
    pub async fn tool_file(&self, locked: &LockedTool) -> Result<PathBuf, SupplyError> {
        if let Some(path) = self.store.get_checked(&locked.digest)? {
            return Ok(path);
        }
        let name = format!("{} {}", locked.name, locked.version);
        let Some(bundle) = self.bundle else {
            let fetched = self.client.download(&locked.url, Some(&locked.digest), self.store).await;
            return fetched.map(|(_, path)| path).map_err(|source| SupplyError::fetch(name, source));
        };
        match bundle.tools().iter().find(|tool| tool.file.digest == locked.digest) {
            Some(found) => Ok(bundle.extract(&found.file, self.store)?),
            None => Err(SupplyError::NotInBundle { what: name, bundle: bundle.path().display().to_string() }),
        }
    }
}

/// The lock's entry for a release's chart. A chart of the definition must still be the one that was locked.
///
/// # Errors
/// [`SupplyError::ChartNotLocked`] naming the release, [`SupplyError::OwnChartChanged`] naming the folder.
pub fn locked_chart<'l>(
    lock: &'l Lock,
    tree: &Tree,
    release: &str,
    source: &ChartSource,
) -> Result<&'l LockedChart, SupplyError> {
    if *lock == Lock::default() {
        return Err(SupplyError::NoLock);
    }
    let locked = lock.chart(source).ok_or_else(|| SupplyError::ChartNotLocked { release: release.to_owned() })?;
    own_chart(locked, tree)?;
    Ok(locked)
}

/// A chart of the definition as it is now; none when the chart comes from a repository.
fn own_chart(locked: &LockedChart, tree: &Tree) -> Result<Option<OwnChart>, SupplyError> {
    let ChartOrigin::Own { path } = &locked.origin else { return Ok(None) };
    let packed = OwnChart::pack(tree, path).map_err(SupplyError::OwnChart)?;
    if packed.digest == locked.digest {
        Ok(Some(packed))
    } else {
        Err(SupplyError::OwnChartChanged { folder: path.clone() })
    }
}

fn chart_in(bundle: &Bundle, locked: &LockedChart, store: &Store) -> Result<PathBuf, SupplyError> {
    match bundle.charts().iter().find(|chart| chart.package.digest == locked.digest) {
        Some(found) => Ok(bundle.extract(&found.package, store)?),
        None => Err(SupplyError::NotInBundle { what: title(locked), bundle: bundle.path().display().to_string() }),
    }
}

/// Fetches the chart that `host/path:tag` names in an OCI registry.
///
/// # Errors
/// [`SupplyError`] naming the chart.
pub async fn oci_chart(client: &Client, name: &str, store: &Store) -> Result<(Digest, PathBuf), SupplyError> {
    let no_chart = |reason: &str| SupplyError::NoChart { name: format!("oci://{name}"), reason: reason.to_owned() };
    let reference: Reference = name.parse().map_err(|_| no_chart("it is no OCI reference"))?;
    let fetch = |source| SupplyError::fetch(format!("oci://{name}"), source);
    let document = client.resolve(&reference).await.map_err(fetch)?;
    let manifest: Manifest =
        serde_json::from_slice(&document.bytes).map_err(|_| no_chart("its manifest can't be read"))?;
    let is_chart = |media_type: &str| matches!(media_type, media::HELM_CHART | media::HELM_CHART_LEGACY);
    let layer = manifest.layers.iter().find(|layer| is_chart(&layer.media_type));
    let layer = layer.ok_or_else(|| no_chart("it is an image or another artifact"))?;
    let repository = client.repository(&reference.host, &reference.path);
    let path = repository.download_blob(layer, store).await.map_err(fetch)?;
    Ok((layer.digest, path))
}

fn title(locked: &LockedChart) -> String {
    format!("{} {}", locked.name, locked.version)
}
