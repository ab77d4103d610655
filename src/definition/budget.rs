//! What the templates of one definition may cost: every value they use is weighed and taken off. The same templates
//! cost the same everywhere, so a definition that loads in one place loads in all. Must not measure time.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tera::Value;
use tera::value::ValueKind;

use crate::yaml;

/// What all templates together may use.
const ALL: u64 = 128 << 20;
/// What one template may use.
const ONE: u64 = 48 << 20;
/// What each key, item or scalar weighs beside its text.
const NODE: u64 = 8;
/// What going through one item weighs.
const ROUND: u64 = 50;

/// What a guard says when the budget is spent.
pub(super) const TOO_MUCH: &str = "the template does too much: it goes through or keeps too many values";

/// What is left.
#[derive(Debug)]
pub(super) struct Budget {
    all: AtomicU64,
    one: AtomicU64,
}

/// There is nothing left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spent;

/// What a template is told that does too much.
pub(super) fn too_much(_: Spent) -> tera::Error {
    tera::Error::message(TOO_MUCH)
}

impl Budget {
    pub fn new() -> Budget {
        Budget { all: AtomicU64::new(ALL), one: AtomicU64::new(ONE) }
    }

    /// Another template begins.
    pub fn begin(&self) {
        self.one.store(ONE, Relaxed);
    }

    /// Takes something off.
    pub fn take(&self, weight: u64) -> Result<(), Spent> {
        for left in [&self.all, &self.one] {
            left.store(left.load(Relaxed).checked_sub(weight).ok_or(Spent)?, Relaxed);
        }
        Ok(())
    }

    /// Takes a value off, with all it holds; gives its weight.
    pub fn weigh(&self, value: &Value) -> Result<u64, Spent> {
        let mut weight = 0;
        self.weigh_into(value, &mut weight)?;
        Ok(weight)
    }

    fn weigh_into(&self, value: &Value, sum: &mut u64) -> Result<(), Spent> {
        let own = NODE + value.as_str().map_or(0, |text| text.len() as u64);
        // Taken off at once: what is shared may be larger than what can be counted.
        self.take(own)?;
        *sum += own;
        match value.kind() {
            ValueKind::Array => value.as_array().into_iter().flatten().try_for_each(|item| self.weigh_into(item, sum)),
            ValueKind::Map => value.as_map().into_iter().flatten().try_for_each(|(key, item)| {
                let key = key.as_str().map_or(NODE, |key| key.len() as u64);
                self.take(key)?;
                *sum += key;
                self.weigh_into(item, sum)
            }),
            _ => Ok(()),
        }
    }

    /// Takes the rounds through a value off.
    pub fn rounds(&self, value: &Value) -> Result<(), Spent> {
        self.take(ROUND.saturating_mul(value.len().unwrap_or(1) as u64))
    }

    /// Takes a tree off that is to be copied.
    pub fn weigh_node(&self, node: &yaml::Node) -> Result<(), Spent> {
        match &node.value {
            yaml::Value::String(text) => self.take(NODE + text.len() as u64),
            yaml::Value::List(items) => {
                self.take(NODE)?;
                items.iter().try_for_each(|item| self.weigh_node(item))
            }
            yaml::Value::Map(map) => {
                self.take(NODE)?;
                map.0.iter().try_for_each(|entry| {
                    self.take(entry.key.len() as u64)?;
                    self.weigh_node(&entry.node)
                })
            }
            _ => self.take(NODE),
        }
    }
}
