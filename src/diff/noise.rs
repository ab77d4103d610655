//! Which fields say nothing although they differ (decision 25).

use serde_json::Value as Json;

use super::Noise;

/// Labels that charts set on everything they make, to say which chart it was.
const CHART_LABELS: [&str; 5] =
    ["helm.sh/chart", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "chart", "heritage"];
/// Beginnings of annotations that hold a hash of something else, so that pods are started anew with it.
const CHECKSUMS: [&str; 2] = ["checksum/", "checksum."];

/// What kind of noise a key of a map is. A selector's labels are none: they can't change.
pub(super) fn of_key(path: &[String], key: &str) -> Option<Noise> {
    match path.last().map(String::as_str) {
        Some("labels") if CHART_LABELS.contains(&key) => Some(Noise::ChartLabel),
        Some("annotations") if CHECKSUMS.iter().any(|start| key.starts_with(start)) => Some(Noise::Checksum),
        _ => None,
    }
}

/// What counts as nothing at a key of a map: `null` everywhere, and an empty map of labels or annotations.
pub(super) fn nothing(path: &[String]) -> impl Fn(&str, &Json) -> bool + use<> {
    let in_metadata = path.last().is_some_and(|part| part == "metadata");
    move |key, value| {
        let is_empty = || value.as_object().is_some_and(serde_json::Map::is_empty);
        value.is_null() || in_metadata && matches!(key, "labels" | "annotations") && is_empty()
    }
}

/// Whether quantities stand below a key; elsewhere `1` and `1000m` are just texts.
pub(super) fn holds_quantities(path: &[String]) -> bool {
    let places = ["limits", "requests", "capacity", "hard", "sizeLimit", "storage"];
    path.iter().rev().take(2).any(|part| places.contains(&part.as_str()))
}
