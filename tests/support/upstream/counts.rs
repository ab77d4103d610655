//! Owns the record of what was asked for and how much was sent.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde::Serialize;

use super::once::lock;
use super::reply::Asked;

/// One request and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Recorded {
    pub method: String,
    /// As it was sent, with its query.
    pub path: String,
    pub status: u16,
    /// Bytes of the body handed to the connection so far.
    pub bytes: u64,
    /// The Range header, to see what was resumed.
    pub range: Option<String>,
}

/// A request under way: its body adds to `bytes` while it is sent.
#[derive(Default)]
pub struct Entry {
    fixed: Recorded,
    bytes: AtomicU64,
}

impl Entry {
    pub fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn now(&self) -> Recorded {
        Recorded { bytes: self.bytes.load(Ordering::Relaxed), ..self.fixed.clone() }
    }
}

#[derive(Default)]
pub struct Counts {
    entries: Mutex<Vec<Arc<Entry>>>,
}

impl Counts {
    pub fn record(&self, asked: &Asked, status: u16) -> Arc<Entry> {
        let (method, path) = (asked.method.to_string(), asked.raw.clone());
        let fixed = Recorded { method, path, status, bytes: 0, range: asked.range.clone() };
        let entry = Arc::new(Entry { fixed, bytes: AtomicU64::new(0) });
        lock(&self.entries).push(entry.clone());
        entry
    }

    pub fn all(&self) -> Vec<Recorded> {
        lock(&self.entries).iter().map(|entry| entry.now()).collect()
    }

    pub fn reset(&self) {
        lock(&self.entries).clear();
    }
}
