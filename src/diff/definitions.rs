//! Custom resource definitions compared by what they mean for objects that are there: versions, where objects are stored,
//! fields that come and go. Descriptions say nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value as Json;

use super::ObjectChange;
use crate::object::Stream;
use crate::yaml;

/// How a resource definition differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DefinitionDiff {
    /// Its name: `widgets.example.org`.
    pub name: String,
    /// What happens to it.
    pub change: ObjectChange,
    /// Versions that come; of one that is new, all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub versions_added: Vec<String>,
    /// Versions that go, or are no longer served.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub versions_removed: Vec<String>,
    /// The version objects were and will be stored in, where it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<[String; 2]>,
    /// `Namespaced` or `Cluster`, where it changes: that can't be applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<[String; 2]>,
    /// Fields that vanish, each with its version: what objects have there is dropped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields_removed: Vec<String>,
    /// Fields that become something else, with what they were and are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields_changed: Vec<String>,
    /// Fields that objects must have from now on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields_required: Vec<String>,
    /// How many fields come.
    pub fields_added: usize,
}

impl DefinitionDiff {
    /// Whether objects that are there may lose something, or be refused.
    pub fn is_breaking(&self) -> bool {
        let lists = [&self.versions_removed, &self.fields_removed, &self.fields_changed, &self.fields_required];
        self.change == ObjectChange::Removed || self.scope.is_some() || lists.iter().any(|list| !list.is_empty())
    }
}

/// The resource definitions of a stream with their schemas, those of `crds/` included.
pub fn definitions_of(stream: &Stream) -> Vec<Json> {
    let all = stream.objects.iter().filter(|object| object.kind == "CustomResourceDefinition");
    all.map(|object| definition_json(stream.text_of(object))).collect()
}

/// A definition from its text: the tree of a stream has no schemas.
pub(super) fn definition_json(text: &str) -> Json {
    yaml::parse_generated("definition", text).map(|node| node.to_json()).unwrap_or_default()
}

/// Every definition that differs, by name.
pub fn definitions(old: &[Json], new: &[Json]) -> Vec<DefinitionDiff> {
    let by_name = |side: &[Json]| -> BTreeMap<String, Json> {
        side.iter().map(|d| (text(&d["metadata"]["name"]), d.clone())).collect()
    };
    let (old, new) = (by_name(old), by_name(new));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names.into_iter().filter_map(|name| definition(name, old.get(name), new.get(name))).collect()
}

fn definition(name: &str, old: Option<&Json>, new: Option<&Json>) -> Option<DefinitionDiff> {
    let (before, after) = (old.map(served).unwrap_or_default(), new.map(served).unwrap_or_default());
    let only = |a: &BTreeMap<String, Json>, b: &BTreeMap<String, Json>| -> Vec<String> {
        a.keys().filter(|version| !b.contains_key(*version)).cloned().collect()
    };
    let mut diff = DefinitionDiff {
        name: name.to_owned(),
        change: ObjectChange::Changed,
        versions_added: only(&after, &before),
        versions_removed: only(&before, &after),
        storage: None,
        scope: None,
        fields_removed: Vec::new(),
        fields_changed: Vec::new(),
        fields_required: Vec::new(),
        fields_added: 0,
    };
    let (Some(old), Some(new)) = (old, new) else {
        diff.change = if new.is_some() { ObjectChange::Added } else { ObjectChange::Removed };
        diff.versions_removed.clear();
        return Some(diff);
    };
    diff.storage = pair(storage(old), storage(new));
    diff.scope = pair(text(&old["spec"]["scope"]), text(&new["spec"]["scope"]));
    for (version, schema) in &after {
        if let Some(before) = before.get(version) {
            schemas(version, before, schema, &mut diff);
        }
    }
    let unchanged = DefinitionDiff { name: diff.name.clone(), ..empty() };
    (diff != unchanged).then_some(diff)
}

fn empty() -> DefinitionDiff {
    let none = Vec::new;
    DefinitionDiff {
        name: String::new(),
        change: ObjectChange::Changed,
        versions_added: none(),
        versions_removed: none(),
        storage: None,
        scope: None,
        fields_removed: none(),
        fields_changed: none(),
        fields_required: none(),
        fields_added: 0,
    }
}

/// The versions that are served, with their schemas.
fn served(definition: &Json) -> BTreeMap<String, Json> {
    let versions = definition["spec"]["versions"].as_array().into_iter().flatten();
    let served = versions.filter(|version| version["served"] != false);
    served.map(|version| (text(&version["name"]), version["schema"]["openAPIV3Schema"].clone())).collect()
}

