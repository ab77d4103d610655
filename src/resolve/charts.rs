//! Finds a chart's archive in its repository and pins its bytes.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use url::Url;

use super::{Event, Events, ResolveError};
use crate::definition::{ChartSource, OwnChart, Tree};
use crate::files::Store;
use crate::lock::{ChartOrigin, Lock, LockedChart};
use crate::net::Client;
use crate::supply::{SupplyError, oci_chart};

/// The largest index that is read; the largest known is 14 MB.
const MAX_INDEX: u64 = 128 * 1024 * 1024;

/// Looks up charts; each repository's index is read once.
pub struct Charts<'a> {
    client: &'a Client,
    store: &'a Store,
    indexes: HashMap<String, Index>,
}

/// The part of a repository's `index.yaml` that is used.
#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    entries: BTreeMap<String, Vec<IndexEntry>>,
}

#[derive(Deserialize)]
struct IndexEntry {
    version: String,
    #[serde(default)]
    urls: Vec<String>,
}

impl<'a> Charts<'a> {
    /// Starts with nothing looked up.
    pub fn new(client: &'a Client, store: &'a Store) -> Charts<'a> {
        Charts { client, store, indexes: HashMap::new() }
    }

    /// The pinned chart, or a new pin.
    ///
    /// # Errors
    /// [`ResolveError`] naming chart and repository.
    pub async fn lock(
        &mut self,
        old: &Lock,
        tree: &Tree,
        source: &ChartSource,
        events: Events<'_>,
    ) -> Result<LockedChart, ResolveError> {
        let ChartSource::Repository { repository, name, version } = source else {
            return own(tree, source);
        };
        if let Some(pinned) = old.chart(source) {
            return Ok(pinned.clone());
        }
        let (url, digest) = match repository.strip_prefix("oci://") {
            Some(base) => {
                // An OCI tag can't hold a plus; helm writes an underscore.
                let name = format!("{}/{name}:{}", base.trim_end_matches('/'), version.replace('+', "_"));
                let (digest, _) = oci_chart(self.client, &name, self.store).await?;
                (format!("oci://{name}"), digest)
            }
            None => {
                let url = self.find(repository, name, version).await?;
                let fetched = self.client.of_repository(repository).download(&url, None, self.store).await;
                let (digest, _) = fetched.map_err(|e| SupplyError::fetch(format!("{name} {version}"), e))?;
                (url, digest)
            }
        };
        events(Event::Pinned { kind: "chart", name: format!("{name} {version}") });
        let origin = ChartOrigin::Repository { repository: repository.clone(), url };
        Ok(LockedChart { name: name.clone(), version: version.clone(), origin, digest })
    }

    /// The address of a chart's archive in an HTTP repository.
    async fn find(&mut self, repository: &str, name: &str, version: &str) -> Result<String, ResolveError> {
        let base = format!("{}/", repository.trim_end_matches('/'));
        if !self.indexes.contains_key(repository) {
            let index = self.index(repository, &base).await?;
            self.indexes.insert(repository.to_owned(), index);
        }
        let versions = self.indexes[repository].entries.get(name).map(Vec::as_slice).unwrap_or_default();
        let Some(entry) = versions.iter().find(|entry| entry.version == version) else {
            let known = versions.iter().take(5).map(|entry| entry.version.clone()).collect();
            let (repository, name, version) = (repository.to_owned(), name.to_owned(), version.to_owned());
            return Err(ResolveError::NoVersion { repository, name, version, known });
        };
        let broken = |reason: String| ResolveError::Index { repository: repository.to_owned(), reason };
        let url = entry.urls.first().ok_or_else(|| broken(format!("{name} {version} has no address")))?;
        let joined = Url::parse(&base).and_then(|base| base.join(url)).map_err(|e| broken(format!("`{url}`: {e}")))?;
        Ok(joined.to_string())
    }

    async fn index(&self, repository: &str, base: &str) -> Result<Index, ResolveError> {
        let bytes = self.client.get_bytes(&format!("{base}index.yaml"), MAX_INDEX).await;
        let bytes = bytes.map_err(|e| ResolveError::Fetch { what: repository.to_owned(), source: Box::new(e) })?;
        let parsed = serde_yaml::from_slice(&bytes);
        parsed.map_err(|e| ResolveError::Index { repository: repository.to_owned(), reason: e.to_string() })
    }
}

/// A chart of the definition is pinned as it is now.
fn own(tree: &Tree, source: &ChartSource) -> Result<LockedChart, ResolveError> {
    let folder = match source {
        ChartSource::Own { folder } => folder,
        ChartSource::Repository { name, .. } => name,
    };
    let OwnChart { name, version, digest, .. } = OwnChart::pack(tree, folder).map_err(ResolveError::OwnChart)?;
    Ok(LockedChart { name, version, origin: ChartOrigin::Own { path: folder.clone() }, digest })
}
