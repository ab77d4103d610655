//! Resource definitions among rendered objects, as charts ask for them.

use std::collections::BTreeSet;

use crate::object::Object;
use crate::yaml::{Node, Value};

/// `group/version` and `group/version/Kind` of everything that a server offers once these objects are there.
pub fn api_versions<'o>(objects: impl Iterator<Item = &'o Object>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for object in objects.filter(|object| object.kind == "CustomResourceDefinition") {
        let Some(spec) = object.node.get("spec") else { continue };
        let text = |node: Option<&Node>| node.and_then(Node::as_str).map(str::to_owned);
        let kind = text(spec.get("names").and_then(|names| names.get("kind")));
        let (Some(group), Some(kind)) = (text(spec.get("group")), kind) else { continue };
        let versions = spec.get("versions").and_then(Node::as_list).unwrap_or_default();
        for version in versions.iter().filter(|version| served(version)) {
            let Some(name) = text(version.get("name")) else { continue };
            found.insert(format!("{group}/{name}"));
            found.insert(format!("{group}/{name}/{kind}"));
            if has_scale(version) {
                found.insert(format!("{group}/{name}/Scale"));
            }
        }
    }
    found
}

fn served(version: &Node) -> bool {
    version.get("served").is_none_or(|served| served.value != Value::Bool(false))
}

/// The server lists the kind of this subresource as one of the group/version.
fn has_scale(version: &Node) -> bool {
    version.get("subresources").and_then(|subresources| subresources.get("scale")).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Stream;

    #[test]
    fn what_a_server_would_list() {
        let text = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.example.org}\n\
            spec:\n  group: example.org\n  names: {kind: Thing, plural: things}\n  versions:\n\
            \x20 - {name: v1, served: true, subresources: {status: {}, scale: {specReplicasPath: .spec.replicas}}}\n\
            \x20 - {name: v1beta1, served: true}\n  - {name: v1alpha1, served: false}\n---\n\
            apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n";
        let stream = Stream::parse(text).unwrap();
        let found: Vec<String> = api_versions(stream.objects.iter()).into_iter().collect();
        let expected = [
            "example.org/v1",
            "example.org/v1/Scale",
            "example.org/v1/Thing",
            "example.org/v1beta1",
            "example.org/v1beta1/Thing",
        ];
        assert_eq!(found, expected);
    }
}
