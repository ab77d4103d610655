//! A stream of documents as helm prints it. The text is kept, and edits are spliced into it at exact places, so
//! that nothing else of an object can change.

use std::ops::Range;

use super::text::{self, Conflict, Edit};
use crate::yaml::{self, Node, Problem};

const HOOK: &str = "helm.sh/hook";
const HOOK_WEIGHT: &str = "helm.sh/hook-weight";
/// The comment helm puts above each document.
const SOURCE: &str = "# Source: ";

/// Documents and the text they were read from.
#[derive(Debug, Clone)]
pub struct Stream {
    text: String,
    /// The objects in the order of the text.
    pub objects: Vec<Object>,
}

/// One Kubernetes object.
#[derive(Debug, Clone)]
pub struct Object {
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `metadata.namespace`.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
    /// The template it comes from, as helm names it: `chart/templates/x.yaml`.
    pub origin: Option<String>,
    /// What makes it a hook.
    pub hook: Option<Hook>,
    /// The values; spans count from the start of the object's document.
    pub node: Node,
    range: Range<usize>,
}

/// When helm runs an object as a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// `pre-install`, `post-upgrade` …
    pub events: Vec<String>,
    /// Order among hooks of one event.
    pub weight: i64,
}

/// A document that is no object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", origin.as_deref().unwrap_or("rendered document"))]
pub struct InvalidObject {
    /// The template it comes from.
    pub origin: Option<String>,
    /// What is wrong.
    pub problem: Problem,
}

impl Stream {
    /// Reads a stream.
    ///
    /// # Errors
    /// [`InvalidObject`] for the first document that is no object.
    pub fn parse(text: impl Into<String>) -> Result<Stream, InvalidObject> {
        let text = text.into();
        let mut objects = Vec::new();
        // helm names the file once, above what it holds. Where that begins with a separator or has several documents,
        // as definitions in `crds/` do, the comment stands alone and is meant for all that follow.
        let mut origin = None;
        for range in documents(&text) {
            origin = source(&text[range.clone()]).or(origin);
            objects.extend(object(&text, range, origin.clone())?);
        }
        Ok(Stream { text, objects })
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text of one object's document.
    pub fn text_of(&self, object: &Object) -> &str {
        &self.text[object.range.clone()]
    }

    /// The text with edits spliced in; everything else stays byte for byte.
    ///
    /// # Errors
    /// [`Conflict`] when two want the same place to become something else each.
    pub fn edited(&self, edits: &[Edit]) -> Result<String, Conflict> {
        let mut splices = Vec::new();
        for (object, of_object) in text::spliced(edits)? {
            let base = self.objects[object].range.start;
            let moved = of_object.into_iter().map(|(range, value)| (base + range.start..base + range.end, value));
            splices.extend(moved.map(|(range, value)| (text::without_end(&self.text, range), value)));
        }
        text::splice(&self.text, splices)
    }
}

impl Object {
    /// `Kind namespace/name`, for people.
    pub fn title(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{}", self.kind, self.name),
            None => format!("{} {}", self.kind, self.name),
        }
    }

    /// The API group; empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// Whether it runs only under `helm test`.
    pub fn is_test(&self) -> bool {
        self.hook.as_ref().is_some_and(|hook| hook.events.iter().all(|e| matches!(e.as_str(), "test" | "test-success")))
    }

    /// Whether it comes from a chart's `crds/` folder, which helm treats apart.
    pub fn is_from_crds_folder(&self) -> bool {
        self.kind == "CustomResourceDefinition"
            && self
                .origin
                .as_deref()
                .is_some_and(|origin| origin.split('/').any(|part| part == "crds") && !origin.contains("/templates/"))
    }
}

/// The ranges between the lines that start a document; helm's rule is a line that starts with `---`.
fn documents(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        let rest = line.strip_prefix("---");
        if rest.is_some_and(|rest| rest.trim_end().is_empty() || rest.starts_with([' ', '\t'])) {
            found.push(start..at);
            start = at + line.len();
        }
        at += line.len();
    }
    found.push(start..at);
    found
}

fn source(document: &str) -> Option<String> {
    document.lines().find_map(|line| line.strip_prefix(SOURCE)).map(|origin| origin.trim().to_owned())
}

fn object(text: &str, range: Range<usize>, origin: Option<String>) -> Result<Option<Object>, InvalidObject> {
    let document = &text[range.clone()];
    let invalid = |problem| InvalidObject { origin: origin.clone(), problem };
    let mut node = yaml::parse_generated("rendered", document).map_err(invalid)?;
    without_schemas(&mut node);
    let Some(map) = node.as_map() else {
        if node.value == yaml::Value::Null {
            return Ok(None);
        }
        return Err(invalid(Problem::new(format!("a document is {}, not an object", node.value.kind()))));
    };
    if map.0.is_empty() {
        return Ok(None);
    }
    let text_at = |node: &Node, path: &[&str]| -> Option<String> {
        path.iter().try_fold(node, |node, key| node.get(key))?.as_str().map(str::to_owned)
    };
    let need = |path: &[&str]| {
        text_at(&node, path).ok_or_else(|| invalid(Problem::new(format!("the object has no `{}`", path.join(".")))))
    };
    Ok(Some(Object {
        api_version: need(&["apiVersion"])?,
        kind: need(&["kind"])?,
        namespace: text_at(&node, &["metadata", "namespace"]),
        name: text_at(&node, &["metadata", "name"])
            .or_else(|| text_at(&node, &["metadata", "generateName"]))
            .unwrap_or_default(),
        hook: hook(&node),
        origin,
        node,
        range,
    }))
}

