//! What there is to know about an object that is new or gone, in a line: what a reviewer asks first.

use serde_json::Value as Json;

/// More of a list than this is counted.
const MOST: usize = 4;

/// Facts about an object, the most telling first.
pub(super) fn facts(object: &Json) -> Vec<String> {
    let mut facts = Vec::new();
    let spec = &object["spec"];
    if let Some(replicas) = spec["replicas"].as_i64() {
        facts.push(format!("{replicas} replica{}", if replicas == 1 { "" } else { "s" }));
    }
    if let Some(schedule) = spec["schedule"].as_str() {
        facts.push(format!("schedule {schedule}"));
    }
    facts.extend(listed("image", images(object)));
    if object["kind"] == "Service" {
        let kind = spec["type"].as_str().filter(|kind| *kind != "ClusterIP").map(str::to_owned);
        let ports = items(&spec["ports"]).filter_map(|port| port["port"].as_i64()).map(|port| port.to_string());
        facts.extend(kind);
        facts.extend(listed("port", ports.collect()));
    }
    if object["kind"] == "Ingress" {
        facts.extend(listed(
            "host",
            items(&spec["rules"]).filter_map(|r| r["host"].as_str()).map(str::to_owned).collect(),
        ));
    }
    if let Some(size) = spec["resources"]["requests"]["storage"].as_str() {
        facts.push(size.to_owned());
    }
    if let Some(size) =
        items(&spec["volumeClaimTemplates"]).find_map(|c| c["spec"]["resources"]["requests"]["storage"].as_str())
    {
        facts.push(format!("{size} each"));
    }
    let mut keys: Vec<String> = Vec::new();
    for part in ["data", "stringData", "binaryData"] {
        keys.extend(object[part].as_object().into_iter().flat_map(|map| map.keys().cloned()));
    }
    facts.extend(listed("key", keys));
    facts
}

fn listed(noun: &str, names: Vec<String>) -> Option<String> {
    match names.len() {
        0 => None,
        1 => Some(format!("{noun} {}", names[0])),
        2..=MOST => Some(format!("{noun}s {}", names.join(", "))),
        n => Some(format!("{n} {noun}s")),
    }
}

fn items(list: &Json) -> impl Iterator<Item = &Json> {
    list.as_array().into_iter().flatten()
}

/// The images of an object's pods.
pub(super) fn images(object: &Json) -> Vec<String> {
    let pod = ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec", "/spec"];
    let mut images: Vec<String> = Vec::new();
    for spec in pod.iter().filter_map(|place| object.pointer(place)) {
        let containers = ["initContainers", "containers"].into_iter().flat_map(|key| items(&spec[key]));
        for image in containers.filter_map(|container| container["image"].as_str()) {
            if !images.iter().any(|known| known == image) {
                images.push(image.to_owned());
            }
        }
    }
    images
}
