//! Brings the definition of one environment together from its files, and has it checked.

use super::asked::Asked;
use super::declared_secret::DeclaredSecret;
use super::desired::{Definition, Placed, Release, Tier};
use super::evaluate::{self, Names};
use super::file::{dns_label, read_optional};
use super::layers::{self, Loaded};
use super::merge::{Nulls, merge};
use super::provenance::Provenance;
use super::release::{self, ReleaseFile};
use super::template::Evaluator;
use super::tier::{self, TierFile};
use super::{
    Declarations, Environment, Invalid, KubernetesSecret, Sealed, Tree, check, functions, generate, hooks, pull_secret,
    sealed,
};
use crate::image::Reference;
use crate::yaml::{Map, Node, Problem, Sources, Span, Value};

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
            layers::load(tree, &mut sources, environment, &evaluator)?;
        let sealed = sealed::load(tree, &mut sources, &environment.layers)?;
        let mut problems = Vec::new();
        let tiers = check::collect(tier::load(tree, &mut sources), &mut problems);
        let names = Names::new(&values, layers::context(tree, &environment));
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
            tree.get(&format!("environments/{name}/environment.yaml")).is_some() && !layers::is_abstract(tree, name)
        };
        tree.folders("environments").into_iter().filter(declared).collect()
    }
}

struct Loader<'a> {
    tree: &'a Tree,
    environment: &'a Environment,
    evaluator: &'a Evaluator,
    names: Names<'a>,
    asked: &'a Asked,
    sealed: &'a Sealed,
    generated: Declarations,
}

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
        let secrets = secrets(self, sources, &file, name)?;
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

/// The Kubernetes Secrets that are made before a release; the registry's first.
fn secrets(
    loader: &mut Loader<'_>,
    sources: &Sources,
    file: &ReleaseFile,
    name: &str,
) -> Result<Vec<KubernetesSecret>, Problem> {
    for (name, declaration) in file.secrets.iter().flat_map(DeclaredSecret::generated) {
        generate::add(&mut loader.generated, sources, name, declaration.clone())?;
    }
    let mut made = Vec::new();
    if let Some(registry) = &loader.environment.registry {
        made.extend(pull_secret::made(sources, registry, loader.sealed, loader.asked)?);
    }
    let scope = loader.names.of_release(name, &file.namespace);
    for declared in &file.secrets {
        made.push(declared.evaluated(sources, loader.evaluator, loader.asked, &scope)?);
    }
    Ok(made)
}

#[cfg(test)]
mod tests;
