//! Images that a map names by parts, which somebody puts together at run time: `repository`, `image` and `version`;
//! `registry`, `repository` and `tag`; `name`, `tag` and `digest`.

use super::named::named;
use super::telling::Telling;
use crate::image::Reference;
use crate::yaml::{Map, Node, Value};

/// The keys that parts stand at.
pub(super) const KEYS: [&str; 11] = [
    "registry",
    "repository",
    "imageRepository",
    "image",
    "imageName",
    "name",
    "tag",
    "imageTag",
    "version",
    "digest",
    "sha",
];
/// A map with one of these speaks of a chart.
const CHART: [&str; 3] = ["chart", "chartName", "repoURL"];

/// An image by parts.
#[derive(Debug)]
pub(super) struct Parts<'n> {
    /// The parts before the tag, put together with slashes: registry, repository, name.
    pub names: Vec<&'n Node>,
    /// Those that hold digests: `sha256:…`, `v1@sha256:…` or the digits alone.
    pub digests: Vec<&'n Node>,
    /// The reference they come to.
    pub text: String,
    /// What it names.
    pub image: Reference,
    /// Whether it can't be anything else.
    pub sure: bool,
}

/// Reads the parts of a map that stands at a key which tells this much. `raw` gives a number as it is written.
pub(super) fn parts<'n>(map: &'n Map, at: Telling, raw: &dyn Fn(&Node) -> String) -> Option<Parts<'n>> {
    let text = |key: &str| map.get(key).and_then(|node| written(node, raw)).filter(|text| !text.is_empty());
    let one_of = |keys: &[&'static str]| keys.iter().copied().find(|key| text(key).is_some());
    let repository = one_of(&["repository", "imageRepository"]);
    let registry = one_of(&["registry"]);
    let image = one_of(&["image", "imageName"]);
    let tag = one_of(&["tag", "imageTag"]);
    let digest = one_of(&["digest", "sha"]);
    let version = tag.or_else(|| one_of(&["version"]));
    let named = text("name").is_some_and(|name| has_host(&name));
    let pinned = tag.is_some() || digest.is_some();
    let last = image.or_else(|| {
        let name = one_of(&["name"])?;
        let part_of = registry.is_some() || repository.is_some() && tag.is_none() && version.is_some();
        let alone = repository.is_none() && pinned && (named || at == Telling::Image);
        (part_of && repository.is_none() || alone || part_of && tag.is_none()).then_some(name)
    });
    if version.is_none() && digest.is_none() || repository.is_none() && last.is_none() {
        return None;
    }
    let keys: Vec<&str> = [registry, repository, last].into_iter().flatten().collect();
    let sure = match (registry, repository, image) {
        (Some(_), _, _) | (_, Some(_), Some(_)) => true,
        _ if at == Telling::Image => true,
        (None, Some(repository), None) => digest.is_some() || pinned && has_host(&text(repository)?),
        // A version beside an image is the version of anything.
        (None, None, Some(_)) if !pinned => return None,
        (None, None, Some(_)) => true,
        (None, None, None) => named,
    };
    let chart = CHART.iter().any(|key| map.get(key).is_some());
    let names: Vec<String> = keys.iter().filter_map(|key| text(key)).collect();
    if names.is_empty() || names.iter().any(|name| name.contains(['@', ' ']) || name.contains("://")) {
        return None;
    }
    // A whole reference stands for itself, whatever is beside it.
    if names.last()?.rsplit('/').next()?.contains(':') {
        return None;
    }
    let mut reference = names.iter().map(|name| name.trim_matches('/')).collect::<Vec<_>>().join("/");
    if let Some(version) = version.and_then(text) {
        reference = format!("{reference}{}{version}", if version.starts_with("sha256:") { '@' } else { ':' });
    }
    if let Some(digest) = digest.and_then(text).filter(|_| !reference.contains('@')) {
        reference = format!("{reference}@{}{digest}", if digest.contains(':') { "" } else { "sha256:" });
    }
    let (image, _) = self::named(&reference)?;
    // A name alone with a version may be anything that has one.
    if !sure && !reference.contains('/') {
        return None;
    }
    let node = |key: &str| map.get(key);
    let digests = [version, digest].into_iter().flatten().filter(|key| {
        let holds = |text: String| text.contains("sha256:") || Some(*key) == digest;
        text(key).is_some_and(holds)
    });
    Some(Parts {
        names: keys.iter().filter_map(|key| node(key)).collect(),
        digests: digests.filter_map(node).collect(),
        text: reference,
        image,
        sure: sure && !chart,
    })
}