/// Takes the schemas out of the tree of a resource definition; its text keeps them. They are megabytes in which nobody
/// looks for anything, and as a tree they take twenty times that.
fn without_schemas(node: &mut Node) {
    if node.get("kind").and_then(Node::as_str) != Some("CustomResourceDefinition") {
        return;
    }
    fn below<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Node> {
        match &mut node.value {
            yaml::Value::Map(map) => map.get_mut(key),
            _ => None,
        }
    }
    let versions = below(node, "spec").and_then(|spec| below(spec, "versions"));
    let Some(yaml::Value::List(versions)) = versions.map(|node| &mut node.value) else { return };
    for version in versions {
        if let yaml::Value::Map(version) = &mut version.value {
            version.remove("schema");
        }
    }
}

fn hook(node: &Node) -> Option<Hook> {
    let annotations = node.get("metadata")?.get("annotations")?;
    let events = annotations.get(HOOK)?.as_str()?.split(',').map(|event| event.trim().to_owned()).collect();
    let weight = annotations.get(HOOK_WEIGHT).and_then(|node| node.as_str()?.parse().ok()).unwrap_or(0);
    Some(Hook { events, weight })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Encoding, Text};

    const TEXT: &str = "---\n# Source: c/crds/x.yaml\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: xs.example}\n\
        ---\n# Source: c/templates/a.yaml\napiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  namespace: ns\n  annotations:\n    \"helm.sh/hook\": pre-install,pre-upgrade\n    helm.sh/hook-weight: \"-5\"\nspec:\n  # kept\n  image: 'a:1' # kept too\n  script: |\n    --- not a separator\n---\n# nothing here\n---\n";

    #[test]
    fn identity_origin_and_hooks() {
        let stream = Stream::parse(TEXT).unwrap();
        let titles: Vec<_> = stream.objects.iter().map(Object::title).collect();
        assert_eq!(titles, ["CustomResourceDefinition xs.example", "Pod ns/p"]);
        assert!(stream.objects[0].is_from_crds_folder());
        assert_eq!(
            stream.objects[1].hook,
            Some(Hook { events: vec!["pre-install".into(), "pre-upgrade".into()], weight: -5 })
        );
        assert!(!stream.objects[1].is_test());
    }

    #[test]
    fn a_file_that_begins_with_a_separator_keeps_its_origin() {
        let crd = |name| {
            format!(
                "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: {name}}}\n"
            )
        };
        let pod = "---\n# Source: c/templates/a.yaml\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\n";
        let text = format!("---\n# Source: c/crds/all.yaml\n{}{}{pod}", crd("xs.example"), crd("ys.example"));
        let stream = Stream::parse(text).unwrap();
        let from_crds: Vec<bool> = stream.objects.iter().map(Object::is_from_crds_folder).collect();
        assert_eq!(from_crds, [true, true, false]);
        assert_eq!(stream.objects[1].origin.as_deref(), Some("c/crds/all.yaml"));
    }

    #[test]
    fn an_edit_changes_its_place_and_nothing_else() {
        let stream = Stream::parse(TEXT).unwrap();
        let node = stream.objects[1].node.get("spec").unwrap().get("image").unwrap();
        let scalar = Text::of_object(1, node.span, Encoding::Plain, "a:1".into());
        let edited = stream.edited(&[Edit { text: scalar, range: 0..3, value: "r/a@sha256:1".into() }]).unwrap();
        assert_eq!(edited, TEXT.replace("'a:1'", "\"r/a@sha256:1\""));
        assert_eq!(stream.edited(&[]).unwrap(), TEXT);
    }

    #[test]
    fn the_tree_of_a_definition_has_no_schemas() {
        let text = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: xs.example}\n\
            spec: {versions: [{name: v1, served: true, schema: {openAPIV3Schema: {type: object}}}]}\n";
        let stream = Stream::parse(text).unwrap();
        let version = &stream.objects[0].node.get("spec").unwrap().get("versions").unwrap().as_list().unwrap()[0];
        assert!(version.get("served").is_some() && version.get("schema").is_none());
        assert_eq!(stream.text(), text);
    }

    #[test]
    fn what_is_no_object_names_its_template() {
        for text in ["# Source: c/t.yaml\na: [", "# Source: c/t.yaml\n- a\n", "# Source: c/t.yaml\nkind: x\n"] {
            assert_eq!(Stream::parse(text).unwrap_err().origin.as_deref(), Some("c/t.yaml"), "{text}");
        }
    }
}
