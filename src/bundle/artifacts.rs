//! What is no image, in the words of an image layout: the definition, platctl, charts and tools as OCI artifacts.

use std::path::Path;

use super::assemble::{Binary, Blobs, Source, json, no_twins};
use super::{Chart, Contents, Error, Extra, Tool, places};
use crate::files::FileError;
use crate::layout::{Descriptor, Manifest, annotation, media};

const DEFINITION: &str = "the definition";
const PLACES: &str = "the places of images";
const PLATCTL: &str = "platctl";

/// Adds everything that is no image; the descriptors for the index.
pub(super) fn add(contents: &Contents, platctl: &Binary, blobs: &mut Blobs) -> Result<Vec<Descriptor>, Error> {
    let mut top = vec![definition(contents, blobs)?, places(contents, blobs)?, own(contents, platctl, blobs)?];
    let mut charts: Vec<_> = contents.charts.iter().collect();
    charts.sort_by_key(|chart| (&chart.name, &chart.version));
    no_twins(charts.iter().map(|chart| format!("chart {} {}", chart.name, chart.version)))?;
    for one in charts {
        top.push(chart(one, blobs)?);
    }
    let mut tools: Vec<_> = contents.tools.iter().collect();
    tools.sort_by_key(|tool| (&tool.name, &tool.version, &tool.platform));
    no_twins(tools.iter().map(|tool| format!("tool {} {} for {}", tool.name, tool.version, tool.platform)))?;
    for one in tools {
        top.push(tool(one, blobs)?);
    }
    Ok(top)
}

fn definition(contents: &Contents, blobs: &mut Blobs) -> Result<Descriptor, Error> {
    let layer = blobs.definition(media::DEFINITION_TAR, contents.definition.clone(), DEFINITION)?;
    let made = typed(blobs, DEFINITION, media::DEFINITION, layer)?;
    Ok(made.annotated(annotation::KIND, "definition").annotated(annotation::NAME, &contents.environment))
}

fn places(contents: &Contents, blobs: &mut Blobs) -> Result<Descriptor, Error> {
    let layer = blobs.metadata(media::PLACES, places::write(&contents.places)?, PLACES)?;
    Ok(typed(blobs, PLACES, media::PLACES, layer)?.annotated(annotation::KIND, "places"))
}

fn own(contents: &Contents, platctl: &Binary, blobs: &mut Blobs) -> Result<Descriptor, Error> {
    let file = Descriptor::new(media::TOOL_FILE, platctl.digest, platctl.size).annotated(annotation::TITLE, PLATCTL);
    blobs.platctl(&file)?;
    let made = typed(blobs, PLATCTL, media::TOOL, file)?;
    let made = made.annotated(annotation::KIND, "platctl").annotated(annotation::NAME, PLATCTL);
    let made = made.annotated(annotation::FILE, platctl.digest.to_string());
    Ok(made.annotated(annotation::PLATFORM, contents.platctl_platform.to_string()))
}

/// As `helm push` would have left it.
fn chart(chart: &Chart, blobs: &mut Blobs) -> Result<Descriptor, Error> {
    let who = format!("chart {} {}", chart.name, chart.version);
    let title = format!("{}-{}.tgz", chart.name, chart.version);
    let package = Descriptor::new(media::HELM_CHART, chart.digest, size(&chart.file)?);
    let package = package.annotated(annotation::TITLE, title);
    blobs.large(&package, Source::File(chart.file.clone()), &who)?;
    let config = blobs.metadata(media::HELM_CONFIG, chart.config_json.clone(), &who)?;
    let made = artifact(blobs, &who, None, config, package)?;
    let made = made.annotated(annotation::KIND, "chart").annotated(annotation::NAME, &chart.name);
    Ok(made.annotated(annotation::VERSION, &chart.version))
}

fn tool(tool: &Tool, blobs: &mut Blobs) -> Result<Descriptor, Error> {
    let who = format!("tool {} {}", tool.name, tool.version);
    let file = Descriptor::new(media::TOOL_FILE, tool.digest, size(&tool.file)?);
    let file = file.annotated(annotation::TITLE, &tool.title);
    blobs.large(&file, Source::File(tool.file.clone()), &who)?;
    let made = typed(blobs, &who, media::TOOL, file)?;
    let made = made.annotated(annotation::KIND, "tool").annotated(annotation::NAME, &tool.name);
    let made = made.annotated(annotation::VERSION, &tool.version);
    Ok(made.annotated(annotation::PLATFORM, tool.platform.to_string()))
}

/// Adds an extra file of a known size; the descriptor for the index.
pub(super) fn add_extra(extra: &Extra, size: u64, blobs: &mut Blobs) -> Result<Descriptor, Error> {
    let who = format!("extra {}", extra.name);
    let file = Descriptor::new(media::EXTRA_FILE, extra.digest, size).annotated(annotation::TITLE, &extra.name);
    blobs.large(&file, Source::Web(extra.url.clone()), &who)?;
    let made = typed(blobs, &who, media::EXTRA, file)?;
    Ok(made.annotated(annotation::KIND, "extra").annotated(annotation::NAME, &extra.name))
}

/// An artifact of a type of our own, with the empty configuration.
fn typed(blobs: &mut Blobs, who: &str, kind: &str, layer: Descriptor) -> Result<Descriptor, Error> {
    let config = blobs.metadata(media::EMPTY, b"{}".to_vec(), who)?;
    artifact(blobs, who, Some(kind.to_owned()), config, layer)
}

fn artifact(
    blobs: &mut Blobs,
    who: &str,
    artifact_type: Option<String>,
    config: Descriptor,
    layer: Descriptor,
) -> Result<Descriptor, Error> {
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media::MANIFEST.to_owned()),
        artifact_type: artifact_type.clone(),
        config,
        layers: vec![layer],
        annotations: Default::default(),
    };
    let made = blobs.metadata(media::MANIFEST, json(who, &manifest)?, who)?;
    Ok(Descriptor { artifact_type, ..made })
}

fn size(path: &Path) -> Result<u64, Error> {
    Ok(std::fs::metadata(path).map_err(FileError::at("read", path))?.len())
}
