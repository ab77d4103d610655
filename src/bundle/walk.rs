//! From the index to everything it names: every manifest read and hashed, every blob present in its size, and nothing
//! else there.

use std::collections::{BTreeMap, BTreeSet};

use super::blobs::Blobs;
use super::open::Found;
use super::{ChartInfo, Error, ExtraInfo, ImageInfo, ManifestInfo, ToolInfo};
use crate::digest::Digest;
use crate::image::Platform;
use crate::layout::{Descriptor, Index, Manifest, annotation, blob_path, media};

/// No manifest is longer.
const LARGEST: u64 = 4 << 20;
/// No more is read of all of them together: one that many images name is read for each.
const MOST_READ: u64 = 64 << 20;
/// No more blobs are named by all of them together, those counted twice that are named twice.
const MOST_NAMED: usize = 200_000;

/// Everything a bundle holds.
#[derive(Debug, Default)]
pub(super) struct Holding {
    pub environment: String,
    pub definition: Option<Descriptor>,
    pub places: Option<Descriptor>,
    pub platctl: Option<ToolInfo>,
    pub charts: Vec<ChartInfo>,
    pub tools: Vec<ToolInfo>,
    pub images: Vec<ImageInfo>,
    pub extras: Vec<ExtraInfo>,
    /// What needs each blob.
    pub needed_by: BTreeMap<Digest, Vec<String>>,
}

struct Walk<'a> {
    blobs: &'a Blobs,
    holding: Holding,
    read: u64,
    named: usize,
}

/// Reads all that the index names.
pub(super) fn walk(blobs: &Blobs) -> Result<Holding, Error> {
    let mut walk = Walk { blobs, holding: Holding::default(), read: 0, named: 0 };
    for top in &blobs.found.top {
        walk.top(top)?;
    }
    let mut holding = walk.holding;
    holding.charts.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    holding.tools.sort_by(|a, b| (&a.name, &a.version, &a.platform).cmp(&(&b.name, &b.version, &b.platform)));
    holding.extras.sort_by(|a, b| a.name.cmp(&b.name));
    holding.images.sort_by(|a, b| a.reference.cmp(&b.reference));
    no_twins(&holding)?;
    Ok(holding)
}

impl Holding {
    /// Refuses blobs that nothing names: no check of what a bundle holds would see them.
    pub fn needs_all(&self, found: &Found) -> Result<(), Error> {
        let mut all = found.blobs.keys().chain(&found.link);
        match all.find(|digest| !self.needed_by.contains_key(digest)) {
            Some(alone) => Err(wrong(&format!("nothing in it needs the entry `{}`", blob_path(alone)))),
            None => Ok(()),
        }
    }
}

