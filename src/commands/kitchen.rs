//! What a definition is rendered with, brought together by `workspace`. Must not render.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::capabilities::Capabilities;
use crate::definition::{ChartSource, Definition};
use crate::render::{Cache, Renderer};
use crate::tools::Helm;

/// What a definition is rendered with.
pub struct Kitchen {
    /// The environment's helm.
    pub helm: Helm,
    /// The archives of its charts.
    pub charts: BTreeMap<ChartSource, PathBuf>,
    /// The folder in which it is remembered what archives mention.
    pub scans: PathBuf,
    /// What was rendered before.
    pub renders: Cache,
}

impl Kitchen {
    /// The renderer of a definition for a cluster.
    pub fn renderer<'a>(&'a self, definition: &'a Definition, capabilities: &'a Capabilities) -> Renderer<'a> {
        let Kitchen { helm, charts, scans, renders: cache } = self;
        Renderer { helm, definition, capabilities, charts, scans, cache, upgrades: BTreeSet::new() }
    }
}
