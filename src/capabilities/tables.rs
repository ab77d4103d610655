//! The shipped tables: what API servers of each Kubernetes minor offer with their default settings. `scripts/capabilities`
//! writes them, from real servers; must not be edited by hand.

use super::{Capabilities, file};
use crate::yaml::{Problem, Sources};

/// Each minor with its table.
const TABLES: &[(&str, &str)] = &[
    ("1.31", include_str!("tables/1.31.yaml")),
    ("1.32", include_str!("tables/1.32.yaml")),
    ("1.33", include_str!("tables/1.33.yaml")),
    ("1.34", include_str!("tables/1.34.yaml")),
    ("1.35", include_str!("tables/1.35.yaml")),
    ("1.36", include_str!("tables/1.36.yaml")),
];

/// The minors there are tables of, oldest first.
pub fn minors() -> Vec<&'static str> {
    TABLES.iter().map(|(minor, _)| *minor).collect()
}

/// The table of a minor, if there is one.
pub(super) fn table(minor: &str) -> Option<Result<Capabilities, Problem>> {
    let (_, text) = TABLES.iter().find(|(of, _)| *of == minor)?;
    let mut sources = Sources::default();
    let origin = format!("platctl's table of Kubernetes {minor}");
    let id = sources.add(&origin, *text);
    Some(sources.read(id).and_then(|node| file::typed(&sources, &node, &origin).map(|(found, _)| found)))
}

#[cfg(test)]
mod tests {
    use super::super::minor;
    use super::*;

    #[test]
    fn every_table_is_whole_and_written_as_a_recording_is() {
        for &(of, text) in TABLES {
            let found = table(of).unwrap().unwrap();
            assert_eq!(minor(&found.kube_version).as_deref(), Some(of));
            let (comment, rest) = text.split_once('\n').unwrap();
            assert!(comment.starts_with("# ") && comment.ends_with("Written by scripts/capabilities."), "{comment}");
            assert_eq!(found.to_yaml(), rest, "{of}");
            let names = found.names();
            for wanted in [
                "v1/Pod",
                "v1/Eviction",
                "apps/v1/Deployment",
                "apps/v1/Scale",
                "policy/v1/PodDisruptionBudget",
                "apiextensions.k8s.io/v1/CustomResourceDefinition",
                "apiregistration.k8s.io/v1/APIService",
            ] {
                assert!(names.contains(wanted), "{of} lacks {wanted}");
            }
            // What is off unless somebody switches it on.
            let off = names.iter().find(|name| name.contains("/v1alpha") || name.contains("/v2alpha"));
            assert_eq!(off, None, "{of}");
            assert!(!names.contains("policy/v1beta1"), "{of}");
        }
    }

    #[test]
    fn tables_tell_minors_apart() {
        let has = |of: &str, name: &str| table(of).unwrap().unwrap().names().contains(name);
        assert!(!has("1.31", "resource.k8s.io/v1/ResourceClaim"));
        assert!(has("1.34", "resource.k8s.io/v1/ResourceClaim"));
        assert!(has("1.36", "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"));
        assert!(table("1.20").is_none());
    }
}
