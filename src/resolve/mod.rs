//! What the lock should say: versions become bytes, rendered images become digests. What is pinned stays; what is
//! missing is looked up. Must not write the lock.

mod charts;
mod error;
mod images;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::definition::{ChartSource, Definition, Release, Tree};
use crate::files::Store;
use crate::image::{Platform, Reference};
use crate::lock::{Lock, LockedTool};
use crate::net::Client;
use crate::render::{self, Confidence, Found, Known, Rendered, Renderer};
use crate::supply::{Supply, SupplyError};
use crate::tools;

pub use charts::Charts;
pub use error::ResolveError;
pub use images::lock_images;

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

/// The images every release of a definition wants: what its objects show, and what is declared.
///
/// # Errors
/// [`ResolveError`] with every image that can't be locked.
pub async fn wanted_images(
    renderer: &Renderer<'_>,
    events: Events<'_>,
) -> Result<BTreeMap<Reference, BTreeSet<String>>, ResolveError> {
    let definition = renderer.definition;
    let rendered = renderer.render(&definition.releases.iter().collect::<Vec<_>>()).await?;
    let mut wanted: BTreeMap<Reference, BTreeSet<String>> = BTreeMap::new();
    let mut refused = Vec::new();
    for (release, rendered) in definition.releases.iter().zip(&rendered) {
        let place = definition.place(release);
        if let Some(computed) = render::without_place(&rendered.stream, &release.computed_images).first() {
            return Err(ResolveError::NoPlace { declared_at: computed.declared_at.clone(), place: computed.place() });
        }
        let known = Known {
            declared: &release.extra_images,
            computed: &release.computed_images,
            nodes: &definition.environment.nodes,
        };
        let found = images_of(release, rendered, known, &mut refused);
        events(Event::Rendered { place: place.clone(), images: found.len() });
        for image in found {
            wanted.entry(image).or_default().insert(place.clone());
        }
    }
    if refused.is_empty() { Ok(wanted) } else { Err(ResolveError::Images(refused)) }
}

fn images_of(
    release: &Release,
    rendered: &Rendered,
    known: Known<'_>,
    refused: &mut Vec<render::Violation>,
) -> BTreeSet<Reference> {
    let ignored = |image: &Reference| release.ignored_images.iter().any(|ignored| ignored.matches(image));
    let mut images: BTreeSet<Reference> = release.extra_images.iter().cloned().collect();
    for finding in render::discover(&rendered.stream, known) {
        let left = release.ignored_images.iter().any(|ignored| ignored.means(finding.image(), &finding.text));
        let why = match &finding.image {
            Found::Invalid(_) | Found::Image(_) if left => continue,
            _ if finding.confidence == Confidence::Probable => render::undecided(),
            Found::Invalid(reason) => (render::Rule::NoReference, reason.clone()),
            Found::Image(image) if image.floats() => render::floats(),
            Found::Image(image) => {
                images.insert(image.clone());
                continue;
            }
            Found::Computed(computed) => {
                images.extend(computed.iter().filter(|image| !ignored(image)).cloned());
                continue;
            }
        };
        refused.push(render::Violation::of(&rendered.stream, &finding, why).of_release(&release.name));
    }
    refused.extend(render::fetched(&rendered.stream, &release.exceptions).map(|v| v.of_release(&release.name)));
    images
}
