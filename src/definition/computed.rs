//! Images whose tag an operator completes at run time: where they stand in its custom resource, and templates that
//! say which they come to on the nodes there are. Must not look at a cluster.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tera::Context;

use super::ClusterNode;
use super::asked::Asked;
use super::expression::Name;
use super::file::wildcard;
use super::path::Path;
use super::scope::{Leaf, Scope};
use super::template::Evaluator;
use crate::image::Reference;
use crate::yaml::{Fields, Node, Problem, Sources, Span, Value};

/// One such place. It crosses a process border on its way to the post-renderer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComputedImages {
    /// Kind of the object.
    kind: String,
    /// Its name; a `*` stands for any text.
    name: String,
    /// The way to the place: `spec.driver`.
    path: String,
    /// Templates over `item`, what stands at the place, and `node`.
    images: Vec<String>,
    /// Where it is declared: file and line.
    pub declared_at: String,
}

impl ComputedImages {
    /// Reads an entry of `images.computed`.
    pub(super) fn typed(sources: &Sources, node: &Node) -> Result<ComputedImages, Problem> {
        let mut fields = Fields::of(sources, node, "a computed image")?;
        let span = fields.need("place")?.span;
        let place = fields.need_string("place")?;
        let parts = place.split_once(':').and_then(|(object, path)| Some((object.split_once('/')?, path)));
        let Some(((kind, name), path)) =
            parts.filter(|((kind, name), path)| !kind.is_empty() && !name.is_empty() && !path.is_empty())
        else {
            let problem = fields.problem(format!("`{place}` is no place in an object"), span);
            return Err(problem.help("write KIND/NAME:PATH, such as ClusterPolicy/*:spec.driver"));
        };
        let images: Vec<String> = fields.strings("images")?.into_iter().map(|(image, _)| image).collect();
        if images.is_empty() {
            return Err(fields.problem("a computed image has no `images`", fields.span()));
        }
        let at = sources.excerpt(span);
        let declared_at = format!("{}:{}:{}", at.path, at.line, at.column);
        let (kind, name, path) = (kind.to_owned(), name.to_owned(), path.to_owned());
        fields.finish()?;
        Ok(ComputedImages { kind, name, path, images, declared_at })
    }

    /// Whether a place of an object is meant.
    pub fn is_at(&self, kind: &str, name: &str, path: &str) -> bool {
        self.kind == kind && self.path == path && wildcard(&self.name, name)
    }

    /// The place, as it is declared.
    pub fn place(&self) -> String {
        format!("{}/{}:{}", self.kind, self.name, self.path)
    }

    /// What the images come to on the nodes there are.
    ///
    /// # Errors
    /// Why they can't be computed, for people.
    pub fn on(&self, item: &Node, nodes: &[ClusterNode]) -> Result<BTreeSet<Reference>, String> {
        if nodes.is_empty() {
            return Err(format!("{} computes it from nodes, and environment.yaml has no `nodes`", self.declared_at));
        }
        let evaluator = Evaluator::new(&Asked::default());
        let mut found = BTreeSet::new();
        for node in nodes {
            let mut context = Context::new();
            context.insert("item", &item.to_json());
            context.insert("node", node);
            for template in &self.images {
                found.extend(self.one(&evaluator, template, &AtPlace(context.clone()))?);
            }
        }
        Ok(found)
    }

    /// One image; `none` leaves it out.
    fn one(&self, evaluator: &Evaluator, template: &str, scope: &AtPlace) -> Result<Option<Reference>, String> {
        let declared = |reason: &str| format!("{}: {reason}", self.declared_at);
        let sources = Sources::default();
        let leaf = Leaf { sources: &sources, text: template, span: Span::default() };
        let leaf = evaluator.leaf(leaf, scope).map_err(|p| declared(&p.message))?;
        let Some(Node { value, .. }) = leaf else { return Ok(None) };
        let Value::String(text) = value else { return Err(declared(&format!("`{template}` gives {}", value.kind()))) };
        let image: Reference = text.parse().map_err(|e| declared(&format!("{e}")))?;
        if image.floats() {
            return Err(declared(&format!("it computes {image}, which floats")));
        }
        Ok(Some(image))
    }
}

/// What is at hand there: `item` and `node`.
struct AtPlace(Context);

impl Scope for AtPlace {
    fn values(&self, _: &Path) -> Option<&Node> {
        None
    }

    fn context(&self, _: &[Name]) -> Context {
        self.0.clone()
    }

    fn neighbours(&self, _: &Name) -> Vec<String> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse_generated;

    fn computed(text: &str) -> Result<ComputedImages, Problem> {
        let mut sources = Sources::default();
        let id = sources.add("release.yaml", text);
        let node = sources.read(id)?;
        ComputedImages::typed(&sources, &node)
    }

    fn node(os: &str, kernel: Option<&str>) -> ClusterNode {
        ClusterNode { os: os.into(), kernel: kernel.map(str::to_owned), arch: "amd64".into() }
    }

    const DRIVER: &str = "place: ClusterPolicy/*:spec.driver\nimages:\n- \"{{ item.repository }}/{{ item.image }}:{{ item.version }}-{% if item.usePrecompiled %}{{ node.kernel }}-{% endif %}{{ node.os }}\"\n";

    #[test]
    fn an_image_for_every_kind_of_node() {
        let computed = computed(DRIVER).unwrap();
        assert!(computed.is_at("ClusterPolicy", "cluster-policy", "spec.driver"));
        assert!(!computed.is_at("ClusterPolicy", "x", "spec.driver.manager"));
        let item = |precompiled: bool| {
            let text = format!(
                "{{repository: nvcr.io/nvidia, image: driver, version: \"595\", usePrecompiled: {precompiled}}}"
            );
            parse_generated("x", &text).unwrap()
        };
        let nodes = [node("ubuntu24.04", Some("6.8.0-51-generic")), node("ubuntu24.04", Some("6.8.0-60-generic"))];
        let names = |images: BTreeSet<Reference>| images.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(computed.on(&item(false), &nodes).unwrap()), ["nvcr.io/nvidia/driver:595-ubuntu24.04"]);
        let expected = [
            "nvcr.io/nvidia/driver:595-6.8.0-51-generic-ubuntu24.04",
            "nvcr.io/nvidia/driver:595-6.8.0-60-generic-ubuntu24.04",
        ];
        assert_eq!(names(computed.on(&item(true), &nodes).unwrap()), expected);
        let unknown = computed.on(&item(true), &[node("u", None)]).unwrap_err();
        assert!(unknown.starts_with("release.yaml:1:8: "), "{unknown}");
        assert!(computed.on(&item(true), &[]).unwrap_err().contains("environment.yaml has no `nodes`"));
    }

    #[test]
    fn mistakes_name_their_line() {
        for (text, expected) in [
            ("place: ClusterPolicy\nimages: [x]\n", "release.yaml:1:8: `ClusterPolicy` is no place"),
            ("place: A/b:c\n", "release.yaml:1:1: a computed image has no `images`"),
            ("place: A/b:c\nimages: [x]\nreason: y\n", "release.yaml:3:1: unknown key `reason`"),
        ] {
            let problem = computed(text).unwrap_err();
            assert!(problem.to_string().starts_with(expected), "{problem}");
        }
    }
}
