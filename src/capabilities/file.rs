//! The content of one `capabilities.yaml`, typed and strict. Must not know where it comes from.

use super::{Capabilities, minor};
use crate::definition::API_VERSION;
use crate::yaml::{Fields, Node, Problem, Sources, Span};

/// A file's content, and where its `kubeVersion` stands.
pub(super) fn typed(sources: &Sources, node: &Node, origin: &str) -> Result<(Capabilities, Span), Problem> {
    let mut fields = Fields::of(sources, node, "the capabilities")?;
    let span = fields.need("apiVersion")?.span;
    let version = fields.need_string("apiVersion")?;
    if version != API_VERSION {
        return Err(fields
            .problem(format!("unknown apiVersion `{version}`"), span)
            .help(format!("write {API_VERSION}")));
    }
    let span = fields.need("kubeVersion")?.span;
    let version = fields.need_string("kubeVersion")?;
    if minor(version).is_none() {
        let problem = fields.problem(format!("`{version}` is no Kubernetes version"), span);
        return Err(problem.help("write it as the server says it, such as \"1.34.4\""));
    }
    let mut found = Capabilities::new(version, origin);
    fields.need("apis")?;
    for entry in fields.map("apis")? {
        if !is_group_version(&entry.key) {
            let problem = fields.problem(format!("`{}` is no group/version", entry.key), entry.key_span);
            return Err(problem.help("write it as apiVersion is written, such as apps/v1 or v1"));
        }
        found.add(&entry.key, kinds(sources, &fields, &entry.key, &entry.node)?);
    }
    fields.finish()?;
    Ok((found, span))
}

fn kinds(sources: &Sources, fields: &Fields, api: &str, node: &Node) -> Result<Vec<String>, Problem> {
    let Some(items) = node.as_list() else {
        let message = format!("`{api}` must be a list, not {}", node.value.kind());
        return Err(Problem::new(message).at(sources, node.span).help("write the kinds, such as [Deployment, Scale]"));
    };
    let mut kinds = Vec::new();
    for item in items {
        match item.as_str() {
            Some(kind) if is_kind(kind) => kinds.push(kind.to_owned()),
            Some(kind) => return Err(fields.problem(format!("`{kind}` is no kind"), item.span)),
            None => {
                let message = format!("a kind of `{api}` must be a string, not {}", item.value.kind());
                return Err(fields.problem(message, item.span).help("put it in quotes"));
            }
        }
    }
    Ok(kinds)
}

/// `apps/v1`, `v1`. What these let through reaches helm in a list separated by commas.
pub(super) fn is_group_version(text: &str) -> bool {
    let name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
    };
    match text.split_once('/') {
        Some((group, version)) => name(group) && name(version),
        None => name(text),
    }
}

pub(super) fn is_kind(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}
