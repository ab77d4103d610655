//! An environment, as it is after all its layers: data alone.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Extra, Tree};
use crate::image::{Platform, Site};
use crate::yaml::Span;

/// A place to install to, as it is after all layers.
#[derive(Debug, Clone, PartialEq)]
pub struct Environment {
    /// Its folder's name.
    pub name: String,
    /// The environments it is made of, itself last.
    pub layers: Vec<String>,
    /// Name of the platform on its releases' labels.
    pub platform: String,
    /// Kubernetes version charts are rendered for.
    pub kube_version: String,
    /// What the cluster must be.
    pub cluster: Cluster,
    /// Versions of the tools.
    pub tools: Tools,
    /// The site's registry, where there is one.
    pub registry: Option<Registry>,
    /// Platforms of the nodes.
    pub platforms: Vec<Platform>,
    /// What its nodes are: what no chart can know.
    pub nodes: Vec<ClusterNode>,
    /// Releases switched on or off by name.
    pub releases: BTreeMap<String, (bool, Span)>,
    /// How much at once.
    pub concurrency: Concurrency,
    /// How long at most.
    pub timeouts: Timeouts,
    /// Files that travel in the bundle, sorted by name.
    pub extras: Vec<Extra>,
}

/// The guard: `apply` refuses any other cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cluster {
    /// The kubeconfig context's name.
    pub context: Option<String>,
    /// The uid of the namespace `kube-system`.
    pub uid: Option<String>,
}

/// Versions of the tools, without `v`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tools(pub BTreeMap<String, String>);

/// The site's registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// Address and prefix.
    pub site: Site,
    /// How images get their place in it.
    pub mode: RegistryMode,
    /// Without TLS.
    pub plain_http: bool,
    /// Certificate authority, PEM.
    pub ca: Option<Vec<u8>>,
    /// The secret that nodes pull images with; a Kubernetes Secret of its name is made in every namespace.
    pub pull_secret: Option<(String, Span)>,
}

/// How the site's registry is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryMode {
    /// Every reference is rewritten.
    Rewrite,
}

/// A kind of node of the cluster, as operators see it that complete an image's tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterNode {
    /// Its distribution and version, such as `ubuntu24.04`.
    pub os: String,
    /// Its kernel, as `uname -r` prints it. Left out where it is not known, so that a template that asks for it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Its architecture, such as `amd64`.
    pub arch: String,
}

/// How much at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concurrency {
    /// Releases that helm works on.
    pub releases: usize,
    /// Releases beyond them that helm only waits for.
    pub waiting: usize,
    /// Connections for downloads.
    pub downloads: usize,
    /// Connections for uploads.
    pub uploads: usize,
}

/// How long at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a release to become ready.
    pub release: Duration,
    /// For a request to answer.
    pub request: Duration,
}

impl Environment {
    /// The names of the releases of a tree that are switched on here.
    pub(super) fn switched_on(&self, tree: &Tree) -> Vec<String> {
        let tiers = tree.folders("templates").into_iter();
        let mut names: Vec<String> = tiers.flat_map(|tier| tree.releases(&tier)).collect();
        names.retain(|name| self.has(name));
        names.sort();
        names
    }

    /// Whether a release is switched on.
    pub fn has(&self, release: &str) -> bool {
        self.releases.get(release).is_none_or(|(on, _)| *on)
    }
}
