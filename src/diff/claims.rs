//! What applying an object would put back or take over in the cluster: the fields that would become something else, and
//! who set them. Serves looking for drift, and taking over what others made. Pure.

use std::fmt;

use serde_json::Value as Json;

use super::{Comparison, FieldDiff, Managers, Noise, ObjectChange, live};

/// helm's name as a field manager. What it set itself, in whatever way, is nobody else's.
const HELM: &str = "helm";

/// A field of a live object that would become another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// `Kind namespace/name`.
    pub object: String,
    /// The field; none when the whole object is not there.
    pub path: Option<String>,
    /// Who set it as it is, helm left out: nobody else, when it is empty.
    pub managers: Vec<String>,
    /// An autoscaler sets it; it is left alone.
    pub autoscaled: bool,
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(path) = &self.path else { return write!(f, "{}: it is not there", self.object) };
        write!(f, "{}: {path}", self.object)?;
        if self.managers.is_empty() { Ok(()) } else { write!(f, " (set by {})", self.managers.join("; ")) }
    }
}

/// What applying an object would change of the one that is there, which is given with its managed fields.
pub fn claims(there: Option<&Json>, would: &Json, how: &Comparison<'_>) -> Vec<Claim> {
    let managers = there.map(Managers::of).unwrap_or_default();
    let Some(diff) = live(there.cloned(), would.clone(), how) else { return Vec::new() };
    let object = match diff.namespace.as_str() {
        "" => format!("{} {}", diff.kind, diff.name),
        namespace => format!("{} {namespace}/{}", diff.kind, diff.name),
    };
    if diff.change != ObjectChange::Changed {
        return vec![Claim { object, path: None, managers: Vec::new(), autoscaled: false }];
    }
    let theirs = |field: &FieldDiff| field.noise == Some(Noise::Autoscaler);
    // A label or a checksum that somebody changed is as much changed as anything else.
    let counts = |field: &&FieldDiff| !matches!(field.noise, Some(Noise::Quantity | Noise::NotCompared));
    let claim = |field: &FieldDiff| Claim {
        object: object.clone(),
        path: Some(field.path.clone()),
        managers: managers
            .owners(&field.path)
            .into_iter()
            .filter(|m| m.name != HELM)
            .map(ToString::to_string)
            .collect(),
        autoscaled: theirs(field),
    };
    diff.fields.iter().chain(diff.folded.iter().filter(counts)).map(claim).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::diff::Veil;

    fn deployment(replicas: i64, image: &str) -> Json {
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "labels": {"helm.sh/chart": "web-1"}, "managedFields": [
                {"manager": "kubectl-edit", "operation": "Update", "time": "2026-11-21T10:00:00Z",
                    "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"main\"}": {"f:image": {}}}}}}}},
                {"manager": "helm", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "main", "image": image}]}}}})
    }

    fn told(there: Option<&Json>, would: &Json) -> Vec<String> {
        let veil = Veil::default();
        let how = Comparison { namespace: "shop", old: &veil, new: &veil, context: 0 };
        claims(there, would, &how).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_field_is_told_with_who_set_it() {
        let there = deployment(1, "evil");
        assert_eq!(
            told(Some(&there), &deployment(1, "good")),
            [
                "Deployment shop/web: spec.template.spec.containers[name=main].image (set by kubectl-edit, 2026-11-21T10:00:00Z)"
            ]
        );
        assert_eq!(told(Some(&there), &deployment(2, "evil")), ["Deployment shop/web: spec.replicas"]);
        assert_eq!(told(None, &there), ["Deployment shop/web: it is not there"]);
        assert!(told(Some(&there), &there).is_empty());
    }

    #[test]
    fn a_label_of_a_chart_that_was_changed_counts() {
        let mut there = deployment(1, "a");
        there["metadata"]["labels"]["helm.sh/chart"] = "web-0".into();
        assert_eq!(
            told(Some(&there), &deployment(1, "a")),
            ["Deployment shop/web: metadata.labels[\"helm.sh/chart\"]"]
        );
    }
}
