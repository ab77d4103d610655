//! Which places of an object hold an image: the rules alone, one function each, over one map or scalar at a time.

use crate::object::{Object, Path, Step};
use crate::yaml::{Map, Node, Span, Value};

/// How a place holds its reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// One scalar, of which the end is the reference: `image: R` or `--flag=R`.
    Scalar {
        /// The scalar.
        span: Span,
        /// What stands before the reference.
        prefix: String,
    },
    /// Several keys of one map that an operator puts together.
    Group {
        /// The key `registry`, when it has a value.
        registry: Option<Span>,
        /// The key `repository`.
        repository: Span,
        /// The repository's last part, when it is a key of its own or follows a registry's key.
        last: Option<String>,
    },
}

/// Kinds that no image of theirs is ever pulled from.
pub(super) fn skipped(object: &Object) -> bool {
    object.kind == "CustomResourceDefinition" || object.is_test()
}

/// Whether an object is one that an operator reads, not Kubernetes itself.
pub(super) fn is_custom(object: &Object) -> bool {
    let group = object.group();
    let own = matches!(group, "" | "apps" | "batch" | "autoscaling" | "policy" | "extensions");
    !own && !group.ends_with(".k8s.io")
}

/// A container's image or an image volume, in any pod spec wherever it stands.
pub(super) fn in_pod_spec(path: &Path) -> bool {
    let is = |step: &Step, names: &[&str]| matches!(step, Step::Key(key) if names.contains(&key.as_str()));
    match path.0.as_slice() {
        [.., list, Step::Index(_), key] if is(key, &["image"]) => {
            is(list, &["containers", "initContainers", "ephemeralContainers"])
        }
        [.., volumes, Step::Index(_), image, key] => {
            is(volumes, &["volumes"]) && is(image, &["image"]) && is(key, &["reference"])
        }
        _ => false,
    }
}

/// A custom resource's field that holds a whole reference: `image`, `sidecarImage` …
pub(super) fn is_image_field(path: &Path, text: &str) -> bool {
    let named = matches!(path.0.last(), Some(Step::Key(key)) if key == "image" || key.ends_with("Image"));
    named && (text.contains('/') || text.contains(':') || text.contains('@')) && !text.contains("://")
}

/// A map that names an image by parts: `repository`, with `version`, `tag` or `digest`, and perhaps `registry` and
/// `image`. One that is switched off by `enabled: false` beside it is none.
pub(super) fn group(map: &Map) -> Option<(Shape, String)> {
    if map.get("enabled").is_some_and(|node| node.value == Value::Bool(false)) {
        return None;
    }
    let text = |key: &str| map.get(key).and_then(Node::as_str).filter(|text| !text.is_empty());
    let repository = text("repository")?;
    let version = text("version").or(text("tag"));
    let digest = text("digest").or(text("sha"));
    if version.is_none() && digest.is_none() || repository.contains("://") {
        return None;
    }
    let name = match text("image").or(text("name").filter(|_| map.get("image").is_none() && text("version").is_some()))
    {
        Some(image) if image.contains(':') || image.contains('@') => return None,
        Some(image) => format!("{repository}/{image}"),
        None => repository.to_owned(),
    };
    let registry = text("registry");
    let last = match (registry, text("image")) {
        (_, Some(image)) => Some(image.to_owned()),
        (Some(_), None) => Some(repository.to_owned()),
        (None, None) => None,
    };
    let mut reference = registry.map_or(name.clone(), |registry| format!("{registry}/{name}"));
    if let Some(version) = version {
        let separator = if version.starts_with("sha256:") { '@' } else { ':' };
        reference = format!("{reference}{separator}{version}");
    }
    if let Some(digest) = digest.filter(|_| !reference.contains('@')) {
        reference = format!("{reference}@{}{digest}", if digest.contains(':') { "" } else { "sha256:" });
    }
    let span = |key: &str| map.get(key).map(|node| node.span);
    let shape =
        Shape::Group { registry: registry.and_then(|_| span("registry")), repository: span("repository")?, last };
    Some((shape, reference))
}
