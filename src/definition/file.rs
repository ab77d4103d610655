//! One file of a definition: the map in it, and forms that several files share: `apiVersion`, durations, labels of DNS,
//! patterns. Must not know what a file is about.

use std::time::Duration;

use super::{API_VERSION, Tree, duration};
use crate::yaml::{Fields, Node, Problem, SourceId, Sources, Value};

/// Reads a file of the tree, if it is there.
pub(super) fn read_optional(tree: &Tree, sources: &mut Sources, path: &str) -> Result<Option<Node>, Problem> {
    source(tree, sources, path)?.map(|id| read_map(sources, id)).transpose()
}

/// Makes a file of the tree a source, if it is there.
pub(super) fn source(tree: &Tree, sources: &mut Sources, path: &str) -> Result<Option<SourceId>, Problem> {
    let Some(bytes) = tree.get(path) else { return Ok(None) };
    let text = std::str::from_utf8(bytes).map_err(|_| Problem::in_file(path, "the file is not UTF-8"))?;
    Ok(Some(sources.add(path, text)))
}

pub(super) fn read_map(sources: &Sources, id: SourceId) -> Result<Node, Problem> {
    let node = sources.read(id)?;
    match node.value {
        Value::Map(_) => Ok(node),
        _ => Err(Problem::new(format!("the file must be a map, not {}", node.value.kind())).at(sources, node.span)),
    }
}

/// Takes `apiVersion` and refuses another one.
pub(super) fn check_api_version(fields: &mut Fields) -> Result<(), Problem> {
    let span = fields.need("apiVersion")?.span;
    match fields.need_string("apiVersion")? {
        API_VERSION => Ok(()),
        other => {
            Err(fields.problem(format!("unknown apiVersion `{other}`"), span).help(format!("write {API_VERSION}")))
        }
    }
}

/// A duration such as `10m`.
pub(super) fn duration_field(fields: &mut Fields, key: &'static str) -> Result<Option<Duration>, Problem> {
    let Some(node) = fields.get(key) else { return Ok(None) };
    let text = fields.text(node, key)?;
    match duration::parse(text) {
        Some(duration) => Ok(Some(duration)),
        None => {
            Err(fields.problem(format!("`{text}` is no duration"), node.span).help("write it as 90s, 10m or 1h30m"))
        }
    }
}

pub(super) fn wildcard(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len()).filter(|i| rest.is_char_boundary(*i)).any(|i| wildcard(tail, &rest[i..]))
        }),
    }
}

/// Whether a text is a DNS label of at most `max` characters, as Kubernetes wants for names.
pub(super) fn dns_label(text: &str, max: usize) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = text.as_bytes();
    bytes.len() <= max
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}
