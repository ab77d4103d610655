//! Owns what a chart repository answers: the index and the archives of an HTTP repository, and charts as the
//! artifacts of an OCI repository.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Result;
use super::charts::{Chart, Charts, address};
use super::config::{Links, Repository, Settings};
use super::images::Made;
use super::reply::{Asked, Reply};

const CREATED: &str = "2025-01-01T00:00:00Z";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
const LAYER: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

/// The answer of an HTTP repository to `/HOST/PATH`, if one has it.
pub fn answer(charts: &Charts, settings: &Settings, asked: &Asked) -> Result<Option<Reply>> {
    for repository in charts.repositories(settings) {
        let Some(home) = web(&repository.url) else { continue };
        let index = asked.path == format!("{home}/index.yaml");
        if !index && !may_hold(&repository, home, &asked.path) {
            continue;
        }
        let all = charts.of(&repository, settings)?;
        if index {
            let text = index_of(&repository, &all)?;
            let tag = super::hash::hex_digest(text.as_bytes());
            return Ok(Some(Reply::bytes("text/yaml", text.into()).tagged(&tag).in_ranges()));
        }
        if let Some(chart) = all.iter().find(|chart| place(&repository, chart).as_deref() == Some(&asked.path)) {
            let reply = Reply::bytes("application/gzip", chart.archive.clone());
            return Ok(Some(reply.tagged(&chart.digest).in_ranges()));
        }
    }
    Ok(None)
}

/// The path under which this server has an HTTP URL: `/HOST/PATH`.
fn web(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https:/").or_else(|| url.strip_prefix("http:/"))?;
    rest.starts_with('/').then(|| address(rest))
}

/// Cheap, so that not every repository is packed for every request.
fn may_hold(repository: &Repository, home: &str, path: &str) -> bool {
    let base = match &repository.urls {
        Links::Base(base) => web(base).unwrap_or(home),
        Links::Relative | Links::Absolute => home,
    };
    path.strip_prefix(base).is_some_and(|rest| rest.starts_with('/'))
}

fn link(repository: &Repository, chart: &Chart) -> String {
    let base = match &repository.urls {
        Links::Relative => return chart.file_name(),
        Links::Absolute => &repository.url,
        Links::Base(base) => base,
    };
    format!("{}/{}", address(base), chart.file_name())
}

/// The path under which this server has a chart's archive.
fn place(repository: &Repository, chart: &Chart) -> Option<String> {
    let link = link(repository, chart);
    match &repository.urls {
        Links::Relative => Some(format!("{}/{link}", web(&repository.url)?)),
        Links::Absolute | Links::Base(_) => web(&link).map(str::to_owned),
    }
}

/// An index as helm writes it: every entry is the chart's metadata and where to get it.
fn index_of(repository: &Repository, charts: &[Arc<Chart>]) -> Result<String> {
    let mut entries = Map::new();
    for chart in charts {
        let mut entry = chart.metadata.clone();
        entry["created"] = json!(CREATED);
        entry["digest"] = json!(chart.digest);
        entry["urls"] = json!([link(repository, chart)]);
        let versions = entries.entry(&chart.name).or_insert_with(|| json!([]));
        versions.as_array_mut().into_iter().for_each(|versions| versions.push(entry.clone()));
    }
    let index = json!({"apiVersion": "v1", "entries": entries, "generated": CREATED});
    Ok(serde_yaml::to_string(&index)?)
}

/// What the name of an OCI repository stands for.
pub enum Holding {
    /// The versions of a chart, by tag.
    Chart(Vec<(String, Arc<Made>)>),
    /// A place for charts, but no chart.
    Nothing,
    /// Nothing to do with charts.
    Image,
}

/// Looks whether `HOST/REPO` is a chart of an OCI repository.
pub fn holding(charts: &Charts, settings: &Settings, name: &str) -> Result<Holding> {
    let mut found = Holding::Image;
    for repository in charts.repositories(settings) {
        let Some(home) = repository.url.strip_prefix("oci://").map(address) else { continue };
        let Some(last) = name.strip_prefix(home).and_then(|rest| rest.strip_prefix('/')) else { continue };
        let all = charts.of(&repository, settings)?;
        let made = |chart: &Chart| chart.artifact.get_or_init(|| Arc::new(artifact(chart))).clone();
        let versions = all.iter().filter(|chart| chart.name == last).map(|chart| (chart.tag(), made(chart)));
        let versions: Vec<_> = versions.collect();
        if !versions.is_empty() {
            return Ok(Holding::Chart(versions));
        }
        if !repository.images && !last.contains('/') {
            found = Holding::Nothing;
        }
    }
    Ok(found)
}

/// A chart as `helm push` would have left it.
fn artifact(chart: &Chart) -> Made {
    let mut made = Made::default();
    let config = made.blob(CONFIG, chart.metadata.to_string());
    let layer = made.blob(LAYER, chart.archive.clone());
    let mut notes = json!({
        "org.opencontainers.image.created": CREATED,
        "org.opencontainers.image.title": chart.name,
        "org.opencontainers.image.version": chart.version,
    });
    if let Some(description @ Value::String(_)) = chart.metadata.get("description") {
        notes["org.opencontainers.image.description"] = description.clone();
    }
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config,
        "layers": [layer],
        "annotations": notes,
    });
    made.document(MANIFEST, &manifest);
    made.top = made.documents.last().map(|top| top.digest.clone()).unwrap_or_default();
    made
}
