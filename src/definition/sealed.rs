//! `secrets.yaml` without any key: which names there are, and the ciphertext of each. A file that is not encrypted is
//! refused without showing a word of it. Must not decrypt.

use std::collections::BTreeMap;

use super::file::read_optional;
use super::provenance::Provenance;
use super::{Tree, merge};
use crate::yaml::{Excerpt, Map, Node, Problem, Sources, Span, Value};

/// What sops puts in a value's place.
const SEALED: &str = "ENC[AES256_GCM,";
/// The key of sops' own notes.
const NOTES: &str = "sops";

/// Every secret's name with its ciphertext, after the layers were merged.
pub type Sealed = BTreeMap<String, String>;

/// Reads the layers' files, the deepest first.
pub(super) fn load(tree: &Tree, sources: &mut Sources, layers: &[String]) -> Result<Sealed, Problem> {
    let mut merged = Node::new(Value::Map(Map::default()), Span::default());
    for layer in layers {
        if let Some(node) = read(tree, sources, layer)? {
            merge::merge(&mut merged, node, merge::Nulls::Delete, &mut Provenance::default());
        }
    }
    let mut sealed = Sealed::new();
    collect(&merged, String::new(), &mut sealed);
    Ok(sealed)
}

fn read(tree: &Tree, sources: &mut Sources, layer: &str) -> Result<Option<Node>, Problem> {
    let path = format!("environments/{layer}/secrets.yaml");
    let Some(mut node) = read_optional(tree, sources, &path).map_err(unread)? else { return Ok(None) };
    let Value::Map(map) = &mut node.value else { return Ok(None) };
    let notes = map.remove(NOTES);
    check(sources, &node)?;
    let empty = node.as_map().is_none_or(|map| map.0.is_empty());
    if notes.is_some_and(|notes| notes.node.get("mac").is_some()) || empty {
        return Ok(Some(node));
    }
    Err(encrypt(Problem::in_file(&path, "the file is not encrypted: it has no `sops` block with a `mac`"), &path))
}

/// Every leaf is encrypted, or is one that sops has nothing to encrypt of: empty or null.
fn check(sources: &Sources, node: &Node) -> Result<(), Problem> {
    for entry in &node.as_map().into_iter().flat_map(|map| &map.0).collect::<Vec<_>>() {
        let refused = |message: String| {
            let problem = Problem::new(message).at(sources, entry.key_span);
            let path = sources.path(entry.key_span.source).to_owned();
            encrypt(concealed(problem), &path)
        };
        if entry.key.contains('.') {
            let problem = Problem::new(format!("`{}` has a dot in it, which parts names", entry.key));
            return Err(concealed(problem.at(sources, entry.key_span)).help("nest it: a map in a map"));
        }
        match &entry.node.value {
            Value::Map(_) => check(sources, &entry.node)?,
            Value::Null => {}
            Value::String(text) if text.is_empty() || text.starts_with(SEALED) && text.ends_with(']') => {}
            Value::List(_) => {
                return Err(refused(format!("`{}` is a list; secrets are texts with names", entry.key)));
            }
            _ => return Err(refused(format!("`{}` is not encrypted", entry.key))),
        }
    }
    Ok(())
}

fn encrypt(problem: Problem, path: &str) -> Problem {
    match problem.help {
        Some(_) => problem,
        None => problem.help(format!(
            "encrypt it with sops (`sops encrypt -i {path}`); if it was ever shared as it is, change the secrets too"
        )),
    }
}

/// What the reader says may quote what it read: only the place is kept.
fn unread(problem: Problem) -> Problem {
    match problem.at {
        Some(at) if at.line > 0 => {
            concealed(Problem { at: Some(at), ..Problem::new("the file can't be read as YAML from here on") })
        }
        _ => problem,
    }
}

/// The same problem without the line's text, which may be a secret in the clear.
fn concealed(mut problem: Problem) -> Problem {
    let conceal = |at: &mut Excerpt| {
        at.text = format!("{}…", " ".repeat(at.column.saturating_sub(1) as usize));
        at.width = 1;
    };
    problem.at.iter_mut().filter(|at| at.line > 0).for_each(conceal);
    problem.notes.iter_mut().for_each(|(_, at)| conceal(at));
    problem
}

fn collect(node: &Node, name: String, sealed: &mut Sealed) {
    match &node.value {
        Value::Map(map) => {
            for entry in &map.0 {
                let name = if name.is_empty() { entry.key.clone() } else { format!("{name}.{}", entry.key) };
                collect(&entry.node, name, sealed);
            }
        }
        // sops has nothing to encrypt of an empty text: it counts as none.
        Value::String(text) if !text.is_empty() => {
            sealed.insert(name, text.clone());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTES: &str = "sops:\n  mac: ENC[AES256_GCM,data:m,type:str]\n  age: []\n";

    fn loaded(layers: &[(&str, &str)]) -> Result<Sealed, Problem> {
        let mut tree = Tree::default();
        for (layer, text) in layers {
            tree.insert(format!("environments/{layer}/secrets.yaml"), *text);
        }
        let layers: Vec<String> = layers.iter().map(|(layer, _)| (*layer).to_owned()).collect();
        load(&tree, &mut Sources::default(), &layers)
    }

    fn sealed(data: &str) -> String {
        format!("ENC[AES256_GCM,data:{data},type:str]")
    }

    #[test]
    fn layers_are_merged_and_names_are_paths() {
        let base = format!(
            "#ENC[AES256_GCM,data:c,type:comment]\na: {{x: \"{}\", z: \"{}\"}}\ngone: \"{}\"\n{NOTES}",
            sealed("1"),
            sealed("2"),
            sealed("3")
        );
        let over = format!("a: {{z: \"{}\", empty: \"\"}}\ngone: null\n{NOTES}", sealed("4"));
        let expected = [("a.x", sealed("1")), ("a.z", sealed("4"))];
        let expected: Sealed = expected.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        assert_eq!(loaded(&[("base", &base), ("prod", &over)]).unwrap(), expected);
        assert_eq!(loaded(&[]).unwrap(), Sealed::new());
    }

    #[test]
    fn a_file_in_the_clear_is_refused_without_showing_it() {
        for (text, expected) in [
            ("a:\n  b: hush\n", "environments/p/secrets.yaml:2:3: `b` is not encrypted"),
            ("a: 5432\n", "environments/p/secrets.yaml:1:1: `a` is not encrypted"),
            ("a: [hush]\n", "environments/p/secrets.yaml:1:1: `a` is a list"),
            ("a.b: hush\n", "environments/p/secrets.yaml:1:1: `a.b` has a dot in it"),
            ("a: 0123\nb: hush\na: hush\n", "environments/p/secrets.yaml:3:1: the file can't be read"),
            (&format!("a: \"{}\"\n", sealed("1")), "environments/p/secrets.yaml: the file is not encrypted"),
            (&format!("a: hush\n{NOTES}"), "environments/p/secrets.yaml:1:1: `a` is not encrypted"),
        ] {
            let problem = loaded(&[("p", text)]).unwrap_err();
            assert!(problem.to_string().starts_with(expected), "{problem}");
            assert!(!format!("{problem:?}").contains("hush"), "{problem:?}");
        }
    }
}
