//! Who needs what in a bundle: read from the lock, the definition and the list of places that it carries.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::image_list::Needed;
use crate::bundle::{Bundle, ImageInfo, Places};
use crate::definition::{Definition, LOCK_PATH, Tree};
use crate::digest::Digest;
use crate::lock::Lock;
use crate::supply::locked_chart;
use crate::ui::failure::{Code, Failure, Failures};
use crate::ui::{bytes, count, table};

/// What a bundle says of who needs what.
pub(super) struct Needs {
    tree: Tree,
    lock: Lock,
    places: Places,
}

/// A release with what it takes.
pub(super) struct ByRelease {
    release: String,
    chart: String,
    images: Vec<String>,
    alone: u64,
    shared: u64,
}

impl Needs {
    /// Reads what is needed for the answers.
    pub fn read(bundle: &Bundle) -> Result<Needs, Failures> {
        let tree = Tree::from_tar(&bundle.definition()?)?;
        let text = String::from_utf8_lossy(tree.get(LOCK_PATH).unwrap_or_default()).into_owned();
        let lock = Lock::parse(LOCK_PATH, &text).map_err(|problem| Failure::problem(Code::LockUnreadable, &problem))?;
        Ok(Needs { lock, tree, places: bundle.places()? })
    }

    /// Every image, in the order of the bundle.
    pub fn images(&self, bundle: &Bundle) -> Result<Vec<Needed>, Failures> {
        let needed = |image: &ImageInfo| {
            let reference = image.reference.to_string();
            let platforms: Vec<String> = image.manifests.iter().map(|m| m.platform.to_string()).collect();
            let layers: usize = image.manifests.iter().map(|m| m.layers.len()).sum();
            let size = bytes(image.total());
            let facts = format!("{}  {}  {size}  {}", platforms.join(","), count(layers, "layer"), image.top.digest);
            let places = self.places.get(&reference).cloned().unwrap_or_default();
            let releases = self.releases_of(bundle, image);
            Needed { lines: [reference, facts], releases, places }
        };
        Ok(bundle.images().iter().map(needed).collect())
    }

    /// The releases whose renders ask for an image: `prod/applications/minio`.
    fn releases_of(&self, bundle: &Bundle, image: &ImageInfo) -> Vec<String> {
        let prefix = format!("{}/", bundle.environment());
        let locked = self.lock.images.get(&image.reference);
        let from = locked.into_iter().flat_map(|locked| &locked.from).filter(|place| place.starts_with(&prefix));
        from.cloned().collect()
    }

    /// Every release that is on, in the order of the definition.
    pub fn releases(&self, bundle: &Bundle) -> Result<Vec<ByRelease>, Failures> {
        let definition = Definition::load_without_secrets(&self.tree, bundle.environment())?;
        let mut all = Vec::new();
        for release in &definition.releases {
            let locked = locked_chart(&self.lock, &self.tree, &release.name, &release.chart)?;
            let package = bundle.charts().iter().find(|chart| chart.package.digest == locked.digest);
            let place = definition.place(release);
            let images: Vec<&ImageInfo> =
                bundle.images().iter().filter(|image| self.releases_of(bundle, image).contains(&place)).collect();
            let mut blobs: BTreeMap<Digest, u64> = BTreeMap::new();
            blobs.extend(package.map(|chart| (chart.package.digest, chart.package.size)));
            blobs.extend(images.iter().flat_map(|image| image.blobs()).map(|blob| (blob.digest, blob.size)));
            let chart = format!("{} {}", locked.name, locked.version);
            let images = images.iter().map(|image| image.reference.to_string()).collect();
            all.push((ByRelease { release: place, chart, images, alone: 0, shared: 0 }, blobs));
        }
        Ok(split(all))
    }
}

/// Counts every blob for whoever uses it, as their own or as one that others use too.
fn split(mut all: Vec<(ByRelease, BTreeMap<Digest, u64>)>) -> Vec<ByRelease> {
    let mut users: BTreeMap<Digest, usize> = BTreeMap::new();
    for digest in all.iter().flat_map(|(_, blobs)| blobs.keys()) {
        *users.entry(*digest).or_default() += 1;
    }
    for (release, blobs) in &mut all {
        for (digest, size) in blobs {
            let several = users.get(digest).is_some_and(|users| *users > 1);
            *(if several { &mut release.shared } else { &mut release.alone }) += *size;
        }
    }
    all.into_iter().map(|(release, _)| release).collect()
}

/// A table of releases.
pub(super) fn releases_text(releases: &[ByRelease]) -> String {
    let row = |of: &ByRelease| {
        vec![of.release.clone(), of.chart.clone(), of.images.len().to_string(), bytes(of.alone), bytes(of.shared)]
    };
    let rows: Vec<_> = releases.iter().map(row).collect();
    table(&["RELEASE", "CHART", "IMAGES", "ALONE", "SHARED"], &rows)
}

/// Adds to the images of a JSON result who needs them, and where.
pub(super) fn add_places(images: &[Needed], json: &mut Value) {
    for (image, needed) in json["images"].as_array_mut().into_iter().flatten().zip(images) {
        image["releases"] = json!(needed.releases);
        image["places"] = json!(needed.places);
    }
}

impl ByRelease {
    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "release": self.release, "chart": self.chart, "images": self.images, "sizeAlone": self.alone,
            "sizeShared": self.shared,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_releases_use_is_shared_by_each() {
        let release =
            |n: &str| ByRelease { release: n.into(), chart: "c 1".into(), images: vec![], alone: 0, shared: 0 };
        let [a, b, c] = ["a", "b", "c"].map(Digest::of);
        let all = vec![(release("x"), [(a, 1), (b, 10)].into()), (release("y"), [(b, 10), (c, 100)].into())];
        let split = split(all);
        assert_eq!(split.iter().map(|r| (r.alone, r.shared)).collect::<Vec<_>>(), [(1, 10), (100, 10)]);
    }
}
