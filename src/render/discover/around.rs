//! What a value is by where it stands: the document, the keys above and beside it, what is switched off.

use std::sync::Arc;

use super::telling::{Telling, names_it, telling};
use crate::object::{Path, Step, Text};
use crate::yaml::{Map, Node, Value};

/// The document that is walked: the object itself, or one inside the text of a scalar.
#[derive(Clone)]
pub(super) struct Document {
    /// The text it is read from; none for the object itself.
    pub home: Option<Arc<Text>>,
    /// Texts around it.
    pub depth: usize,
    /// Whether it is read by an operator or a program, not by Kubernetes.
    pub free: bool,
    /// Whether it is a Secret.
    pub secret: bool,
}

/// What a value is given by what stands above it.
#[derive(Clone)]
pub(super) struct Around<'n> {
    pub document: &'n Document,
    /// The map or list it is in.
    pub parent: Option<&'n Node>,
    /// What the key of that tells.
    pub above: Telling,
    /// Whether something above is switched off.
    pub off: bool,
    /// Whether its map is an image by parts.
    pub in_parts: bool,
}

/// What the key of a scalar tells: its own, that of the list it is in, the `name` beside a `value`, a flag before it.
pub(super) fn key_of(path: &Path, around: &Around<'_>) -> Telling {
    match (path.0.last(), around.parent.map(|parent| &parent.value)) {
        (Some(Step::Key(key)), Some(Value::Map(map))) => {
            let name = map.get("name").and_then(Node::as_str).filter(|_| key == "value");
            let inherited = match around.above {
                Telling::Image if names_it(key) => Telling::Image,
                Telling::Image if !key.contains("ull") => Telling::Mention,
                _ => Telling::Nothing,
            };
            telling(name.unwrap_or(key)).max(inherited)
        }
        (Some(Step::Index(i)), Some(Value::List(items))) => {
            let flag = i.checked_sub(1).and_then(|before| items[before].as_str());
            let flag = flag.filter(|flag| flag.starts_with('-') && !flag.contains(['=', ' ', '\n']));
            telling(flag.or(path.key()).unwrap_or_default())
        }
        _ => Telling::Nothing,
    }
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

/// Values of a Secret's `data`, and a ConfigMap's `binaryData`.
pub(super) fn holds_base64(document: &Document, path: &Path) -> bool {
    data_key(path).is_some_and(|(data, _)| data == "data" && document.secret || data == "binaryData")
}

/// What Knative's ConfigMaps, and those made like them, explain themselves by; nobody reads it but people.
pub(super) fn is_example(document: &Document, path: &Path) -> bool {
    !document.free && data_key(path).is_some_and(|(data, key)| data == "data" && key == "_example")
}

/// The two keys that an entry of an object's data stands at.
fn data_key(path: &Path) -> Option<(&str, &str)> {
    let from = path.0.iter().rposition(|step| matches!(step, Step::Text(_))).map_or(0, |i| i + 1);
    match &path.0[from..] {
        [Step::Key(data), Step::Key(key)] => Some((data, key)),
        _ => None,
    }
}

/// Whether something is switched off by what stands in it.
pub(super) fn switched_off(map: &Map) -> bool {
    map.get("enabled").is_some_and(|node| node.value == Value::Bool(false) || node.as_str() == Some("false"))
}
