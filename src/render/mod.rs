//! From values to objects: helm renders, images are found in what it rendered, and every place is rewritten to the
//! site's registry. One record of places serves finding and rewriting. Must not decide what is installed.

mod discover;
mod rewrite;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::definition::{ChartSource, Environment, Release};
use crate::object::{InvalidObject, Object, Stream};
use crate::tools::{CallError, Helm, TemplateRequest};
use crate::yaml::Node;

pub use discover::{Finding, Found, Known, discover, without_place};
pub use rewrite::{NOT_LOCKED, Rewriting, Violation, violation};

/// Version of the rules by which images are found and rewritten. It is part of every release's inputs: raise it when
/// the same chart and lock would come out differently.
pub const REWRITER_VERSION: u32 = 1;

/// What helm made of a release.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// Every object, hooks and the files of `crds/` included.
    pub stream: Stream,
}

/// Why a release could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// helm refused.
    #[error("{release}: helm cannot render the chart")]
    Helm {
        /// The release.
        release: String,
        /// helm's word.
        #[source]
        source: CallError,
    },
    /// A rendered document is no object.
    #[error("{release}: the chart renders something that is no Kubernetes object")]
    Object {
        /// The release.
        release: String,
        /// Which document.
        #[source]
        source: InvalidObject,
    },
}

/// Renders releases for their environment, in their order. What a chart asks the cluster for
/// (`.Capabilities.APIVersions`) includes the resource definitions that these releases themselves bring, because they
/// are there when it is installed.
///
/// # Errors
/// [`RenderError`] naming the release.
pub async fn all(
    helm: &Helm,
    environment: &Environment,
    releases: &[&Release],
    charts: &BTreeMap<ChartSource, PathBuf>,
) -> Result<Vec<Rendered>, RenderError> {
    let first = pass(helm, environment, releases, charts, &[]).await?;
    let brought = brought_api_versions(&first);
    if brought.is_empty() {
        return Ok(first);
    }
    pass(helm, environment, releases, charts, &brought).await
}

async fn pass(
    helm: &Helm,
    environment: &Environment,
    releases: &[&Release],
    charts: &BTreeMap<ChartSource, PathBuf>,
    api_versions: &[String],
) -> Result<Vec<Rendered>, RenderError> {
    let at_once = std::thread::available_parallelism().map_or(2, |n| n.get());
    let rendering =
        releases.iter().map(|release| one(helm, environment, release, &charts[&release.chart], api_versions));
    stream::iter(rendering).buffered(at_once).try_collect().await
}

async fn one(
    helm: &Helm,
    environment: &Environment,
    release: &Release,
    chart: &Path,
    api_versions: &[String],
) -> Result<Rendered, RenderError> {
    let values = values_json(release);
    let request = TemplateRequest {
        release: &release.name,
        namespace: &release.namespace,
        chart,
        values: &values,
        kube_version: &environment.kube_version,
        api_versions,
    };
    let text = helm.template(&request).await;
    let text = text.map_err(|source| RenderError::Helm { release: release.name.clone(), source })?;
    let stream = Stream::parse(text);
    let stream = stream.map_err(|source| RenderError::Object { release: release.name.clone(), source })?;
    Ok(Rendered { stream })
}

/// `group/version` and `group/version/Kind` of every resource definition among the objects.
fn brought_api_versions(rendered: &[Rendered]) -> Vec<String> {
    let mut found = BTreeSet::new();
    for object in rendered.iter().flat_map(|r| &r.stream.objects) {
        let Some(spec) = object.node.get("spec").filter(|_| object.kind == "CustomResourceDefinition") else {
            continue;
        };
        let group = spec.get("group").and_then(Node::as_str);
        let kind = spec.get("names").and_then(|names| names.get("kind")).and_then(Node::as_str);
        let versions = spec.get("versions").and_then(Node::as_list).unwrap_or_default();
        for version in versions.iter().filter_map(|version| version.get("name").and_then(Node::as_str)) {
            if let (Some(group), Some(kind)) = (group, kind) {
                found.insert(format!("{group}/{version}"));
                found.insert(format!("{group}/{version}/{kind}"));
            }
        }
    }
    found.into_iter().collect()
}

/// A release's values as helm is given them.
pub fn values_json(release: &Release) -> Vec<u8> {
    release.values.to_json().to_string().into_bytes()
}

impl Rendered {
    /// The definitions from `crds/` folders: their names and their text.
    pub fn crds(&self) -> Option<(Vec<String>, String)> {
        let crds: Vec<&Object> = self.stream.objects.iter().filter(|o| o.is_from_crds_folder()).collect();
        let text: Vec<&str> = crds.iter().map(|object| self.stream.text_of(object)).collect();
        let names = crds.iter().map(|object| object.name.clone()).collect();
        (!crds.is_empty()).then(|| (names, text.join("\n---\n")))
    }
}
