//! `environment.yaml`, typed and strict, merged over its `extends` chain, and the merged values beside it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tera::Context;

use super::merge::{Nulls, merge};
use super::provenance::Provenance;
use super::release::dns_label;
use super::template::Evaluator;
use super::{API_VERSION, Extra, Tree, duration, environment_file, interpolate};
use crate::image::{Platform, Site};
use crate::yaml::{Fields, Map, Node, Problem, SourceId, Sources, Span, Value};

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
    fn switched_on(&self, tree: &Tree) -> Vec<String> {
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

/// The longest `extends` chain.
const MAX_LAYERS: usize = 16;

/// An environment with its values.
pub(super) struct Loaded {
    pub environment: Environment,
    /// Its own file, merged over its layers.
    pub declared: Node,
    pub values: Node,
    pub provenance: Provenance,
}

/// An environment with its values.
pub(super) fn load(tree: &Tree, sources: &mut Sources, name: &str, evaluator: &Evaluator) -> Result<Loaded, Problem> {
    if !dns_label(name, 63) {
        let problem = Problem::new(format!("`{name}` is no legal environment name"));
        return Err(problem.help("use at most 63 lowercase letters, digits and dashes: it becomes a label"));
    }
    let layers = layers(tree, sources, name)?;
    refuse_abstract(sources, &layers)?;
    let empty = || Node::new(Value::Map(Map::default()), Span::default());
    let (mut declared, mut values, mut provenance) = (empty(), empty(), Provenance::default());
    let mut names = Vec::new();
    for (own, Layer { name, environment }) in values_of(tree, sources, &layers)?.into_iter().zip(layers) {
        if let Some(node) = own {
            merge(&mut values, node, Nulls::Delete, &mut provenance);
        }
        names.push(name);
        merge(&mut declared, environment, Nulls::Delete, &mut Provenance::default());
    }
    let environment = environment_file::typed(tree, sources, name, names, &declared)?;
    let context = context(tree, &environment);
    let values = interpolate::resolve(sources, values, evaluator, &context, &mut provenance)?;
    Ok(Loaded { environment, declared, values, provenance })
}

/// The names that every template of an environment has at hand, but for `values`.
pub(super) fn context(tree: &Tree, environment: &Environment) -> Context {
    let registry = environment
        .registry
        .as_ref()
        .map(|registry| serde_json::json!({ "address": registry.site.address, "prefix": registry.site.prefix }));
    let mut context = Context::new();
    context.insert(
        "environment",
        &serde_json::json!({
            "name": environment.name,
            "kubeVersion": environment.kube_version,
            "platforms": environment.platforms.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "registry": registry,
        }),
    );
    context.insert("nodes", &environment.nodes);
    context.insert("releases", &environment.switched_on(tree));
    context
}

/// The values of each layer, where it has some. They are read side by side: reading is most of the time that many
/// values take.
fn values_of(tree: &Tree, sources: &mut Sources, layers: &[Layer]) -> Result<Vec<Option<Node>>, Problem> {
    let mut ids = Vec::with_capacity(layers.len());
    for layer in layers {
        ids.push(source(tree, sources, &format!("environments/{}/values.yaml", layer.name))?);
    }
    let sources = &*sources;
    let read = |id: Option<SourceId>| id.map(|id| read_map(sources, id)).transpose();
    std::thread::scope(|scope| {
        let reading: Vec<_> = ids.iter().map(|id| scope.spawn(move || read(*id))).collect();
        let joined = reading.into_iter().zip(&ids).map(|(one, id)| one.join().unwrap_or_else(|_| read(*id)));
        joined.collect()
    })
}

/// Reads a file of the tree, if it is there.
pub(super) fn read_optional(tree: &Tree, sources: &mut Sources, path: &str) -> Result<Option<Node>, Problem> {
    source(tree, sources, path)?.map(|id| read_map(sources, id)).transpose()
}

/// Makes a file of the tree a source, if it is there.
fn source(tree: &Tree, sources: &mut Sources, path: &str) -> Result<Option<SourceId>, Problem> {
    let Some(bytes) = tree.get(path) else { return Ok(None) };
    let text = std::str::from_utf8(bytes).map_err(|_| Problem::in_file(path, "the file is not UTF-8"))?;
    Ok(Some(sources.add(path, text)))
}

fn read_map(sources: &Sources, id: SourceId) -> Result<Node, Problem> {
    let node = sources.read(id)?;
    match node.value {
        Value::Map(_) => Ok(node),
        _ => Err(Problem::new(format!("the file must be a map, not {}", node.value.kind())).at(sources, node.span)),
    }
}

/// Takes `apiVersion` and refuses another one.
pub(super) fn check_api_version(fields: &mut Fields) -> Result<(), Problem> {
    let span = fields.need("apiVersion")?.span;
    match fields.need_string("apiVersion")? {
        API_VERSION => Ok(()),
        other => {
            Err(fields.problem(format!("unknown apiVersion `{other}`"), span).help(format!("write {API_VERSION}")))
        }
    }
}

/// Whether an environment only exists to be extended.
pub(super) fn is_abstract(tree: &Tree, name: &str) -> bool {
    let node = read_optional(tree, &mut Sources::default(), &format!("environments/{name}/environment.yaml"));
    node.ok().flatten().is_some_and(|node| node.get("abstract").is_some_and(|flag| flag.value == Value::Bool(true)))
}

/// What only exists to be extended is no place to install to.
fn refuse_abstract(sources: &Sources, layers: &[Layer]) -> Result<(), Problem> {
    for (i, layer) in layers.iter().enumerate() {
        let Some(flag) = layer.environment.get("abstract") else { continue };
        match flag.value {
            Value::Bool(on) if on && i + 1 == layers.len() => {
                let problem =
                    Problem::new(format!("environment `{}` is abstract: it only exists to be extended", layer.name));
                return Err(problem.at(sources, flag.span).help("name one that extends it with -e"));
            }
            Value::Bool(_) => {}
            _ => return Err(Problem::new("`abstract` must be true or false").at(sources, flag.span)),
        }
    }
    Ok(())
}

struct Layer {
    name: String,
    environment: Node,
}

/// The `extends` chain, the deepest first.
fn layers(tree: &Tree, sources: &mut Sources, name: &str) -> Result<Vec<Layer>, Problem> {
    let mut chain: Vec<Layer> = Vec::new();
    let mut next: Option<(String, Option<Span>)> = Some((name.to_owned(), None));
    while let Some((name, extended_at)) = next {
        let at = |problem: Problem, sources: &Sources| match extended_at {
            Some(span) => problem.at(sources, span),
            None => problem,
        };
        if chain.len() == MAX_LAYERS || chain.iter().any(|layer| layer.name == name) {
            let problem = Problem::new(format!("environment `{name}` extends itself"));
            return Err(at(problem, sources).help("a chain of `extends` ends at an environment without it"));
        }
        let path = format!("environments/{name}/environment.yaml");
        let Some(node) = read_optional(tree, sources, &path)? else {
            let mut known = tree.folders("environments");
            known.retain(|name| extended_at.is_some() || !is_abstract(tree, name));
            let known = known.join(", ");
            let problem = Problem::new(format!("no environment `{name}`: there is no {path}"));
            return Err(at(problem, sources).help(format!("environments here: {known}")));
        };
        let extends = node.get("extends").map(|e| (e.as_str().map(str::to_owned), e.span));
        next = match extends {
            Some((Some(parent), span)) => Some((parent, Some(span))),
            Some((None, span)) => return Err(Problem::new("`extends` must be a string").at(sources, span)),
            None => None,
        };
        chain.insert(0, Layer { name, environment: node });
    }
    Ok(chain)
}

/// A duration such as `10m`.
pub(super) fn duration_field(fields: &mut Fields, key: &'static str) -> Result<Option<Duration>, Problem> {
    let Some(node) = fields.get(key) else { return Ok(None) };
    let text = fields.text(node, key)?;
    match duration::parse(text) {
        Some(duration) => Ok(Some(duration)),
        None => {
            Err(fields.problem(format!("`{text}` is no duration"), node.span).help("write it as 90s, 10m or 1h30m"))
        }
    }
}

#[cfg(test)]
mod tests;
