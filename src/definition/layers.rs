//! The layers of an environment: its `extends` chain, what their files come to together, and the merged values beside them.

use tera::Context;

use super::environment::Environment;
use super::file::{dns_label, read_map, read_optional, source};
use super::merge::{Nulls, merge};
use super::provenance::Provenance;
use super::template::Evaluator;
use super::{Tree, environment_file, interpolate};
use crate::yaml::{Map, Node, Problem, SourceId, Sources, Span, Value};

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

#[cfg(test)]
mod tests;
