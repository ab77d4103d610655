//! Who set which field of a live object, from its `metadata.managedFields`. Reads the format `FieldsV1` of Kubernetes'
//! server-side apply (structured-merge-diff, `value/fields.go` and `fieldpath/serialize.go`). Pure.

use std::fmt;

use serde_json::{Map, Value as Json};

use super::fields;

/// What Kubernetes takes for granted in the keys of items, and `keys` leaves out.
const DEFAULTS: [(&str, &str); 2] = [("protocol", "TCP"), ("operator", "Equal")];

/// Somebody who set fields.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Manager {
    /// The name it gave itself: `helm`, `kubectl-edit`, `kube-controller-manager`.
    pub name: String,
    /// Through which part of the object: `scale`, `status`.
    pub subresource: Option<String>,
    /// When it last did, as the API server writes times.
    pub time: Option<String>,
}

impl Manager {
    /// Whether it only scales, as a HorizontalPodAutoscaler and `kubectl scale` do.
    pub fn scales(&self) -> bool {
        self.subresource.as_deref() == Some("scale")
    }
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(subresource) = &self.subresource {
            write!(f, " ({subresource})")?;
        }
        self.time.iter().try_for_each(|time| write!(f, ", {time}"))
    }
}

/// Who set which fields of an object.
#[derive(Debug, Clone, Default)]
pub struct Managers(Vec<(Manager, Vec<String>)>);

impl Managers {
    /// Reads a live object.
    pub fn of(object: &Json) -> Managers {
        let entries = object.pointer("/metadata/managedFields").and_then(Json::as_array);
        Managers(entries.into_iter().flatten().filter_map(entry).collect())
    }

    /// Who owns a field, or something in it; paths are those of [`super::FieldDiff`].
    pub fn owners(&self, path: &str) -> Vec<&Manager> {
        let touches = |owned: &String| *owned == path || below(owned, path) || below(path, owned);
        let mut found: Vec<&Manager> =
            self.0.iter().filter(|(_, paths)| paths.iter().any(touches)).map(|(manager, _)| manager).collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Whether a path lies below another.
fn below(path: &str, upper: &str) -> bool {
    path.strip_prefix(upper).is_some_and(|rest| rest.starts_with(['.', '[']))
}

fn entry(entry: &Json) -> Option<(Manager, Vec<String>)> {
    let text = |key: &str| entry[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let manager = Manager { name: text("manager")?, subresource: text("subresource"), time: text("time") };
    let mut paths = Vec::new();
    leaves(entry["fieldsV1"].as_object()?, &mut Vec::new(), &mut paths);
    Some((manager, paths))
}

/// The paths at which a set of fields ends: an owner of a map's field is none of the map.
fn leaves(set: &Map<String, Json>, at: &mut Vec<String>, paths: &mut Vec<String>) {
    let inner = set.iter().filter(|(key, _)| *key != ".");
    let mut any = false;
    for (key, below) in inner {
        let Some(part) = part(key) else { continue };
        any = true;
        at.push(part);
        leaves(below.as_object().unwrap_or(&Map::new()), at, paths);
        at.pop();
    }
    if !any && !at.is_empty() {
        paths.push(fields::path(at));
    }
}

/// One step: `f:KEY` into a map, `k:{…}` to the item with these keys, `i:N` to an item by its number. `v:…`, an item of a
/// set, has no path of its own here: its list stands for it.
fn part(key: &str) -> Option<String> {
    let (kind, rest) = key.split_once(':')?;
    match kind {
        "f" => Some(rest.to_owned()),
        "i" => Some(format!("[{rest}]")),
        "k" => {
            let keys: Map<String, Json> = serde_json::from_str(rest).ok()?;
            let said = |(at, (key, value)): (usize, (&String, &Json))| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let usual = DEFAULTS.iter().any(|(known, default)| known == key && *default == text);
                (at == 0 || !usual).then(|| format!("{key}={text}"))
            };
            let parts: Vec<String> = keys.iter().enumerate().filter_map(said).collect();
            Some(format!("[{}]", parts.join(",")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment() -> Json {
        json!({"metadata": {"managedFields": [
            {"manager": "helm", "operation": "Apply", "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": {
                "k:{\"name\":\"main\"}": {".": {}, "f:image": {}, "f:name": {},
                    "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}}}}}}},
            {"manager": "kube-controller-manager", "operation": "Update", "subresource": "scale",
                "time": "2026-11-21T10:00:00Z", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:metadata": {"f:annotations":
                {".": {}, "f:a.example/b": {}}, "f:finalizers": {".": {}, "v:\"x\"": {}}}}},
        ]}})
    }

    fn owners(path: &str) -> Vec<String> {
        Managers::of(&deployment()).owners(path).into_iter().map(|manager| manager.name.clone()).collect()
    }

    #[test]
    fn owners_are_found_by_the_paths_of_a_diff() {
        for (path, expected) in [
            ("spec.replicas", &["kube-controller-manager"][..]),
            ("spec.template.spec.containers[name=main].image", &["helm"]),
            ("spec.template.spec.containers[name=main]", &["helm"]),
            ("spec.template.spec.containers[name=main].ports[containerPort=80].containerPort", &["helm"]),
            ("spec.template.spec.containers[name=other].image", &[]),
            ("spec", &["helm", "kube-controller-manager"]),
            ("metadata.annotations[\"a.example/b\"]", &["kubectl-edit"]),
            ("metadata.finalizers", &["kubectl-edit"]),
            ("metadata.finalizers[0]", &["kubectl-edit"]),
            ("spec.replica", &[]),
        ] {
            assert_eq!(owners(path), expected, "{path}");
        }
    }

    #[test]
    fn who_only_scales_is_told_apart() {
        let managers = Managers::of(&deployment());
        let scaling = managers.owners("spec.replicas");
        assert!(scaling[0].scales());
        assert_eq!(scaling[0].to_string(), "kube-controller-manager (scale), 2026-11-21T10:00:00Z");
        assert!(!managers.owners("metadata.annotations")[0].scales());
        assert!(Managers::of(&json!({})).owners("spec").is_empty());
    }
}