fn storage(definition: &Json) -> String {
    let versions = definition["spec"]["versions"].as_array().into_iter().flatten();
    versions.filter(|version| version["storage"] == true).map(|version| text(&version["name"])).collect()
}

fn pair(old: String, new: String) -> Option<[String; 2]> {
    (old != new).then_some([old, new])
}

fn schemas(version: &str, old: &Json, new: &Json, diff: &mut DefinitionDiff) {
    let (mut before, mut after) = (Shape::default(), Shape::default());
    before.collect(old, &mut String::new());
    after.collect(new, &mut String::new());
    // Of a field that goes with all that is in it, only itself is told.
    let is_top = |path: &str| {
        path.rsplit_once('.')
            .is_none_or(|(above, _)| after.types.contains_key(above.trim_end_matches("[]")) || above.is_empty())
    };
    for (path, kind) in &before.types {
        match after.types.get(path) {
            None if is_top(path) => diff.fields_removed.push(format!("{version}: {path}")),
            Some(now) if now != kind => diff.fields_changed.push(format!("{version}: {path}: {kind} → {now}")),
            _ => {}
        }
    }
    diff.fields_added += after.types.keys().filter(|path| !before.types.contains_key(*path)).count();
    // One that is required inside something new asks nothing of what is there.
    let asked = after.required.iter().filter(|path| !before.required.contains(*path));
    let there = |path: &str| {
        path.rsplit_once('.').is_none_or(|(above, _)| before.types.contains_key(above.trim_end_matches("[]")))
    };
    diff.fields_required.extend(asked.filter(|path| there(path)).map(|path| format!("{version}: {path}")));
}

/// The fields of a schema: their types by path, and which must be there.
#[derive(Default)]
struct Shape {
    types: BTreeMap<String, String>,
    required: BTreeSet<String>,
}

impl Shape {
    fn collect(&mut self, schema: &Json, path: &mut String) {
        let here = path.len();
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str) {
            let dot = if path.is_empty() { "" } else { "." };
            self.required.insert(format!("{path}{dot}{required}"));
        }
        for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(name);
            let kind = if inner["x-kubernetes-int-or-string"] == true {
                "int-or-string".to_owned()
            } else {
                text(&inner["type"])
            };
            self.types.insert(path.clone(), kind);
            self.collect(inner, path);
            path.truncate(here);
        }
        for (key, mark) in [("items", "[]"), ("additionalProperties", ".*")] {
            if schema[key].is_object() {
                path.push_str(mark);
                self.collect(&schema[key], path);
                path.truncate(here);
            }
        }
    }
}

fn text(value: &Json) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(versions: &str) -> Vec<Json> {
        let text = format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: xs.example.org}}\nspec:\n  scope: Namespaced\n  versions:\n{versions}"
        );
        definitions_of(&Stream::parse(text).unwrap())
    }

    fn version(name: &str, storage: bool, properties: &str, required: &str) -> String {
        format!(
            "  - {{name: {name}, served: true, storage: {storage}, schema: {{openAPIV3Schema: {{type: object, properties: {{spec: {{type: object, required: [{required}], properties: {{{properties}}}}}}}}}}}}}\n"
        )
    }

    #[test]
    fn versions_storage_and_fields() {
        let a = "size: {type: integer}, old: {type: object, properties: {x: {type: string}}}, list: {type: array, items: {type: object, properties: {inner: {type: string}}}}";
        let b = "size: {type: string, description: other}, list: {type: array, items: {type: object, properties: {z: {type: string}}}}, new: {type: object, required: [q], properties: {q: {type: string}}}";
        let old = of(&(version("v1alpha1", false, "", "") + &version("v1", true, a, "")));
        let new = of(&(version("v1", false, b, "size") + &version("v2", true, b, "")));
        let found = definitions(&old, &new).remove(0);
        assert_eq!(
            (found.versions_added, found.versions_removed),
            (vec!["v2".to_owned()], vec!["v1alpha1".to_owned()])
        );
        assert_eq!(found.storage, Some(["v1".to_owned(), "v2".to_owned()]));
        assert_eq!(found.fields_removed, ["v1: spec.list[].inner", "v1: spec.old"]);
        assert_eq!(found.fields_changed, ["v1: spec.size: integer → string"]);
        assert_eq!(found.fields_required, ["v1: spec.size"]);
        assert_eq!(found.fields_added, 3);
    }

    #[test]
    fn words_about_fields_say_nothing() {
        let plain = of(&version("v1", true, "size: {type: integer}", ""));
        let told = of(&version("v1", true, "size: {type: integer, description: How large}", ""));
        assert_eq!(definitions(&plain, &told), []);
        assert_eq!(definitions(&[], &plain)[0].change, ObjectChange::Added);
        assert!(definitions(&plain, &[])[0].is_breaking());
    }
}