/// Whether a name begins with a registry's host.
fn has_host(name: &str) -> bool {
    name.split_once('/').is_some_and(|(host, _)| host.contains(['.', ':']) || host == "localhost")
}

/// A part as it is written; a number keeps its digits.
fn written(node: &Node, raw: &dyn Fn(&Node) -> String) -> Option<String> {
    match &node.value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Int(_) | Value::Float(_) => Some(raw(node)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse_generated;

    fn read(text: &str, at: Telling) -> Option<(String, bool, usize, usize)> {
        let node = parse_generated("x", text).unwrap();
        let raw = |node: &Node| text[node.span.start as usize..node.span.end as usize].to_owned();
        parts(node.as_map().unwrap(), at, &raw).map(|p| (p.text, p.sure, p.names.len(), p.digests.len()))
    }

    #[test]
    fn every_way_to_name_by_parts() {
        let hex = "a".repeat(64);
        for (text, at, expected, sure, names, digests) in [
            (
                "{repository: nvcr.io/nvidia, image: driver, version: 1.10}",
                Telling::Nothing,
                "nvcr.io/nvidia/driver:1.10",
                true,
                2,
                0,
            ),
            ("{registry: quay.io, repository: a/b, tag: v3}", Telling::Nothing, "quay.io/a/b:v3", true, 2, 0),
            ("{registry: quay.io, image: a/b, tag: 3}", Telling::Nothing, "quay.io/a/b:3", true, 2, 0),
            ("{registry: quay.io, name: a/b, tag: v3}", Telling::Nothing, "quay.io/a/b:v3", true, 2, 0),
            ("{registry: \"\", repository: a/b, tag: v3}", Telling::Image, "a/b:v3", true, 1, 0),
            ("{name: traefik, tag: v3}", Telling::Image, "traefik:v3", true, 1, 0),
            ("{name: quay.io/a/b, tag: v3}", Telling::Nothing, "quay.io/a/b:v3", true, 1, 0),
            ("{image: a/b, tag: v3, name: x}", Telling::Nothing, "a/b:v3", true, 1, 0),
            ("{repository: quay.io/c, version: v5}", Telling::Nothing, "quay.io/c:v5", false, 1, 0),
            ("{repository: a/b, tag: v5}", Telling::Nothing, "a/b:v5", false, 1, 0),
            ("{repository: nvcr.io/n, name: c, version: v5}", Telling::Nothing, "nvcr.io/n/c:v5", false, 2, 0),
            ("{repository: quay.io/c, chart: c, tag: v5}", Telling::Nothing, "quay.io/c:v5", false, 1, 0),
        ] {
            assert_eq!(read(text, at), Some((expected.to_owned(), sure, names, digests)), "{text}");
        }
        for (text, expected, digests) in [
            (
                format!("{{repository: n.io/n, image: d, version: \"sha256:{hex}\"}}"),
                format!("n.io/n/d@sha256:{hex}"),
                1,
            ),
            (
                format!("{{repository: n.io/c, tag: v4, digest: \"sha256:{hex}\"}}"),
                format!("n.io/c:v4@sha256:{hex}"),
                1,
            ),
            (format!("{{repository: n.io/c, tag: v4, sha: {hex}}}"), format!("n.io/c:v4@sha256:{hex}"), 1),
            (format!("{{repository: n.io/c, tag: \"v4@sha256:{hex}\"}}"), format!("n.io/c:v4@sha256:{hex}"), 1),
            (format!("{{repository: c/d, tag: 13.2, sha: {hex}}}"), format!("c/d:13.2@sha256:{hex}"), 1),
        ] {
            let (found, sure, _, held) = read(&text, Telling::Nothing).unwrap();
            assert_eq!((found, sure, held), (expected, true, digests));
        }
    }

    #[test]
    fn what_is_no_image_by_parts() {
        for text in [
            "{repository: \"https://charts.example\", version: v5}",
            "{repository: \"oci://q.io/a\", tag: v5}",
            "{repository: quay.io/z}",
            "{name: app, version: v1}",
            "{name: app, tag: v1}",
            "{image: \"q.io/a:1\", tag: v2}",
            "{image: quay.io/a/b, version: v3}",
            "{name: app, image: b}",
            "{repository: app, version: 1.2}",
            "{tag: v1}",
            "{registry: quay.io, tag: v1}",
        ] {
            assert_eq!(read(text, Telling::Nothing), None, "{text}");
        }
    }
}
