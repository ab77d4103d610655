//! From values to objects: helm renders, images are found in what it rendered, and every place is rewritten to the
//! site's registry. One record of places serves finding and rewriting. Must not decide what is installed.

mod brought;
mod cache;
mod culprit;
mod discover;
mod downloads;
mod guard;
mod offer;
mod refusal;
mod rewrite;
mod scan;
mod shell;
mod violation;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use futures_util::{StreamExt, TryStreamExt, stream};
use zeroize::Zeroizing;

use crate::capabilities::Capabilities;
use crate::definition::{ChartSource, Definition, Release, SecretUse};
use crate::object::{InvalidObject, Object, Stream};
use crate::secrets::{self, NotRevealed, Revealed};
use crate::tools::{CallError, Helm, TemplateRequest};
use cache::Key;
use offer::Offer;

pub use cache::Cache;
pub use culprit::{Culprit, culprits};
pub use discover::{Confidence, Finding, Found, Known, Place, discover, without_place};
pub use downloads::{Download, downloads};
pub use guard::{Difference, Expected, How, InvalidSalt, Salt};
pub use refusal::Refusal;
pub use rewrite::{Rewriting, fetched, floats, undecided};
pub use scan::Scan;
pub use violation::{Rule, Violation};

/// Version of the rules by which images are found and rewritten. It is part of every release's inputs: raise it when
/// the same chart and lock would come out differently.
pub const REWRITER_VERSION: u32 = 2;

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
        /// What its word is about.
        culprits: Vec<Culprit>,
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
    /// It can't be rendered with its secrets.
    #[error(transparent)]
    Secrets(#[from] NotRevealed),
    /// Secrets that its values ask for are not in what it renders.
    #[error("{release}: secrets that its values ask for don't come out of the chart")]
    Lost {
        /// The release.
        release: String,
        /// Where they are asked for.
        uses: Vec<SecretUse>,
    },
}

/// Renders the releases of one environment. A chart may ask what the cluster offers (`.Capabilities.APIVersions`); every
/// release is told the same, whatever else is rendered with it.
pub struct Renderer<'a> {
    /// The environment's helm.
    pub helm: &'a Helm,
    /// The definition; all of it, because what one release brings another may ask for.
    pub definition: &'a Definition,
    /// What the environment's cluster offers by itself.
    pub capabilities: &'a Capabilities,
    /// The archives of all its charts.
    pub charts: &'a BTreeMap<ChartSource, PathBuf>,
    /// The folder in which it is remembered what an archive mentions.
    pub scans: &'a Path,
    /// What was rendered before.
    pub cache: &'a Cache,
    /// Releases that are rendered as upgrades; all others are as on a first install.
    pub upgrades: BTreeSet<String>,
}

