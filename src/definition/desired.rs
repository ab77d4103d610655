//! The definition of one environment, brought together: tiers in order, releases with their values, needs checked.

use std::collections::BTreeMap;
use std::time::Duration;

use super::asked::Asked;
use super::environment::{self, Loaded, read_optional};
use super::evaluate::{self, Names};
use super::functions;
use super::hooks;
use super::merge::{Nulls, merge};
use super::provenance::Provenance;
use super::release::{self, ReleaseFile, dns_label};
use super::template::Evaluator;
use super::tier::{self, TierFile};
use super::{
    ChartSource, ComputedImages, Declarations, Environment, Exception, Hooks, IgnoredImage, Invalid, KubernetesSecret,
    RenderGuard, Sealed, SecretUse, Tree, check, sealed, secrets_of,
};
use crate::image::Reference;
use crate::yaml::{Map, Node, Problem, Sources, Span, Value};

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

impl Definition {
    /// Reads what the tree says of one environment.
    ///
    /// # Errors
    /// [`Invalid`] with every problem that could be found.
    pub fn load(tree: &Tree, environment: &str) -> Result<Definition, Invalid> {
        Definition::read(tree, environment, true)
    }

    /// The same, while names that releases ask for may be in no secrets.yaml: before they are put there.
    ///
    /// # Errors
    /// As [`Definition::load`].
    pub fn load_without_secrets(tree: &Tree, environment: &str) -> Result<Definition, Invalid> {
        Definition::read(tree, environment, false)
    }

    fn read(tree: &Tree, environment: &str, secrets: bool) -> Result<Definition, Invalid> {
        let mut sources = Sources::default();
        let asked = Asked::default();
        let evaluator = Evaluator::new(&asked);
        let Loaded { environment, declared, values, provenance } =
            environment::load(tree, &mut sources, environment, &evaluator)?;
        let sealed = sealed::load(tree, &mut sources, &environment.layers)?;
        let mut problems = Vec::new();
        let tiers = check::collect(tier::load(tree, &mut sources), &mut problems);
        let names = Names::new(&values, environment::context(tree, &environment));
        let mut loaded = Loader {
            tree,
            environment: &environment,
            evaluator: &evaluator,
            names,
            asked: &asked,
            sealed: &sealed,
            generated: Declarations::new(),
        };
        let mut releases = Vec::new();
        for (index, (name, tier)) in tiers.iter().enumerate() {
            for release in tree.releases(name) {
                let folder = format!("templates/{name}/{release}");
                if !environment.has(&release) {
                    continue;
                }
                match loaded.release(&mut sources, &folder, &release, index, tier) {
                    Ok(found) => releases.push(found),
                    Err(problem) => problems.push(problem),
                }
            }
        }
        let generated = loaded.generated;
        check::names(tree, &sources, &environment, &tiers, &mut problems);
        check::needs(tree, &sources, &environment, &releases, &tiers, &mut problems);
        check::namespaces(&releases, &tiers, &mut problems);
        check::secret_objects(&sources, &releases, &mut problems);
        if secrets && problems.is_empty() {
            check::secret_names(&sources, &asked.names(), &sealed, &generated, &mut problems);
        }
        if !problems.is_empty() {
            return Err(Invalid { problems });
        }
        let tiers = tiers.into_iter().map(|(name, tier)| Tier { name, gate: tier.gate, hooks: tier.hooks }).collect();
        let releases = releases.into_iter().map(|(release, _)| release).collect();
        let shown = asked.shown();
        Ok(Definition { environment, declared, values, provenance, tiers, releases, generated, sealed, shown, sources })
    }

    /// The names of all environments of a tree that can be installed; abstract ones are left out.
    pub fn environments(tree: &Tree) -> Vec<String> {
        let declared = |name: &String| {
            tree.get(&format!("environments/{name}/environment.yaml")).is_some()
                && !environment::is_abstract(tree, name)
        };
        tree.folders("environments").into_iter().filter(declared).collect()
    }

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

pub(super) struct Loader<'a> {
    tree: &'a Tree,
    pub environment: &'a Environment,
    pub evaluator: &'a Evaluator,
    pub names: Names<'a>,
    pub asked: &'a Asked,
    pub sealed: &'a Sealed,
    pub generated: Declarations,
}

/// A release with the places of its needs.
pub(super) type Placed = (Release, Vec<(String, Span)>);

impl Loader<'_> {
    fn release(
        &mut self,
        sources: &mut Sources,
        folder: &str,
        name: &str,
        tier: usize,
        tier_file: &TierFile,
    ) -> Result<Placed, Problem> {
        let path = format!("{folder}/release.yaml");
        let node = read_optional(self.tree, sources, &path)?.ok_or_else(|| {
            Problem::in_file(&path, "no such file: every folder of a tier is a release")
                .help("write the release there, or move the folder away")
        })?;
        let file = release::typed(sources, &node, folder)?;
        hooks::check(self.tree, sources, &file.hooks)?;
        if !dns_label(name, 53) {
            return Err(Problem::in_file(
                folder,
                "helm wants release names of at most 53 lowercase letters, digits and dashes",
            ));
        }
        let mut provenance = Provenance::default();
        let (values, images) = self.values(sources, folder, name, &file, &mut provenance)?;
        let value_secrets = self.asked.uses(sources, &values)?;
        let secrets = secrets_of::secrets(self, sources, &file, name)?;
        let ReleaseFile {
            chart,
            namespace,
            needs,
            wait,
            timeout,
            mut extra_images,
            ignored_images,
            computed_images,
            exceptions,
            guard,
            hooks,
            ..
        } = file;
        extra_images.extend(images);
        let release = Release {
            name: name.to_owned(),
            tier,
            chart,
            namespace,
            namespace_labels: tier_file.namespace_labels.clone(),
            needs: needs.iter().map(|(need, _)| need.clone()).collect(),
            wait,
            timeout: timeout.or(tier_file.timeout).unwrap_or(self.environment.timeouts.release),
            declared: node,
            values,
            value_secrets,
            secrets,
            provenance,
            extra_images,
            ignored_images,
            computed_images,
            exceptions,
            guard,
            hooks,
        };
        Ok((release, needs))
    }

    /// The release's own values, evaluated, with the environments' plain ones laid over them; and the images that
    /// they name.
    fn values(
        &self,
        sources: &mut Sources,
        folder: &str,
        name: &str,
        file: &ReleaseFile,
        provenance: &mut Provenance,
    ) -> Result<(Node, Vec<Reference>), Problem> {
        let own = read_optional(self.tree, sources, &format!("{folder}/values.yaml"))?;
        let own = own.unwrap_or(Node::new(Value::Map(Map::default()), Span::default()));
        self.evaluator.desk().lay(functions::readable(self.tree, folder, &self.environment.layers));
        let scope = self.names.of_release(name, &file.namespace);
        let mut values = evaluate::tree(self.evaluator, sources, own, &scope, provenance)?;
        for layer in &self.environment.layers {
            let path = format!("environments/{layer}/releases/{name}.yaml");
            if let Some(over) = read_optional(self.tree, sources, &path)? {
                merge(&mut values, over, Nulls::Keep, provenance);
            }
        }
        Ok((values, self.evaluator.desk().images()))
    }
}

#[cfg(test)]
mod tests;
