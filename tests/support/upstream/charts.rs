//! Owns charts: folders packed into archives that are always the same for the same files, and the charts that a
//! test puts into a repository while it runs.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use serde_json::Value;

use super::Result;
use super::config::{Repository, Settings};
use super::hash::hex_digest;
use super::images::Made;
use super::layers::add;
use super::once::lock;

/// A packed chart.
#[derive(Debug)]
pub struct Chart {
    pub name: String,
    pub version: String,
    /// Chart.yaml.
    pub metadata: Value,
    pub archive: Bytes,
    /// Bare hex, as an index has it.
    pub digest: String,
    /// What it is in an OCI repository, made when that is asked for.
    pub artifact: OnceLock<Arc<Made>>,
}

impl Chart {
    pub fn file_name(&self) -> String {
        format!("{}-{}.tgz", self.name, self.version)
    }

    /// The version as a tag, where `+` is not allowed.
    pub fn tag(&self) -> String {
        self.version.replace('+', "_")
    }
}

/// What a repository is known by: its URL without the slash at the end.
pub fn address(url: &str) -> &str {
    url.trim_end_matches('/')
}

#[derive(Default)]
pub struct Charts {
    /// By folder, with a hash of the files that the chart was packed from.
    packed: Mutex<HashMap<PathBuf, (u64, Arc<Chart>)>>,
    /// By repository, in the order in which they came.
    added: Mutex<Vec<(String, Arc<Chart>)>>,
}

impl Charts {
    /// Puts the chart of a folder, as it is now, into a repository; it takes the place of the same version.
    pub fn put(&self, url: &str, folder: &Path) -> Result<Arc<Chart>> {
        let chart = Arc::new(pack(&read(folder)?, folder)?);
        lock(&self.added).push((address(url).to_owned(), chart.clone()));
        Ok(chart)
    }

    /// The repositories of the settings and those that came to be through [`Charts::put`].
    pub fn repositories(&self, settings: &Settings) -> Vec<Repository> {
        let mut all = settings.repositories.clone();
        for (url, _) in lock(&self.added).iter() {
            if all.iter().all(|repository| address(&repository.url) != url) {
                all.push(Repository { url: url.clone(), ..Repository::default() });
            }
        }
        all
    }

    /// All charts of a repository, the newest version of each first.
    pub fn of(&self, repository: &Repository, settings: &Settings) -> Result<Vec<Arc<Chart>>> {
        let mut charts = Vec::new();
        for name in &repository.charts {
            charts.push(self.packed(&settings.charts.join(name))?);
        }
        let here = address(&repository.url);
        for (_, chart) in lock(&self.added).iter().filter(|(url, _)| url == here) {
            charts.retain(|other| (&other.name, &other.version) != (&chart.name, &chart.version));
            charts.push(chart.clone());
        }
        charts.sort_by_cached_key(|chart| (chart.name.clone(), std::cmp::Reverse(order(&chart.version))));
        Ok(charts)
    }

    fn packed(&self, folder: &Path) -> Result<Arc<Chart>> {
        // The files are read every time: a time stamp does not tell apart what changed within a few milliseconds.
        let files = read(folder)?;
        let mut hasher = DefaultHasher::new();
        files.hash(&mut hasher);
        let hash = hasher.finish();
        if let Some((known, chart)) = lock(&self.packed).get(folder)
            && *known == hash
        {
            return Ok(chart.clone());
        }
        let chart = Arc::new(pack(&files, folder)?);
        lock(&self.packed).insert(folder.to_owned(), (hash, chart.clone()));
        Ok(chart)
    }
}

/// Versions that are none come last.
fn order(version: &str) -> Option<semver::Version> {
    semver::Version::parse(version.trim_start_matches('v')).ok()
}

type Files = Vec<(String, Vec<u8>)>;

/// All files of a chart, Chart.yaml first and the others sorted.
fn read(folder: &Path) -> Result<Files> {
    let mut files = Vec::new();
    walk(folder, "", &mut files).map_err(|e| format!("chart folder {}: {e}", folder.display()))?;
    files.sort_by(|(a, _), (b, _)| (a != "Chart.yaml", a).cmp(&(b != "Chart.yaml", b)));
    Ok(files)
}

fn walk(folder: &Path, prefix: &str, files: &mut Files) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = format!("{prefix}{}", path.file_name().unwrap_or_default().to_string_lossy());
        if path.is_dir() {
            walk(&path, &format!("{name}/"), files)?;
        } else {
            files.push((name, fs::read(&path)?));
        }
    }
    Ok(())
}

fn pack(files: &Files, folder: &Path) -> Result<Chart> {
    let (_, text) =
        files.first().filter(|(name, _)| name == "Chart.yaml").ok_or_else(|| lacking(folder, "the file"))?;
    let metadata: Value = serde_yaml::from_slice(text).map_err(|e| format!("{}/Chart.yaml: {e}", folder.display()))?;
    let field = |name: &str| metadata[name].as_str().map(str::to_owned).ok_or_else(|| lacking(folder, name));
    let (name, version) = (field("name")?, field("version")?);
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (path, bytes) in files {
        add(&mut tar, &format!("{name}/{path}"), 0o644, bytes.len() as u64, bytes.as_slice())?;
    }
    let archive = tar.into_inner()?.finish()?;
    let digest = hex_digest(&archive);
    Ok(Chart { name, version, metadata, archive: archive.into(), digest, artifact: OnceLock::new() })
}

fn lacking(folder: &Path, what: &str) -> String {
    format!("{}/Chart.yaml: {what} is missing", folder.display())
}
