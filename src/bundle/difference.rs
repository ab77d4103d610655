//! What one bundle has and another has not: what changed, and how much must cross where the other one is already. Must
//! not know what a definition says.

use std::collections::{BTreeMap, BTreeSet};

use super::Bundle;
use crate::digest::Digest;
use crate::layout::Descriptor;

/// Something that is in one of two bundles only, or in both with other bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// What it was; none if it is new.
    pub old: Option<Digest>,
    /// What it is; none if it is gone.
    pub new: Option<Digest>,
    /// Bytes of it that the old bundle has not.
    pub bytes: u64,
}

/// What a bundle has that an older one has not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Images, by reference.
    pub images: Vec<Change>,
    /// Charts, by name and version.
    pub charts: Vec<Change>,
    /// Tools, by name, version and platform; platctl among them.
    pub tools: Vec<Change>,
    /// Blobs that the old bundle has not.
    pub new_blobs: usize,
    /// Their bytes: what must cross where the old bundle is.
    pub new_bytes: u64,
    /// Bytes of all blobs.
    pub all_bytes: u64,
}

/// Name to digest and blobs.
type Parts<'a> = BTreeMap<String, (Digest, Vec<&'a Descriptor>)>;

impl Bundle {
    /// Compares with an older bundle.
    pub fn since(&self, old: &Bundle) -> Difference {
        let own = self.blobs.found.blobs.iter().map(|(digest, place)| (*digest, place.size));
        let own: Vec<_> = own.chain(self.blobs.found.link.map(|link| (link, self.blobs.found.platctl.size))).collect();
        let new = own.iter().filter(|(digest, _)| !old.has(digest));
        Difference {
            images: changes(&images(old), &images(self), old),
            charts: changes(&charts(old), &charts(self), old),
            tools: changes(&tools(old), &tools(self), old),
            new_blobs: new.clone().count(),
            new_bytes: new.map(|(_, size)| size).sum(),
            all_bytes: own.iter().map(|(_, size)| size).sum(),
        }
    }

    fn has(&self, digest: &Digest) -> bool {
        self.blobs.found.place(digest).is_some()
    }
}

fn images(bundle: &Bundle) -> Parts<'_> {
    let all = bundle.images().iter().map(|image| {
        let manifests = image.manifests.iter().map(|manifest| &manifest.manifest);
        let blobs: Vec<_> = std::iter::once(&image.top).chain(manifests).chain(image.blobs()).collect();
        (image.reference.to_string(), (image.top.digest, blobs))
    });
    all.collect()
}

fn charts(bundle: &Bundle) -> Parts<'_> {
    let all = bundle.charts().iter().map(|chart| {
        let blobs = vec![&chart.package, &chart.config, &chart.manifest];
        (format!("{} {}", chart.name, chart.version), (chart.package.digest, blobs))
    });
    all.collect()
}

fn tools(bundle: &Bundle) -> Parts<'_> {
    let all = bundle.tools().iter().chain([bundle.platctl()]).map(|tool| {
        let version = tool.version.as_ref().map(|version| format!("{version} ")).unwrap_or_default();
        (format!("{} {version}{}", tool.name, tool.platform), (tool.file.digest, vec![&tool.file, &tool.manifest]))
    });
    all.collect()
}

fn changes(old: &Parts<'_>, new: &Parts<'_>, old_bundle: &Bundle) -> Vec<Change> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let all = names.into_iter().filter_map(|name| {
        let (before, after) = (old.get(name), new.get(name));
        let (old, new) = (before.map(|(digest, _)| *digest), after.map(|(digest, _)| *digest));
        let mut seen = BTreeSet::new();
        let blobs = after.iter().flat_map(|(_, blobs)| blobs.iter());
        let missing = blobs.filter(|blob| !old_bundle.has(&blob.digest) && seen.insert(blob.digest));
        let bytes = missing.map(|blob| blob.size).sum();
        (old != new).then(|| Change { name: name.clone(), old, new, bytes })
    });
    all.collect()
}