impl Walk<'_> {
    fn top(&mut self, top: &Descriptor) -> Result<(), Error> {
        match top.annotation(annotation::KIND) {
            Some("image") => self.image(top),
            Some("chart") => self.chart(top),
            Some("tool") => {
                let tool = self.tool(top)?;
                self.holding.tools.push(tool);
                Ok(())
            }
            Some("extra") => self.extra(top),
            Some("platctl") if self.holding.platctl.is_none() => {
                let platctl = self.tool(top)?;
                if self.blobs.found.link != Some(platctl.file.digest) {
                    return Err(wrong("its platctl is not the first entry"));
                }
                if top.annotation(annotation::FILE) != Some(&platctl.file.digest.to_string()) {
                    return Err(wrong("it does not name the digest of its platctl"));
                }
                self.holding.platctl = Some(platctl);
                Ok(())
            }
            Some("places") if self.holding.places.is_none() => self.places(top),
            Some("definition") if self.holding.definition.is_none() => self.definition(top),
            Some(kind) => Err(wrong(&format!("it has one `{}` too many", kind.escape_default()))),
            None => Err(wrong("it names something without saying what it is")),
        }
    }

    fn definition(&mut self, top: &Descriptor) -> Result<(), Error> {
        let manifest = self.manifest(top, "the definition")?;
        let layer = only_layer(&manifest, "the definition")?;
        self.holding.environment = name(said(top, annotation::NAME)?)?;
        self.holding.definition = Some(layer);
        Ok(())
    }

    fn places(&mut self, top: &Descriptor) -> Result<(), Error> {
        let manifest = self.manifest(top, "the places of images")?;
        self.holding.places = Some(only_layer(&manifest, "the places of images")?);
        Ok(())
    }

    fn chart(&mut self, top: &Descriptor) -> Result<(), Error> {
        let (name, version) = (name(said(top, annotation::NAME)?)?, name(said(top, annotation::VERSION)?)?);
        let who = format!("chart {name} {version}");
        let manifest = self.manifest(top, &who)?;
        let package = only_layer(&manifest, &who)?;
        let chart = ChartInfo { name, version, package, config: manifest.config, manifest: top.clone() };
        self.holding.charts.push(chart);
        Ok(())
    }

    fn extra(&mut self, top: &Descriptor) -> Result<(), Error> {
        let name = name(said(top, annotation::NAME)?)?;
        let who = format!("extra {name}");
        let manifest = self.manifest(top, &who)?;
        let file = only_layer(&manifest, &who)?;
        self.holding.extras.push(ExtraInfo { name, file, manifest: top.clone() });
        Ok(())
    }

    fn tool(&mut self, top: &Descriptor) -> Result<ToolInfo, Error> {
        let version = top.annotation(annotation::VERSION).map(name).transpose()?;
        let name = name(said(top, annotation::NAME)?)?;
        let who = version.as_ref().map_or_else(|| name.clone(), |version| format!("tool {name} {version}"));
        let platform = said(top, annotation::PLATFORM)?;
        let platform = platform.parse().map_err(|_| wrong(&format!("{who} is for no platform")))?;
        let manifest = self.manifest(top, &who)?;
        let file = only_layer(&manifest, &who)?;
        let title = self::name(file.annotation(annotation::TITLE).unwrap_or(&name))?;
        Ok(ToolInfo { name, version, platform, title, file, manifest: top.clone() })
    }

    fn image(&mut self, top: &Descriptor) -> Result<(), Error> {
        let name = said(top, annotation::REF_NAME)?;
        let reference = name.parse().map_err(|_| wrong(&format!("`{}` names no image", name.escape_default())))?;
        let source = said(top, annotation::SOURCE_DIGEST)?.parse();
        let source_digest = source.map_err(|_| wrong(&format!("{name} does not say what it was taken from")))?;
        let children = match &top.media_type {
            kind if media::is_index(kind) => self.children(top, name)?,
            kind if media::is_manifest(kind) => vec![top.clone()],
            kind => return Err(document(name, &format!("`{}` is no manifest", kind.escape_default()))),
        };
        let mut manifests = Vec::new();
        for child in children {
            let platform = child.platform.as_ref().and_then(|json| Platform::from(json).to_string().parse().ok());
            let platform: Platform =
                platform.ok_or_else(|| document(name, "one of its manifests is for no platform"))?;
            let read = self.manifest(&child, name)?;
            manifests.push(ManifestInfo { platform, manifest: child, config: read.config, layers: read.layers });
        }
        manifests.sort_by(|a, b| a.platform.cmp(&b.platform));
        // An index around one manifest is only there for other tools.
        let top = match &manifests[..] {
            [one] => one.manifest.clone(),
            _ => top.clone(),
        };
        self.holding.images.push(ImageInfo { reference, source_digest, top, manifests });
        Ok(())
    }

    fn children(&mut self, top: &Descriptor, who: &str) -> Result<Vec<Descriptor>, Error> {
        self.needs(top, who)?;
        let index: Index = serde_json::from_slice(&self.small(top, who)?).map_err(|e| document(who, &e.to_string()))?;
        if index.manifests.is_empty() {
            return Err(document(who, "its index names no manifest"));
        }
        Ok(index.manifests)
    }

    /// Reads a manifest and makes sure that all it names is there.
    fn manifest(&mut self, descriptor: &Descriptor, who: &str) -> Result<Manifest, Error> {
        if !media::is_manifest(&descriptor.media_type) {
            return Err(document(who, &format!("`{}` is no manifest", descriptor.media_type.escape_default())));
        }
        self.needs(descriptor, who)?;
        let bytes = self.small(descriptor, who)?;
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|e| document(who, &e.to_string()))?;
        for blob in std::iter::once(&manifest.config).chain(&manifest.layers) {
            self.needs(blob, who)?;
        }
        Ok(manifest)
    }

    fn small(&mut self, descriptor: &Descriptor, who: &str) -> Result<Vec<u8>, Error> {
        if descriptor.size > LARGEST {
            return Err(document(who, "its manifest is too long"));
        }
        self.read += descriptor.size;
        if self.read > MOST_READ {
            return Err(wrong(&format!("its manifests have more than {MOST_READ} bytes")));
        }
        self.blobs.read(descriptor, vec![who.to_owned()])
    }

    /// Makes sure that a blob is there in its size.
    fn needs(&mut self, blob: &Descriptor, who: &str) -> Result<(), Error> {
        let entry = || self.blobs.found.entry(&blob.digest);
        let needed_by = vec![who.to_owned()];
        match self.blobs.found.place(&blob.digest) {
            None => return Err(Error::Missing { entry: entry(), needed_by }),
            Some(place) if place.size != blob.size => {
                return Err(Error::Size { entry: entry(), expected: blob.size, actual: place.size, needed_by });
            }
            Some(_) => {}
        }
        self.named += 1;
        if self.named > MOST_NAMED {
            return Err(wrong(&format!("it names more than {MOST_NAMED} blobs")));
        }
        let all = self.holding.needed_by.entry(blob.digest).or_default();
        // One after the other is asked what it needs, so only the last can be there already.
        if all.last().is_none_or(|last| last != who) {
            all.push(who.to_owned());
        }
        Ok(())
    }
}

