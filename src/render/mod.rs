//! From values to objects: helm renders, images are found in what it rendered, and every place is rewritten to the
//! site's registry. One record of places serves finding and rewriting. Must not decide what is installed.

mod discover;
mod rewrite;
mod rules;

use std::path::Path;

use crate::definition::{Environment, Release};
use crate::object::{InvalidObject, Object, Stream};
use crate::tools::{CallError, Helm, TemplateRequest};

pub use discover::{Finding, discover};
pub use rewrite::{Rewriting, Violation};

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

/// Renders a release for its environment.
///
/// # Errors
/// [`RenderError`] naming the release.
pub async fn render(
    helm: &Helm,
    environment: &Environment,
    release: &Release,
    chart: &Path,
) -> Result<Rendered, RenderError> {
    let values = values_json(release);
    let request = TemplateRequest {
        release: &release.name,
        namespace: &release.namespace,
        chart,
        values: &values,
        kube_version: &environment.kube_version,
        api_versions: &[],
    };
    let text = helm.template(&request).await;
    let text = text.map_err(|source| RenderError::Helm { release: release.name.clone(), source })?;
    let stream = Stream::parse(text);
    let stream = stream.map_err(|source| RenderError::Object { release: release.name.clone(), source })?;
    Ok(Rendered { stream })
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
