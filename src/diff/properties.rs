//! What holds for any two trees: nothing differs from itself, whatever the order of its keys; and what is told leads from
//! the old tree to the new one.

use serde_json::{Map, Value as Json, json};

use super::{Comparison, FieldChange, FieldDiff, Veil, fields};

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn tree(&mut self, depth: u64) -> Json {
        match self.roll(if depth == 0 { 4 } else { 7 }) {
            0 => json!(self.roll(3)),
            1 => json!(self.roll(2) == 0),
            2 => json!(["x", "y", "a text", "z.w/v"][self.roll(4) as usize]),
            3 => json!({}),
            4 => (0..self.roll(4)).map(|_| self.tree(depth - 1)).collect(),
            5 => (0..self.roll(4)).map(|i| json!({"name": format!("n{i}"), "value": self.tree(depth - 1)})).collect(),
            _ => Json::Object(self.map(depth - 1)),
        }
    }

    fn map(&mut self, depth: u64) -> Map<String, Json> {
        let keys = ["a", "b", "c", "spec", "d.e/f"];
        (0..self.roll(5)).map(|_| (keys[self.roll(5) as usize].to_owned(), self.tree(depth))).collect()
    }

    /// The same tree with a leaf, a key or an item changed here and there.
    fn altered(&mut self, tree: &Json) -> Json {
        match tree {
            _ if self.roll(12) == 0 => self.tree(1),
            Json::Array(items) => items.iter().map(|item| self.altered(item)).collect(),
            Json::Object(map) => Json::Object(
                map.iter()
                    .map(|(key, value)| (key.clone(), if key == "name" { value.clone() } else { self.altered(value) }))
                    .collect(),
            ),
            leaf => leaf.clone(),
        }
    }
}

fn differs(old: &Json, new: &Json) -> Vec<FieldDiff> {
    let veil = Veil::default();
    fields::fields(old, new, &Comparison { namespace: "", old: &veil, new: &veil, context: 0 })
}

fn reversed(tree: &Json) -> Json {
    match tree {
        Json::Object(map) => {
            Json::Object(map.iter().rev().map(|(key, value)| (key.clone(), reversed(value))).collect())
        }
        Json::Array(items) => items.iter().map(reversed).collect(),
        plain => plain.clone(),
    }
}

#[test]
fn nothing_differs_from_itself_whatever_its_order() {
    let mut dice = Dice(1);
    for _ in 0..2000 {
        let tree = dice.tree(4);
        assert_eq!(differs(&tree, &tree), []);
        assert_eq!(differs(&tree, &reversed(&tree)), []);
    }
}

#[test]
fn what_differs_is_told_and_both_ways_alike() {
    let mut dice = Dice(2);
    let mut different = 0;
    for _ in 0..4000 {
        let old = dice.tree(4);
        let new = dice.altered(&old);
        let (there, back) = (differs(&old, &new), differs(&new, &old));
        let same = fields::canonical(&sorted(&old)) == fields::canonical(&sorted(&new));
        assert_eq!(there.is_empty(), same, "{old} and {new}: {there:?}");
        assert_eq!(there.is_empty(), back.is_empty(), "{old} and {new}");
        // Items without a key may be told apart in more than one way.
        let by_place = |field: &FieldDiff| (0..4).any(|at| field.path.contains(&format!("[{at}]")));
        if there.iter().chain(&back).any(by_place) {
            continue;
        }
        assert_eq!(there.len(), back.len(), "{old} and {new}");
        for field in &there {
            let mirrored = back.iter().any(|other| mirror(&field.change, &other.change));
            assert!(mirrored, "{field:?} has no counterpart in {back:?}");
        }
        different += usize::from(!same);
    }
    assert!(different > 300, "{different}");
}

fn mirror(one: &FieldChange, other: &FieldChange) -> bool {
    match (one, other) {
        (FieldChange::Added { new }, FieldChange::Removed { old })
        | (FieldChange::Removed { old }, FieldChange::Added { new }) => old == new,
        (FieldChange::Changed { old, new }, FieldChange::Changed { old: o, new: n }) => old == n && new == o,
        _ => false,
    }
}

/// With lists of named items in the order of their names, which says nothing.
fn sorted(tree: &Json) -> Json {
    match tree {
        Json::Object(map) => Json::Object(map.iter().map(|(key, value)| (key.clone(), sorted(value))).collect()),
        Json::Array(items) => {
            let mut items: Vec<Json> = items.iter().map(sorted).collect();
            if items.iter().all(|item| item["name"].is_string()) {
                items.sort_by_key(|item| item["name"].to_string());
            }
            Json::Array(items)
        }
        plain => plain.clone(),
    }
}