impl Renderer<'_> {
    /// The same for releases of which these are there already.
    #[must_use]
    pub fn upgrading(self, upgrades: &BTreeSet<String>) -> Self {
        Renderer { upgrades: upgrades.clone(), ..self }
    }

    /// Renders releases of the definition, in their order.
    ///
    /// What charts are told is what the cluster offers and the resource definitions that the platform itself brings,
    /// because they are there when it is installed. So whatever may bring some is rendered first, selected or not;
    /// then what asks. What asks for nothing is rendered once.
    ///
    /// # Errors
    /// [`RenderError`] naming the release.
    pub async fn render(&self, releases: &[&Release]) -> Result<Vec<Rendered>, RenderError> {
        let scans: BTreeMap<&str, Scan> =
            self.definition.releases.iter().map(|release| (release.name.as_str(), self.scan(release))).collect();
        let selected = |release: &Release| releases.iter().any(|r| r.name == release.name);
        let first = |release: &&Release| {
            let scan = &scans[release.name.as_str()];
            scan.brings || (!scan.asks && selected(release))
        };
        let names = self.capabilities.names();
        let mut rendered = self.pass(self.definition.releases.iter().filter(first), &Offer::new(&names)).await?;

        let bring = rendered.iter().filter(|(name, _)| scans[**name].brings);
        let brought = brought::api_versions(bring.flat_map(|(_, rendered)| &rendered.stream.objects));
        let offer = &names | &brought;
        let asks_anew = |name: &str| scans[name].asks && offer.len() > names.len();
        let second = |release: &&&Release| !rendered.contains_key(release.name.as_str()) || asks_anew(&release.name);
        let second: Vec<&Release> = releases.iter().filter(second).copied().collect();
        rendered.extend(self.pass(second.into_iter(), &Offer::new(&offer)).await?);
        let rendered: Vec<Rendered> =
            releases.iter().filter_map(|release| rendered.remove(release.name.as_str())).collect();
        releases.iter().zip(&rendered).try_for_each(|(release, rendered)| check_secrets(release, rendered))?;
        Ok(rendered)
    }

    /// The resource definitions that the platform itself brings, as charts ask for them.
    ///
    /// # Errors
    /// [`RenderError`] naming the release.
    pub async fn brought(&self) -> Result<BTreeSet<String>, RenderError> {
        let bringing = self.definition.releases.iter().filter(|release| self.scan(release).brings);
        let rendered = self.pass(bringing, &Offer::new(&self.capabilities.names())).await?;
        Ok(brought::api_versions(rendered.values().flat_map(|rendered| &rendered.stream.objects)))
    }

    /// Renders releases once more as they are installed, with secrets in the clear: in memory alone, and remembered
    /// nowhere. [`Renderer::render`] comes first; it says what is wrong with charts in words that hold no secret.
    ///
    /// # Errors
    /// [`RenderError`] naming the release.
    pub async fn render_revealed(
        &self,
        releases: &[&Release],
        revealed: &Revealed,
    ) -> Result<Vec<Rendered>, RenderError> {
        let names = self.capabilities.names();
        let offer = Offer::new(&(&names | &self.brought().await?));
        let rendering = releases.iter().map(|release| async {
            let values = secrets::values(release.values.to_json(), &release.value_secrets, revealed)?;
            let values = Zeroizing::new(values_json(&values));
            let text = self.helm.template_secretly(&self.request(release, &values, &offer)).await;
            Ok(Rendered { stream: self.parsed(release, text)? })
        });
        stream::iter(rendering).buffered(at_once()).try_collect().await
    }

    /// What a release's chart and its values mention.
    pub fn scan(&self, release: &Release) -> Scan {
        let mut scan = Scan::of(&self.charts[&release.chart], self.scans);
        // Charts take objects and templates from values, too.
        scan.text(&release.values.to_json().to_string());
        scan
    }

    async fn pass<'r>(
        &self,
        releases: impl Iterator<Item = &'r Release>,
        offer: &Offer,
    ) -> Result<BTreeMap<&'r str, Rendered>, RenderError> {
        let rendering = releases.map(|release| async move {
            let (rendered, new) = self.one(release, offer).await?;
            Ok::<_, RenderError>((release.name.as_str(), rendered, new))
        });
        let rendered: Vec<_> = stream::iter(rendering).buffered(at_once()).try_collect().await?;
        if rendered.iter().any(|(_, _, new)| *new) {
            self.cache.prune();
        }
        Ok(rendered.into_iter().map(|(name, rendered, _)| (name, rendered)).collect())
    }

    /// What a release renders, and whether that is remembered only now.
    async fn one(&self, release: &Release, offer: &Offer) -> Result<(Rendered, bool), RenderError> {
        let values = values_json(&secrets::offline(release.values.to_json(), &release.value_secrets));
        let request = self.request(release, &values, offer);
        let key = Key::of(self.helm, &request, &offer.digest());
        let known = key.and_then(|key| self.cache.get(key));
        // What is no stream is not remembered, so what is remembered is one.
        if let Some(stream) = known.and_then(|text| Stream::parse(text).ok()) {
            return Ok((Rendered { stream }, false));
        }
        let text = self.helm.template(&request).await;
        let stream = self.parsed(release, text)?;
        if let Some(key) = key {
            self.cache.put(key, stream.text());
        }
        Ok((Rendered { stream }, key.is_some()))
    }

    fn request<'r>(&'r self, release: &'r Release, values: &'r [u8], offer: &'r Offer) -> TemplateRequest<'r> {
        TemplateRequest {
            release: &release.name,
            namespace: &release.namespace,
            chart: &self.charts[&release.chart],
            values,
            kube_version: &self.definition.environment.kube_version,
            is_upgrade: self.upgrades.contains(&release.name),
            api_versions: offer.lists(),
        }
    }

    /// The objects in what helm printed.
    fn parsed(&self, release: &Release, text: Result<String, CallError>) -> Result<Stream, RenderError> {
        let text = text.map_err(|source| RenderError::Helm {
            release: release.name.clone(),
            culprits: culprits(self.definition, release, source.stderr()),
            source,
        })?;
        let stream = Stream::parse(text);
        stream.map_err(|source| RenderError::Object { release: release.name.clone(), source })
    }
}

/// How many charts are rendered at once: helm has one core busy.
fn at_once() -> usize {
    std::thread::available_parallelism().map_or(2, |n| n.get())
}

/// Every secret that values ask for came out.
fn check_secrets(release: &Release, rendered: &Rendered) -> Result<(), RenderError> {
    let uses: Vec<SecretUse> =
        secrets::lost(&release.value_secrets, rendered.stream.text()).into_iter().cloned().collect();
    if uses.is_empty() { Ok(()) } else { Err(RenderError::Lost { release: release.name.clone(), uses }) }
}

/// Values as helm is given them. helm reads them as YAML, which takes some characters for line breaks or refuses them
/// where JSON does not: these are escaped.
pub fn values_json(values: &serde_json::Value) -> Vec<u8> {
    let mut text = String::new();
    for c in values.to_string().chars() {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                text.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => text.push(c),
        }
    }
    text.into_bytes()
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
