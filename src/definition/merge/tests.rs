//! The one rule, on cases and on many made-up layers.

use super::*;
use crate::definition::path::Step;
use crate::yaml::Sources;

fn merged(layers: &[&str], nulls: Nulls) -> serde_json::Value {
    let mut sources = Sources::default();
    let mut node = Node::new(Value::Map(Map::default()), Default::default());
    for layer in layers {
        let id = sources.add("f", *layer);
        merge(&mut node, sources.read(id).unwrap(), nulls, &mut Provenance::default());
    }
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
        ("a: [null, 1]", "b: [null]", r#"{"a":[null,1],"b":[null]}"#),
    ] {
        assert_eq!(merged(&[base, over], Nulls::Delete), json(expected), "{base} + {over}");
    }
}

#[test]
fn a_null_may_stay_for_helm() {
    let json = merged(&["a: {x: 1, z: 2}\nb: 1", "a: {x: null}\nc: null"], Nulls::Keep);
    assert_eq!(json, serde_json::json!({"a": {"x": null, "z": 2}, "b": 1, "c": null}));
    assert_eq!(merged(&["a: 1", "a: null", "a: {x: 1}"], Nulls::Keep), serde_json::json!({"a": {"x": 1}}));
}

#[test]
fn wide_maps_merge_the_same_way() {
    let base: String = (0..40).map(|i| format!("k{i}: {i}\n")).collect();
    let over: String = (0..40).step_by(2).map(|i| format!("k{i}: null\n")).collect();
    let json = merged(&[&base, &over, "k2: again\nk3: 0\n"], Nulls::Delete);
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!((keys.len(), keys[0].as_str(), keys[20].as_str()), (21, "k1", "k2"));
    assert_eq!(json["k3"], 0);
}

/// Makes up layers: the same number gives the same text.
struct Maker {
    seed: u64,
    nulls: bool,
    /// Whether a key always holds the same kind of value.
    steady: bool,
}

impl Maker {
    fn pick(&mut self, of: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % of
    }

    fn map(&mut self, depth: u64) -> String {
        let keys = ["ma", "mb", "c", "d", "e"];
        let chosen: Vec<&str> = keys.into_iter().filter(|_| self.pick(2) == 0).collect();
        let entries: Vec<String> = chosen.into_iter().map(|key| format!("{key}: {}", self.value(key, depth))).collect();
        format!("{{{}}}", entries.join(", "))
    }

    fn value(&mut self, key: &str, depth: u64) -> String {
        let map = if self.steady { key.starts_with('m') } else { self.pick(3) == 0 };
        if map {
            return if depth == 0 { "{}".to_owned() } else { self.map(depth - 1) };
        }
        let scalars =
            ["1", "0755", "yes", "1.50", "\"a: b\"", "'it''s'", "[1, {x: 2}]", "plain text", "\"tab\\t\"", "null"];
        scalars[self.pick(scalars.len() as u64 - u64::from(!self.nulls)) as usize].to_owned()
    }
}

/// The rule said once more, on JSON.
fn model(base: &mut serde_json::Value, over: &serde_json::Value) {
    let (Some(base_map), Some(over)) = (base.as_object_mut(), over.as_object()) else {
        *base = over.clone();
        model_clean(base);
        return;
    };
    for (key, value) in over {
        match base_map.get_mut(key) {
            _ if value.is_null() => drop(base_map.shift_remove(key)),
            Some(known) => model(known, value),
            None => {
                let mut value = value.clone();
                model_clean(&mut value);
                base_map.insert(key.clone(), value);
            }
        }
    }
}

fn model_clean(value: &mut serde_json::Value) {
    if let Some(map) = value.as_object_mut() {
        map.retain(|_, value| !value.is_null());
        map.values_mut().for_each(model_clean);
    }
}

fn layers(seed: u64, nulls: bool, steady: bool) -> (Sources, Vec<Node>) {
    let mut maker = Maker { seed, nulls, steady };
    let mut sources = Sources::default();
    let layers = (0..3).map(|i| {
        let id = sources.add(format!("layer{i}"), format!("{}\n", maker.map(3)));
        sources.read(id).unwrap()
    });
    let layers = layers.collect();
    (sources, layers)
}

fn fold(layers: &[Node]) -> (Node, Provenance) {
    let mut provenance = Provenance::default();
    let mut node = Node::new(Value::Map(Map::default()), Default::default());
    layers.iter().for_each(|layer| merge(&mut node, layer.clone(), Nulls::Delete, &mut provenance));
    (node, provenance)
}

#[test]
fn many_layers_follow_the_rule() {
    for seed in 0..2000 {
        let (_, layers) = layers(seed, true, false);
        let mut expected = serde_json::json!({});
        layers.iter().for_each(|layer| model(&mut expected, &layer.to_json()));
        assert_eq!(fold(&layers).0.to_json(), expected, "{seed}");
    }
}

#[test]
fn the_same_layer_twice_is_as_once() {
    for seed in 0..1000 {
        let (_, layers) = layers(seed, true, false);
        let again: Vec<Node> = layers.iter().flat_map(|layer| [layer.clone(), layer.clone()]).collect();
        assert_eq!(fold(&layers).0.to_json(), fold(&again).0.to_json(), "{seed}");
    }
}

#[test]
fn the_order_of_bringing_together_is_free_where_kinds_are_steady_and_nothing_is_deleted() {
    for seed in 0..1000 {
        let (_, layers) = layers(seed, false, true);
        let above = fold(&layers[1..]).0;
        assert_eq!(fold(&layers).0.to_json(), fold(&[layers[0].clone(), above]).0.to_json(), "{seed}");
    }
}

/// Calls for every value that is no map.
fn leaves(node: &Node, path: &mut Vec<String>, each: &mut dyn FnMut(&[String], &Node)) {
    match &node.value {
        Value::Map(map) => {
            for entry in &map.0 {
                path.push(entry.key.clone());
                leaves(&entry.node, path, each);
                path.pop();
            }
        }
        _ => each(path, node),
    }
}

#[test]
fn every_place_holds_what_was_read_there() {
    for seed in 0..1000 {
        let (sources, layers) = layers(seed, true, false);
        leaves(&fold(&layers).0, &mut Vec::new(), &mut |path, node| {
            let written = &sources.text(node.span.source)[node.span.start as usize..node.span.end as usize];
            let read = crate::yaml::parse_generated("written", written).unwrap();
            assert_eq!(read.to_json(), node.to_json(), "{seed}: {path:?} {written}");
        });
    }
}

#[test]
fn nothing_is_forgotten() {
    for seed in 0..1000 {
        let (_, layers) = layers(seed, true, false);
        let (merged, provenance) = fold(&layers);
        for layer in &layers {
            leaves(layer, &mut Vec::new(), &mut |path, leaf| {
                let steps = path.iter().map(|key| Step::Key(key.clone()));
                let holds = steps.clone().try_fold(&merged, |node, step| step.of(node));
                let walk = steps.fold(provenance.top(), |walk, step| walk.down(&step));
                let past = walk.past().iter().any(|past| past.span == leaf.span);
                let deleted_nothing = leaf.value == Value::Null;
                assert!(
                    deleted_nothing || past || holds.is_some_and(|node| node.span == leaf.span),
                    "{seed}: {path:?}"
                );
            });
        }
    }
}