fn only_layer(manifest: &Manifest, who: &str) -> Result<Descriptor, Error> {
    match &manifest.layers[..] {
        [layer] => Ok(layer.clone()),
        _ => Err(document(who, "it has not exactly one layer")),
    }
}

/// One of each name: whoever looks for one must not find another.
fn no_twins(holding: &Holding) -> Result<(), Error> {
    let charts = holding.charts.iter().map(|chart| format!("chart {} {}", chart.name, chart.version));
    let tools = holding.tools.iter().map(|tool| format!("tool {} {:?} {}", tool.name, tool.version, tool.platform));
    let images = holding.images.iter().map(|image| image.reference.to_string());
    let extras = holding.extras.iter().map(|extra| format!("extra {}", extra.name));
    let mut seen = BTreeSet::new();
    match charts.chain(tools).chain(extras).chain(images).find(|name| !seen.insert(name.clone())) {
        Some(twin) => Err(wrong(&format!("{twin} is there twice"))),
        None => Ok(()),
    }
}

/// A name that may be shown, and be the name of a file.
fn name(text: &str) -> Result<String, Error> {
    let strange = |c: char| c == '/' || c == '\\' || c.is_control();
    if text.is_empty() || text == "." || text == ".." || text.len() > 255 || text.contains(strange) {
        return Err(wrong(&format!("`{}` is no name", text.escape_default())));
    }
    Ok(text.to_owned())
}

fn said<'a>(descriptor: &'a Descriptor, key: &str) -> Result<&'a str, Error> {
    descriptor.annotation(key).ok_or_else(|| wrong(&format!("{} has no {key}", descriptor.digest)))
}

fn document(who: &str, problem: &str) -> Error {
    Error::Document { what: who.to_owned(), problem: problem.to_owned() }
}

fn wrong(problem: &str) -> Error {
    Error::Index { problem: problem.to_owned() }
}
