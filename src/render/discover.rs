//! Finds the images of rendered objects and remembers each place exactly, with how sure it is. Must not decide what
//! becomes of them.

mod around;
mod candidate;
mod finder;
mod named;
mod parts;
mod telling;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use self::candidate::{Candidate, known};
use self::finder::Finder;
use crate::definition::{ClusterNode, ComputedImages};
use crate::image::Reference;
use crate::object::{Object, Path, Stream, Text, walk};
use crate::yaml::Node;

/// An image at a place of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Index of the object in its stream.
    pub object: usize,
    /// The object, for people.
    pub title: String,
    /// Where in it.
    pub path: Path,
    /// How sure it is.
    pub confidence: Confidence,
    /// The reference as it was written or put together.
    pub text: String,
    /// What it comes to.
    pub image: Found,
    /// How the place holds it.
    pub place: Place,
}

/// How sure it is that an image is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// It is.
    Certain,
    /// It may be: a question, which the release's author answers.
    Probable,
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

/// How a place holds its reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A part of the text of one scalar, or all of it.
    Scalar {
        /// The text.
        text: Arc<Text>,
        /// The reference's part of it.
        range: Range<usize>,
    },
    /// Several keys of one map that somebody puts together.
    Parts {
        /// Registry, repository and name, as far as there are, to be joined by slashes.
        names: Vec<Arc<Text>>,
        /// Those that hold a digest.
        digests: Vec<Arc<Text>>,
    },
}

/// What a release's author knows of its images beyond what rules find.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// References that are images wherever they stand: those that are declared, and those that are locked.
    pub declared: &'a [Reference],
    /// Places whose tag an operator completes.
    pub computed: &'a [ComputedImages],
    /// What it completes them from.
    pub nodes: &'a [ClusterNode],
}

impl Finding {
    /// The one image that is named, if it is one.
    pub fn image(&self) -> Option<&Reference> {
        match &self.image {
            Found::Image(image) => Some(image),
            _ => None,
        }
    }
}

impl Confidence {
    /// The word for it: `certain`, `probable`.
    pub fn word(self) -> &'static str {
        match self {
            Confidence::Certain => "certain",
            Confidence::Probable => "probable",
        }
    }
}

/// Finds every image in a stream, in the order of the text.
pub fn discover(stream: &Stream, known_by_author: Known<'_>) -> Vec<Finding> {
    let found: Vec<(usize, Vec<Candidate>)> = stream
        .objects
        .iter()
        .enumerate()
        .filter(|(_, object)| object.kind != DEFINITION && !object.is_test())
        .map(|(index, object)| {
            let mut finder = Finder { object, index, source: stream.text_of(object), found: Vec::new() };
            finder.run();
            (index, finder.found)
        })
        .collect();
    let known = known(found.iter().flat_map(|(_, candidates)| candidates), known_by_author.declared);
    let mut findings = Vec::new();
    for (index, candidates) in found {
        let object = &stream.objects[index];
        for candidate in candidates {
            if let Some(confidence) = candidate.certainty(&known) {
                findings.push(finding(index, object, candidate, confidence, known_by_author));
            }
        }
    }
    findings
}

fn finding(
    index: usize,
    object: &Object,
    candidate: Candidate,
    mut confidence: Confidence,
    known: Known<'_>,
) -> Finding {
    let Candidate { path, text, mut image, place, .. } = candidate;
    // Few places are declared, and writing a path takes longer than finding it.
    if !known.computed.is_empty() {
        let at = path.to_string();
        if let Some(computed) = known.computed.iter().find(|c| c.is_at(&object.kind, &object.name, &at)) {
            let images = path.find(&object.node).map(|node| computed.on(node, known.nodes));
            image = images
                .unwrap_or_else(|| Err("it stands in a text".to_owned()))
                .map_or_else(Found::Invalid, Found::Computed);
            confidence = Confidence::Certain;
        }
    }
    Finding { object: index, title: object.title(), path, confidence, text, image, place }
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

/// The kind that describes others, and runs nothing.
const DEFINITION: &str = "CustomResourceDefinition";

/// Whether objects of a version are read by an operator, and not by Kubernetes itself.
fn is_custom(api_version: &str) -> bool {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let own = matches!(group, "" | "apps" | "batch" | "autoscaling" | "policy" | "extensions");
    !own && !group.ends_with(".k8s.io")
}

/// What a document inside a text says it is, if it is an object.
struct Identity<'n> {
    api_version: &'n str,
    kind: &'n str,
    test: bool,
}

impl Identity<'_> {
    fn of(node: &Node) -> Option<Identity<'_>> {
        let text = |key: &str| node.get(key).and_then(Node::as_str);
        let hook = node.get("metadata").and_then(|m| m.get("annotations")?.get("helm.sh/hook")?.as_str());
        let test = hook.is_some_and(|hook| hook.starts_with("test"));
        Some(Identity { api_version: text("apiVersion")?, kind: text("kind")?, test })
    }

    /// Kinds that no image of theirs is ever pulled from.
    fn is_skipped(&self) -> bool {
        self.kind == DEFINITION || self.test
    }
}
