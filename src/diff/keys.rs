//! By which keys the items of a list are matched: those that Kubernetes merges them by, and others that name an item
//! just as well, when every item has one of its own.

use std::collections::BTreeSet;

use serde_json::Value as Json;

/// Keys that come before others in lists of a name. From the `patchMergeKey` and `x-kubernetes-list-map-keys` of
/// Kubernetes' API, where a list has such.
const OF_LISTS: [(&str, &[&[&str]]); 6] = [
    ("ports", &[&["containerPort", "protocol"], &["port", "protocol"]]),
    ("volumeMounts", &[&["mountPath"]]),
    ("volumeDevices", &[&["devicePath"]]),
    ("hostAliases", &[&["ip"]]),
    ("topologySpreadConstraints", &[&["topologyKey", "whenUnsatisfiable"]]),
    ("tolerations", &[&["key", "operator", "value", "effect"]]),
];
/// Keys of items of any list, the surest first.
const OF_ANY: [&[&str]; 13] = [
    &["name"],
    &["name", "namespace"],
    &["containerPort", "protocol"],
    &["port", "protocol"],
    &["mountPath"],
    &["key"],
    &["ip"],
    &["host"],
    &["path"],
    &["topologyKey"],
    &["id"],
    &["type"],
    &["apiVersion", "kind", "name"],
];
/// Lists that Kubernetes takes for maps or sets: in whatever order their items stand, the same is done with them.
const UNORDERED: [&str; 20] = [
    "claims",
    "conditions",
    "containers",
    "ephemeralContainers",
    "hostAliases",
    "imagePullSecrets",
    "matchExpressions",
    "matchFields",
    "ownerReferences",
    "ports",
    "readinessGates",
    "resourceClaims",
    "schedulingGates",
    "secrets",
    "subjects",
    "tolerations",
    "topologySpreadConstraints",
    "volumeDevices",
    "volumeMounts",
    "volumes",
];
/// What Kubernetes takes for granted where it is not said.
const DEFAULTS: [(&str, &str); 2] = [("protocol", "TCP"), ("operator", "Equal")];

/// Items by what names them: `name=main`.
pub(super) type Keyed<'j> = Vec<(String, &'j Json)>;

/// Both lists with their items' keys; none when no key names every item of both.
pub(super) fn keyed<'j>(list: &str, old: &'j [Json], new: &'j [Json]) -> Option<(Keyed<'j>, Keyed<'j>)> {
    let own = OF_LISTS.iter().filter(|(name, _)| *name == list).flat_map(|(_, keys)| keys.iter());
    own.chain(OF_ANY.iter()).find_map(|keys| Some((by(keys, old)?, by(keys, new)?)))
}

/// The items by these keys, if every item has the first of them and no two are the same.
fn by<'j>(keys: &[&str], items: &'j [Json]) -> Option<Keyed<'j>> {
    let named: Keyed<'j> = items.iter().map(|item| Some((name(keys, item)?, item))).collect::<Option<_>>()?;
    let distinct: BTreeSet<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
    (distinct.len() == named.len()).then_some(named)
}

fn name(keys: &[&str], item: &Json) -> Option<String> {
    let map = item.as_object()?;
    let mut parts = Vec::new();
    for (i, key) in keys.iter().enumerate() {
        let text = match map.get(*key) {
            Some(Json::String(text)) => text.clone(),
            Some(Json::Number(number)) => number.to_string(),
            None | Some(Json::Null) if i > 0 => continue,
            _ => return None,
        };
        if i == 0 || DEFAULTS.iter().all(|(known, default)| (known, default) != (key, &text.as_str())) {
            parts.push(format!("{key}={text}"));
        }
    }
    Some(parts.join(","))
}

/// The order in which items that are in both lists stood and will stand, where that is another; those before and after
/// which nothing moves are left out. None for lists whose order does nothing.
pub(super) fn reordered<'k>(list: &str, old: &'k Keyed<'_>, new: &'k Keyed<'_>) -> Option<[Vec<&'k str>; 2]> {
    if UNORDERED.contains(&list) {
        return None;
    }
    let common = |side: &'k Keyed<'_>, other: &Keyed<'_>| -> Vec<&'k str> {
        let others: BTreeSet<&str> = other.iter().map(|(name, _)| name.as_str()).collect();
        side.iter().map(|(name, _)| name.as_str()).filter(|name| others.contains(name)).collect()
    };
    let (before, after) = (common(old, new), common(new, old));
    let differs = |(a, b): (&&str, &&str)| a != b;
    let first = before.iter().zip(&after).position(differs)?;
    let last = before.iter().zip(&after).rposition(differs)?;
    let moved = |side: &[&'k str]| side[first..=last].iter().map(|name| bare(name)).collect();
    Some([moved(&before), moved(&after)])
}

/// What names an item, without the key it stands under where that is the only one.
fn bare(name: &str) -> &str {
    name.split_once('=').map(|(_, value)| value).filter(|_| !name.contains(',')).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &str, items: Json) -> Option<Vec<String>> {
        let items = items.as_array().unwrap();
        Some(keyed(list, items, items)?.0.into_iter().map(|(name, _)| name).collect())
    }

    #[test]
    fn kubernetes_own_keys_come_first() {
        use serde_json::json;
        for (list, items, expected) in [
            ("containers", json!([{"name": "a"}, {"name": "b"}]), Some(vec!["name=a", "name=b"])),
            (
                "volumeMounts",
                json!([{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}]),
                Some(vec!["mountPath=/a", "mountPath=/b"]),
            ),
            (
                "ports",
                json!([{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "t", "port": 53, "protocol": "TCP"}]),
                Some(vec!["port=53,protocol=UDP", "port=53"]),
            ),
            ("items", json!([{"key": "a", "path": "x"}, {"key": "b", "path": "y"}]), Some(vec!["key=a", "key=b"])),
            ("hostAliases", json!([{"ip": "10.0.0.1", "hostnames": []}]), Some(vec!["ip=10.0.0.1"])),
            ("env", json!([{"name": "a"}, {"name": "a"}]), None),
            ("rules", json!([{"verbs": ["get"]}]), None),
            ("args", json!(["a"]), None),
        ] {
            let expected = expected.map(|names| names.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(names(list, items), expected, "{list}");
        }
    }
}
