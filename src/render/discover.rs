//! Finds the images of rendered objects and remembers each place exactly.

use std::collections::BTreeSet;

use super::rules::{self, Shape};
use crate::definition::{ClusterNode, ComputedImages};
use crate::image::Reference;
use crate::object::{Object, Path, Stream, walk};
use crate::yaml::{Node, Span, Value};

/// An image at a place of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Index of the object in its stream.
    pub object: usize,
    /// The object, for people.
    pub title: String,
    /// Where in it.
    pub path: Path,
    /// The reference as it was written or put together.
    pub text: String,
    /// What it comes to.
    pub image: Found,
    /// How the place holds it.
    pub shape: Shape,
}

/// What a place comes to, or why to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The image it names.
    Image(Reference),
    /// What an operator makes of it on the nodes there are; the place keeps its tag.
    Computed(BTreeSet<Reference>),
    /// Nothing, and why.
    Invalid(String),
}

/// What a release's author knows of its images beyond what rules find.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// References in places that no rule knows, such as arguments and environment variables; they are found wherever
    /// they stand whole.
    pub declared: &'a [Reference],
    /// Places whose tag an operator completes.
    pub computed: &'a [ComputedImages],
    /// What it completes them from.
    pub nodes: &'a [ClusterNode],
}

/// Finds every image in a stream.
pub fn discover(stream: &Stream, known: Known<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, object) in stream.objects.iter().enumerate() {
        if !rules::skipped(object) {
            let custom = rules::is_custom(object);
            walk(&object.node, &mut |path, node| {
                if let Some((shape, text)) = at(custom, path, node, known.declared) {
                    let image = found(object, path, node, &text, known);
                    findings.push(Finding {
                        object: index,
                        title: object.title(),
                        path: path.clone(),
                        text,
                        image,
                        shape,
                    });
                }
            });
        }
    }
    findings
}

/// Declarations of computed images whose place no object has: a chart renamed it, or it was never right.
pub fn without_place<'c>(stream: &Stream, computed: &'c [ComputedImages]) -> Vec<&'c ComputedImages> {
    let mut missing: Vec<&ComputedImages> = computed.iter().collect();
    for object in &stream.objects {
        walk(&object.node, &mut |path, _| {
            missing.retain(|c| !c.is_at(&object.kind, &object.name, &path.to_string()));
        });
    }
    missing
}

fn found(object: &Object, path: &Path, node: &Node, text: &str, known: Known<'_>) -> Found {
    let path = path.to_string();
    if let Some(computed) = known.computed.iter().find(|c| c.is_at(&object.kind, &object.name, &path)) {
        return computed.on(node, known.nodes).map_or_else(Found::Invalid, Found::Computed);
    }
    match text.parse::<Reference>() {
        Ok(image) => Found::Image(image),
        Err(invalid) => Found::Invalid(invalid.reason.to_owned()),
    }
}

fn at(custom: bool, path: &Path, node: &Node, declared: &[Reference]) -> Option<(Shape, String)> {
    match &node.value {
        Value::Map(map) if custom => rules::group(map),
        Value::String(text) if rules::in_pod_spec(path) => Some(scalar(node.span, "", text)),
        Value::String(text) if custom && rules::is_image_field(path, text) => Some(scalar(node.span, "", text)),
        Value::String(text) if !text.contains('\n') => {
            let (prefix, reference) = match text.split_once('=') {
                Some((flag, value)) => (&text[..=flag.len()], value),
                None => ("", text.as_str()),
            };
            let known = reference.parse::<Reference>().is_ok_and(|image| declared.contains(&image));
            known.then(|| scalar(node.span, prefix, reference))
        }
        _ => None,
    }
}

fn scalar(span: Span, prefix: &str, text: &str) -> (Shape, String) {
    (Shape::Scalar { span, prefix: prefix.to_owned() }, text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, declared: &[&str]) -> Vec<String> {
        let stream = Stream::parse(text).unwrap();
        let declared: Vec<Reference> = declared.iter().map(|d| d.parse().unwrap()).collect();
        discover(&stream, Known { declared: &declared, ..Known::default() })
            .into_iter()
            .map(|f| format!("{}: {}", f.path, f.text))
            .collect()
    }

    #[test]
    fn pod_specs_wherever_they_stand() {
        let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  template:\n    spec:\n      containers:\n      - {name: a, image: a:1}\n      initContainers: [{image: b:1}]\n      volumes: [{name: m, image: {reference: m:1}}]\n---\n\
            apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: t}\nspec: {pod: {containers: [{image: c:1}]}, image: q.io/d:1, sidecarImage: e/f@x, image2: no}\n";
        let expected = [
            "spec.template.spec.containers[0].image: a:1",
            "spec.template.spec.initContainers[0].image: b:1",
            "spec.template.spec.volumes[0].image.reference: m:1",
            "spec.pod.containers[0].image: c:1",
            "spec.image: q.io/d:1",
            "spec.sidecarImage: e/f@x",
        ];
        assert_eq!(found(text, &[]), expected);
    }

    #[test]
    fn groups_in_custom_resources() {
        let hex = "a".repeat(64);
        let text = format!(
            "apiVersion: nvidia.com/v1\nkind: ClusterPolicy\nmetadata: {{name: p}}\nspec:\n\
             \x20 driver: {{enabled: false, repository: nvcr.io/nvidia, image: driver, version: v1}}\n\
             \x20 toolkit: {{enabled: true, repository: nvcr.io/nvidia/k8s, image: toolkit, version: v2}}\n\
             \x20 dcgm: {{repository: nvcr.io/nvidia, image: dcgm, version: \"sha256:{hex}\"}}\n\
             \x20 x: {{registry: quay.io, repository: a/b, tag: v3}}\n\
             \x20 w: {{repository: quay.io/c, tag: v4, digest: \"sha256:{hex}\"}}\n\
             \x20 chart: {{repository: \"https://charts.example\", version: v5}}\n\
             \x20 none: {{repository: quay.io/z}}\n"
        );
        let expected = [
            "spec.toolkit: nvcr.io/nvidia/k8s/toolkit:v2".to_owned(),
            format!("spec.dcgm: nvcr.io/nvidia/dcgm@sha256:{hex}"),
            "spec.x: quay.io/a/b:v3".to_owned(),
            format!("spec.w: quay.io/c:v4@sha256:{hex}"),
        ];
        assert_eq!(found(&text, &[]), expected);
    }

    #[test]
    fn tests_and_definitions_are_left_out_and_declared_references_found() {
        let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: t, annotations: {helm.sh/hook: test}}\nspec: {containers: [{image: t:1}]}\n---\n\
            apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: c}\nspec: {containers: [{image: t:1}]}\n---\n\
            apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{image: p:1, args: [\"--x=quay.io/r:2\", \"quay.io/other:1\"], env: [{name: I, value: \"quay.io/r:2\"}]}]}\n";
        let expected = [
            "spec.containers[0].image: p:1",
            "spec.containers[0].args[0]: quay.io/r:2",
            "spec.containers[0].env[0].value: quay.io/r:2",
        ];
        assert_eq!(found(text, &["quay.io/r:2"]), expected);
    }
}
