//! The definition of one environment: tiers in order, releases with their values. Data alone.

use std::collections::BTreeMap;
use std::time::Duration;

use super::provenance::Provenance;
use super::{
    ChartSource, ComputedImages, Declarations, Environment, Exception, Hooks, IgnoredImage, KubernetesSecret,
    RenderGuard, Sealed, SecretUse,
};
use crate::image::Reference;
use crate::yaml::{Node, Sources, Span};

/// What one environment is to become.
#[derive(Debug, Clone)]
pub struct Definition {
    /// The environment.
    pub environment: Environment,
    /// Its own file, merged over its layers.
    pub declared: Node,
    /// Its merged values; every node knows where it was written.
    pub values: Node,
    /// Who set them, and whom they overrode.
    pub provenance: Provenance,
    /// Tiers by order; each release's `tier` is an index into them.
    pub tiers: Vec<Tier>,
    /// Releases that are switched on, by tier and name.
    pub releases: Vec<Release>,
    /// What is to be generated where secrets.yaml lacks it.
    pub generated: Declarations,
    /// Names in secrets.yaml with their ciphertexts.
    pub sealed: Sealed,
    /// What people are shown where values hold the token of a secret.
    pub(super) shown: BTreeMap<String, String>,
    /// The texts that nodes point into.
    pub sources: Sources,
}

/// A tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// Its folder's name.
    pub name: String,
    /// The next tier waits for this one.
    pub gate: bool,
    /// What runs before and after it.
    pub hooks: Hooks,
}

/// A release with everything that decides it, but for what the lock says.
#[derive(Debug, Clone)]
pub struct Release {
    /// Its folder's name, and helm's name for it.
    pub name: String,
    /// Index of its tier.
    pub tier: usize,
    /// Where its chart comes from.
    pub chart: ChartSource,
    /// Its namespace.
    pub namespace: String,
    /// Labels of the namespace.
    pub namespace_labels: BTreeMap<String, String>,
    /// Releases that come first.
    pub needs: Vec<String>,
    /// Wait until it is ready.
    pub wait: bool,
    /// How long to wait at most.
    pub timeout: Duration,
    /// Its own file.
    pub declared: Node,
    /// The values the chart is given.
    pub values: Node,
    /// The secrets that its values ask for.
    pub value_secrets: Vec<SecretUse>,
    /// Kubernetes Secrets that are made before it.
    pub secrets: Vec<KubernetesSecret>,
    /// Who set them, and whom they overrode.
    pub provenance: Provenance,
    /// Images that no rendered object shows.
    pub extra_images: Vec<Reference>,
    /// Images that are left out on purpose.
    pub ignored_images: Vec<IgnoredImage>,
    /// Images whose tag an operator completes.
    pub computed_images: Vec<ComputedImages>,
    /// Findings that are let pass on purpose.
    pub exceptions: Vec<Exception>,
    /// Whether it may render otherwise live than planned.
    pub guard: RenderGuard,
    /// What runs before and after it.
    pub hooks: Hooks,
}

/// A release with the places of its needs.
pub(super) type Placed = (Release, Vec<(String, Span)>);

impl Definition {
    /// Every namespace with its labels. Where tiers share one, their labels add up; a clash was refused on loading.
    pub fn namespaces(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let mut namespaces: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for release in &self.releases {
            namespaces.entry(release.namespace.clone()).or_default().extend(release.namespace_labels.clone());
        }
        namespaces
    }

    /// Where a release stands in a lock's `from`: `prod/applications/minio`.
    pub fn place(&self, release: &Release) -> String {
        format!("{}/{}/{}", self.environment.name, self.tiers[release.tier].name, release.name)
    }
}
