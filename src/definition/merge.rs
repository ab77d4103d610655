//! The one merge rule: maps merge deep, everything else is replaced, an explicit null deletes. Every node keeps the
//! place it was written at.

use crate::yaml::{Entry, Node, Value};

/// Lays `over` on `base`.
pub(super) fn merge(base: &mut Node, over: Node) {
    let Node { value: Value::Map(over), span } = over else {
        *base = over;
        return;
    };
    let Value::Map(base_map) = &mut base.value else {
        *base = Node { value: Value::Map(over), span };
        drop_nulls(base);
        return;
    };
    for mut entry in over.0 {
        match base_map.0.iter().position(|e| e.key == entry.key) {
            Some(at) if entry.node.value == Value::Null => {
                base_map.0.remove(at);
            }
            Some(at) => {
                let Entry { key_span, node, .. } = &mut base_map.0[at];
                *key_span = entry.key_span;
                merge(node, entry.node);
            }
            None if entry.node.value == Value::Null => {}
            None => {
                drop_nulls(&mut entry.node);
                base_map.0.push(entry);
            }
        }
    }
}

/// A null where there was nothing to delete leaves nothing behind.
fn drop_nulls(node: &mut Node) {
    if let Value::Map(map) = &mut node.value {
        map.0.retain(|entry| entry.node.value != Value::Null);
        map.0.iter_mut().for_each(|entry| drop_nulls(&mut entry.node));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::Sources;

    fn merged(base: &str, over: &str) -> serde_json::Value {
        let mut sources = Sources::default();
        let (a, b) = (sources.add("a", base), sources.add("b", over));
        let mut node = sources.read(a).unwrap();
        merge(&mut node, sources.read(b).unwrap());
        node.to_json()
    }

    #[test]
    fn one_rule() {
        let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        for (base, over, expected) in [
            ("a: {x: 1, z: 2}", "a: {z: 3}", r#"{"a":{"x":1,"z":3}}"#),
            ("a: [1, 2]", "a: [3]", r#"{"a":[3]}"#),
            ("a: {x: 1}", "a: text", r#"{"a":"text"}"#),
            ("a: text", "a: {x: 1, z: null}", r#"{"a":{"x":1}}"#),
            ("a: {x: 1}\nb: 1", "a: null", r#"{"b":1}"#),
            ("a: 1", "b: {c: null}", r#"{"a":1,"b":{}}"#),
            ("a: 1", "", r#"{"a":1}"#),
        ] {
            assert_eq!(merged(base, over), json(expected), "{base} + {over}");
        }
    }
}
