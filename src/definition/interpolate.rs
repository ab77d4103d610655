//! Environment values that refer to other values: every leaf is evaluated after the leaves it names, and a cycle is
//! an error with its line. Must not know any name but `values` and `environment`.

use std::collections::BTreeMap;

use tera::Context;

use super::asked::Asked;
use super::template::{Evaluator, is_template};
use crate::yaml::{Node, Problem, Sources, Span, Value};

/// A path into the values: keys and list positions as text.
type Path = Vec<String>;

/// Resolves every template among the values.
pub(super) fn resolve(sources: &Sources, mut values: Node, environment: &str, asked: &Asked) -> Result<Node, Problem> {
    let mut leaves = BTreeMap::new();
    collect(&values, &mut Vec::new(), &mut leaves);
    if leaves.is_empty() {
        return Ok(values);
    }
    let mut evaluator = Evaluator::new(asked);
    for path in order(sources, &leaves)? {
        let (text, span) = &leaves[&path];
        let mut context = Context::new();
        context.insert("values", &values.to_json());
        context.insert("environment", &serde_json::json!({ "name": environment }));
        let result = evaluator.leaf(sources, text, *span, &context)?;
        put(&mut values, &path, result);
    }
    prune(&mut values);
    Ok(values)
}

fn collect(node: &Node, path: &mut Path, leaves: &mut BTreeMap<Path, (String, Span)>) {
    match &node.value {
        Value::String(text) if is_template(text) => {
            leaves.insert(path.clone(), (text.clone(), node.span));
        }
        Value::List(items) => {
            for (i, item) in items.iter().enumerate() {
                path.push(i.to_string());
                collect(item, path, leaves);
                path.pop();
            }
        }
        Value::Map(map) => {
            for entry in &map.0 {
                path.push(entry.key.clone());
                collect(&entry.node, path, leaves);
                path.pop();
            }
        }
        _ => {}
    }
}

/// Leaves after the leaves they name.
fn order(sources: &Sources, leaves: &BTreeMap<Path, (String, Span)>) -> Result<Vec<Path>, Problem> {
    let needs: BTreeMap<&Path, Vec<&Path>> = leaves
        .iter()
        .map(|(path, (text, _))| {
            let named = names(text);
            let related = |other: &&Path| named.iter().any(|n| n.starts_with(other) || other.starts_with(n));
            (path, leaves.keys().filter(related).collect())
        })
        .collect();
    let mut ordered = Vec::new();
    let mut state = BTreeMap::new();
    for path in leaves.keys() {
        visit(path, &needs, &mut state, &mut ordered)
            .map_err(|at| Problem::new(format!("`{}` refers to itself", at.join("."))).at(sources, leaves[at].1))?;
    }
    Ok(ordered)
}

fn visit<'p>(
    path: &'p Path,
    needs: &BTreeMap<&'p Path, Vec<&'p Path>>,
    state: &mut BTreeMap<&'p Path, bool>,
    ordered: &mut Vec<Path>,
) -> Result<(), &'p Path> {
    match state.get(path) {
        Some(true) => return Ok(()),
        Some(false) => return Err(path),
        None => {}
    }
    state.insert(path, false);
    for other in &needs[path] {
        visit(other, needs, state, ordered)?;
    }
    state.insert(path, true);
    ordered.push(path.clone());
    Ok(())
}

/// The paths below `values` that a template names; a use of `values` as a whole names the empty path.
fn names(text: &str) -> Vec<Path> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("values") {
        let before = rest[..at].chars().next_back();
        let after = &rest[at + "values".len()..];
        rest = after;
        let word = |c: char| c.is_alphanumeric() || c == '_';
        if before.is_some_and(|c| word(c) || c == '.') || after.starts_with(word) {
            continue;
        }
        found.push(path_at(after));
    }
    found
}

fn path_at(mut text: &str) -> Path {
    let mut path = Vec::new();
    loop {
        let key = text.strip_prefix("?.").or_else(|| text.strip_prefix('.'));
        if let Some(after) = key {
            let end = after.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(after.len());
            path.push(after[..end].to_owned());
            text = &after[end..];
        } else if let Some((inner, after)) = text.strip_prefix('[').and_then(|t| t.split_once(']')) {
            let inner = inner.trim().trim_matches(['\'', '"']);
            path.push(inner.to_owned());
            text = after;
        } else {
            return path;
        }
    }
}

/// Puts a result in its place; one that is to be removed is marked with null until all are done, so that list
/// positions stay what they were.
fn put(values: &mut Node, path: &[String], result: Option<Node>) {
    let mut node = values;
    for key in path {
        let next = match &mut node.value {
            Value::Map(map) => map.get_mut(key),
            Value::List(items) => key.parse::<usize>().ok().and_then(|i| items.get_mut(i)),
            _ => None,
        };
        let Some(next) = next else { return };
        node = next;
    }
    match result {
        Some(result) => *node = result,
        None => node.value = Value::Null,
    }
}

fn prune(node: &mut Node) {
    match &mut node.value {
        Value::List(items) => {
            items.retain(|item| item.value != Value::Null);
            items.iter_mut().for_each(prune);
        }
        Value::Map(map) => {
            map.0.retain(|entry| entry.node.value != Value::Null);
            map.0.iter_mut().for_each(|entry| prune(&mut entry.node));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str) -> Result<serde_json::Value, Problem> {
        let mut sources = Sources::default();
        let id = sources.add("values.yaml", text);
        let node = sources.read(id)?;
        resolve(&sources, node, "prod", &Asked::default()).map(|n| n.to_json())
    }

    #[test]
    fn values_refer_to_values_in_any_order() {
        let json = resolved(
            "url: \"https://{{ values.mlflow.host }}/\"\nmlflow: {host: \"mlflow.{{ values.domain }}\"}\n\
             domain: \"{{ environment.name }}.example\"\nports: [1, \"{{ values['base'] + 1 }}\"]\nbase: 4\n",
        )
        .unwrap();
        let expected = serde_json::json!({"url": "https://mlflow.prod.example/", "mlflow": {"host": "mlflow.prod.example"},
            "domain": "prod.example", "ports": [1, 5], "base": 4});
        assert_eq!(json, expected);
    }

    #[test]
    fn a_cycle_is_an_error_with_its_line() {
        let problem = resolved("a: \"{{ values.b }}\"\nb: \"{{ values.a }}\"\n").unwrap_err();
        assert_eq!(problem.to_string(), "values.yaml:1:4: `a` refers to itself");
        assert!(resolved("a: {x: \"{{ values.a }}\"}\n").is_err());
    }

    #[test]
    fn paths_are_found_in_expressions() {
        let expected: Vec<Path> = vec![vec!["a".into(), "b".into()], vec!["c".into(), "0".into()], vec![]];
        assert_eq!(
            names("{{ values.a?.b ~ values['c'][0] }} {{ myvalues.x }} {{ values }} {{ x.values.y }}"),
            expected
        );
    }
}
