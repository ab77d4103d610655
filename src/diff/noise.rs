//! Which fields say nothing although they differ (decision 25).

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

/// Whether quantities stand below a key; elsewhere `1` and `1000m` are just texts.
pub(super) fn holds_quantities(path: &[String]) -> bool {
    let places = ["limits", "requests", "capacity", "hard", "sizeLimit", "storage"];
    path.iter().rev().take(2).any(|part| places.contains(&part.as_str()))
}
