//! The definition of one environment, brought together: tiers in order, releases with their values, needs checked.

use std::collections::BTreeMap;
use std::time::Duration;

use tera::Context;

use super::asked::Asked;
use super::environment::{self, read_optional};
use super::release::{self, ReleaseFile, dns_label};
use super::template::Evaluator;
use super::tier::{self, TierFile};
use super::{
    ChartSource, ComputedImages, Declarations, Environment, IgnoredImage, Invalid, KubernetesSecret, Sealed, SecretUse,
    Tree, check, merge, sealed, secrets_of,
};
use crate::image::Reference;
use crate::yaml::{Map, Node, Problem, Sources, Span, Value};

/// What one environment is to become.
#[derive(Debug, Clone)]
pub struct Definition {
    /// The environment.
    pub environment: Environment,
    /// Its merged values; every node knows where it was written.
    pub values: Node,
    /// Tiers by order; each release's `tier` is an index into them.
    pub tiers: Vec<Tier>,
    /// Releases that are switched on, by tier and name.
    pub releases: Vec<Release>,
    /// What is to be generated where secrets.yaml lacks it.
    pub generated: Declarations,
    /// Names in secrets.yaml with their ciphertexts.
    pub sealed: Sealed,
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
    /// The values the chart is given.
    pub values: Node,
    /// The secrets that its values ask for.
    pub value_secrets: Vec<SecretUse>,
    /// Kubernetes Secrets that are made before it.
    pub secrets: Vec<KubernetesSecret>,
    /// Images that no rendered object shows.
    pub extra_images: Vec<Reference>,
    /// Images that are left out on purpose.
    pub ignored_images: Vec<IgnoredImage>,
    /// Images whose tag an operator completes.
    pub computed_images: Vec<ComputedImages>,
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
        let (environment, values) = environment::load(tree, &mut sources, environment, &asked)?;
        let sealed = sealed::load(tree, &mut sources, &environment.layers)?;
        let mut problems = Vec::new();
        let tiers = check::collect(tier::load(tree, &mut sources), &mut problems);
        let mut loaded = Loader {
            tree,
            environment: &environment,
            values: &values,
            evaluator: Evaluator::new(&asked),
            asked: &asked,
            sealed: &sealed,
            generated: Declarations::new(),
        };
        let mut releases = Vec::new();
        for (index, (name, tier)) in tiers.iter().enumerate() {
            for release in tree.folders(&format!("templates/{name}")) {
                let folder = format!("templates/{name}/{release}");
                if !on(&environment, &release) {
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
        let tiers = tiers.into_iter().map(|(name, tier)| Tier { name, gate: tier.gate }).collect();
        let releases = releases.into_iter().map(|(release, _)| release).collect();
        Ok(Definition { environment, values, tiers, releases, generated, sealed, sources })
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

fn on(environment: &Environment, release: &str) -> bool {
    environment.releases.get(release).is_none_or(|(on, _)| *on)
}

pub(super) struct Loader<'a> {
    tree: &'a Tree,
    pub environment: &'a Environment,
    values: &'a Node,
    pub evaluator: Evaluator,
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
        if !dns_label(name, 53) {
            return Err(Problem::in_file(
                folder,
                "helm wants release names of at most 53 lowercase letters, digits and dashes",
            ));
        }
        let values = self.values(sources, folder, name, &file)?;
        let value_secrets = self.asked.uses(sources, &values)?;
        let context = self.context(name, &file);
        let secrets = secrets_of::secrets(self, sources, &file, &context)?;
        let ReleaseFile {
            chart, namespace, needs, wait, timeout, extra_images, ignored_images, computed_images, ..
        } = file;
        let release = Release {
            name: name.to_owned(),
            tier,
            chart,
            namespace,
            namespace_labels: tier_file.namespace_labels.clone(),
            needs: needs.iter().map(|(need, _)| need.clone()).collect(),
            wait,
            timeout: timeout.or(tier_file.timeout).unwrap_or(self.environment.timeouts.release),
            values,
            value_secrets,
            secrets,
            extra_images,
            ignored_images,
            computed_images,
        };
        Ok((release, needs))
    }

    /// The release's own values, evaluated, with the environments' plain ones laid over them.
    fn values(&mut self, sources: &mut Sources, folder: &str, name: &str, file: &ReleaseFile) -> Result<Node, Problem> {
        let own = read_optional(self.tree, sources, &format!("{folder}/values.yaml"))?;
        let own = own.unwrap_or(Node::new(Value::Map(Map::default()), Span::default()));
        let context = self.context(name, file);
        let mut values = self.evaluator.tree(sources, &own, &context)?;
        for layer in &self.environment.layers {
            let path = format!("environments/{layer}/releases/{name}.yaml");
            if let Some(over) = read_optional(self.tree, sources, &path)? {
                merge::merge(&mut values, over);
            }
        }
        Ok(values)
    }

    /// The names that templates have at hand.
    fn context(&self, name: &str, file: &ReleaseFile) -> Context {
        let mut context = Context::new();
        context.insert("values", &self.values.to_json());
        context.insert("environment", &serde_json::json!({ "name": self.environment.name }));
        context.insert("release", &serde_json::json!({ "name": name, "namespace": file.namespace }));
        context
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENVIRONMENT: &str =
        "apiVersion: platctl.dev/v1\nkubeVersion: \"1.34.4\"\ntools: {helm: 4.3.1, kubectl: 1.34.4}\n";

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        tree.insert("environments/prod/environment.yaml", ENVIRONMENT);
        tree.insert("environments/prod/values.yaml", "domain: d\n");
        for (tier, order) in [("infra", 10), ("apps", 20)] {
            let text = format!("apiVersion: platctl.dev/v1\norder: {order}\ndefaults: {{timeout: 5m}}\n");
            tree.insert(format!("templates/{tier}/tier.yaml"), text);
        }
        for (path, text) in files {
            tree.insert(*path, *text);
        }
        tree
    }

    fn release(rest: &str) -> String {
        format!("apiVersion: platctl.dev/v1\nchart: {{path: ./chart}}\nnamespace: x\n{rest}")
    }

    #[test]
    fn releases_come_in_tier_order_with_their_values() {
        let definition = Definition::load(
            &tree(&[
                ("templates/apps/a/release.yaml", &release("needs: [z]\n")),
                (
                    "templates/apps/a/values.yaml",
                    "host: \"{{ release.name }}.{{ values.domain }}.{{ environment.name }}\"\nsize: 1\n",
                ),
                ("environments/prod/releases/a.yaml", "size: 2\n"),
                ("templates/infra/z/release.yaml", &release("")),
            ]),
            "prod",
        )
        .unwrap();
        let names: Vec<_> = definition.releases.iter().map(|r| definition.place(r)).collect();
        assert_eq!(names, ["prod/infra/z", "prod/apps/a"]);
        let a = &definition.releases[1];
        assert_eq!(a.values.to_json(), serde_json::json!({"host": "a.d.prod", "size": 2}));
        assert_eq!(a.timeout, Duration::from_secs(300));
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let mut tree = tree(&[
            ("templates/apps/a/release.yaml", &release("needs: [b, nope]\n")),
            ("templates/apps/b/release.yaml", &release("needs: [a]\n")),
            ("templates/infra/z/release.yaml", &release("needs: [a]\n")),
            ("templates/infra/a/release.yaml", &release("")),
            ("templates/apps/bad/release.yaml", "x: 1\n"),
        ]);
        tree.insert("environments/prod/environment.yaml", format!("{ENVIRONMENT}releases: {{ghost: false}}\n"));
        let problems = Definition::load(&tree, "prod").unwrap_err().to_string();
        for expected in [
            "templates/apps/bad/release.yaml:1:1: the release has no `apiVersion`",
            "release `a` is in two tiers, infra and apps",
            "no release `ghost` in any tier",
            "a needs `nope`, and there is no such release",
        ] {
            assert!(problems.contains(expected), "{expected} in\n{problems}");
        }
    }

    #[test]
    fn tiers_that_share_a_namespace_agree_about_its_labels() {
        let mut tree =
            tree(&[("templates/apps/a/release.yaml", &release("")), ("templates/infra/z/release.yaml", &release(""))]);
        for (tier, order, level) in [("infra", 10, "privileged"), ("apps", 20, "baseline")] {
            let text = format!(
                "apiVersion: platctl.dev/v1\norder: {order}\ndefaults: {{namespaceLabels: {{psa: {level}}}}}\n"
            );
            tree.insert(format!("templates/{tier}/tier.yaml"), text);
        }
        let problems = Definition::load(&tree, "prod").unwrap_err().to_string();
        assert!(problems.contains("namespace `x` has releases of infra and apps, which want label psa"), "{problems}");
    }

    #[test]
    fn cycles_and_later_tiers_are_refused() {
        let problems = Definition::load(
            &tree(&[
                ("templates/apps/a/release.yaml", &release("needs: [b]\n")),
                ("templates/apps/b/release.yaml", &release("needs: [a]\n")),
                ("templates/infra/z/release.yaml", &release("needs: [a]\n")),
            ]),
            "prod",
        )
        .unwrap_err()
        .to_string();
        assert!(problems.contains("templates/apps/a/release.yaml:4:9: a and `b` need each other"), "{problems}");
        assert!(problems.contains("z needs `a` of the later tier apps"), "{problems}");
    }
}
