//! Reads `capabilities.yaml`, typed and strict, or takes the shipped table of the environment's Kubernetes minor.

use super::file::typed;
use super::{Capabilities, minor, tables};
use crate::definition::{Environment, Invalid, Tree};
use crate::yaml::{Node, Problem, SourceId, Sources, Span};

/// The file in an environment's folder.
pub const FILE: &str = "capabilities.yaml";

/// What an environment's cluster is taken to offer. Of its layers the last that has a file wins whole: lists of two
/// clusters, mixed, would be those of none.
///
/// # Errors
/// [`Invalid`] with the line when the file is wrong or is that of another minor, or when there is neither file nor
/// table.
pub fn of(tree: &Tree, environment: &Environment) -> Result<Capabilities, Invalid> {
    Ok(load(tree, environment)?)
}

fn load(tree: &Tree, environment: &Environment) -> Result<Capabilities, Problem> {
    let wanted = minor(&environment.kube_version).unwrap_or_default();
    let mut sources = Sources::default();
    for layer in environment.layers.iter().rev() {
        let path = format!("environments/{layer}/{FILE}");
        let Some(bytes) = tree.get(&path) else { continue };
        let node = parsed(&mut sources, &path, bytes)?;
        let (found, span) = typed(&sources, &node, &path)?;
        if minor(&found.kube_version).as_deref() != Some(&wanted) {
            return Err(other_minor(tree, environment, sources, &found, span));
        }
        return Ok(found);
    }
    tables::table(&wanted).unwrap_or_else(|| Err(no_table(tree, environment, sources, &wanted)))
}

fn parsed(sources: &mut Sources, path: &str, bytes: &[u8]) -> Result<Node, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|_| Problem::in_file(path, "the file is not UTF-8"))?;
    let id: SourceId = sources.add(path, text);
    sources.read(id)
}

fn other_minor(
    tree: &Tree,
    environment: &Environment,
    mut sources: Sources,
    found: &Capabilities,
    span: Span,
) -> Problem {
    let message = format!(
        "these are the capabilities of Kubernetes {}, and environment {} is for {}",
        found.kube_version, environment.name, environment.kube_version
    );
    let mut problem = Problem::new(message).at(&sources, span);
    if let Some(declared) = kube_version_span(tree, environment, &mut sources) {
        problem = problem.note("the environment's", &sources, declared);
    }
    let record = format!("platctl doctor -e {} --record", environment.name);
    problem.help(format!("record the cluster again with `{record}`, correct `kubeVersion`, or remove this file"))
}

fn no_table(tree: &Tree, environment: &Environment, mut sources: Sources, wanted: &str) -> Problem {
    let mut problem = Problem::new(format!("no table says what Kubernetes {wanted} offers to charts"));
    if let Some(span) = kube_version_span(tree, environment, &mut sources) {
        problem = problem.at(&sources, span);
    }
    let record = format!("platctl doctor -e {} --record", environment.name);
    problem.help(format!(
        "tables: {}; for another minor record the cluster's own: `{record}`",
        tables::minors().join(", ")
    ))
}

/// Where the environment's `kubeVersion` stands: file and line.
pub fn place_of_kube_version(tree: &Tree, environment: &Environment) -> Option<(String, u32)> {
    let mut sources = Sources::default();
    let span = kube_version_span(tree, environment, &mut sources)?;
    Some((sources.path(span.source).to_owned(), span.line))
}

fn kube_version_span(tree: &Tree, environment: &Environment, sources: &mut Sources) -> Option<Span> {
    environment.layers.iter().rev().find_map(|layer| {
        let path = format!("environments/{layer}/environment.yaml");
        let node = parsed(sources, &path, tree.get(&path)?).ok()?;
        node.get("kubeVersion").filter(|node| node.as_str().is_some()).map(|node| node.span)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Definition;

    const ENVIRONMENT: &str =
        "apiVersion: platctl.dev/v1\nkubeVersion: \"1.34.4\"\ntools: {helm: 4.3.1, kubectl: 1.34.4}\n";
    const RECORDED: &str =
        "apiVersion: platctl.dev/v1\nkubeVersion: \"1.34.2\"\napis:\n  apps/v1: [Deployment]\n  v1: []\n";

    fn load_with(files: &[(&str, &str)]) -> Result<Capabilities, String> {
        let mut tree = Tree::default();
        tree.insert("environments/base/environment.yaml", ENVIRONMENT);
        tree.insert("environments/prod/environment.yaml", "apiVersion: platctl.dev/v1\nextends: base\n");
        files.iter().for_each(|(path, text)| tree.insert(format!("environments/{path}"), *text));
        let definition = Definition::load(&tree, "prod").map_err(|e| e.to_string())?;
        of(&tree, &definition.environment).map_err(|e| {
            let problem = &e.problems[0];
            let notes: Vec<String> =
                problem.notes.iter().map(|(text, at)| format!("; {text} {}:{}", at.path, at.line)).collect();
            format!("{problem}{}; {}", notes.concat(), problem.help.clone().unwrap_or_default())
        })
    }

    #[test]
    fn the_last_file_wins_whole_and_without_one_the_table_counts() {
        assert_eq!(load_with(&[]).unwrap().origin, "platctl's table of Kubernetes 1.34");
        let found = load_with(&[("base/capabilities.yaml", RECORDED)]).unwrap();
        assert_eq!((found.origin.as_str(), found.counts()), ("environments/base/capabilities.yaml", (2, 1)));
        let other = RECORDED.replace("apps/v1: [Deployment]", "batch/v1: [Job]");
        let found = load_with(&[("base/capabilities.yaml", RECORDED), ("prod/capabilities.yaml", &other)]).unwrap();
        assert!(found.names().contains("batch/v1/Job") && !found.names().contains("apps/v1"));
        assert_eq!(found.to_yaml(), other);
    }

    #[test]
    fn another_minor_is_refused_with_both_lines() {
        let error = load_with(&[("prod/capabilities.yaml", &RECORDED.replace("1.34.2", "1.33.2"))]).unwrap_err();
        assert!(
            error.starts_with("environments/prod/capabilities.yaml:2:14: these are the capabilities of"),
            "{error}"
        );
        assert!(error.contains("the environment's environments/base/environment.yaml:2"), "{error}");
        let later = "apiVersion: platctl.dev/v1\nextends: base\nkubeVersion: \"1.99.1\"\n";
        let error = load_with(&[("prod/environment.yaml", later)]).unwrap_err();
        assert!(error.starts_with("environments/prod/environment.yaml:3:14: no table says"), "{error}");
        assert!(
            error.contains(&format!("tables: {};", tables::minors().join(", ")))
                && error.contains("platctl doctor -e prod --record"),
            "{error}"
        );
    }

    #[test]
    fn mistakes_name_their_line() {
        for (from, to, expected) in [
            ("platctl.dev/v1", "v2", "prod/capabilities.yaml:1:13: unknown apiVersion"),
            ("\"1.34.2\"", "1.34", "prod/capabilities.yaml:2:14: `kubeVersion` must be a string"),
            ("1.34.2", "new", "prod/capabilities.yaml:2:14: `new` is no Kubernetes version"),
            ("apis:", "api:", "prod/capabilities.yaml:3:1: unknown key `api`"),
            ("apps/v1: [", "Apps/v1: [", "prod/capabilities.yaml:4:3: `Apps/v1` is no group/version"),
            ("apps/v1: [", "a/b/v1: [", "prod/capabilities.yaml:4:3: `a/b/v1` is no group/version"),
            ("[Deployment]", "Deployment", "prod/capabilities.yaml:4:12: `apps/v1` must be a list"),
            ("[Deployment]", "[\"a,b\"]", "prod/capabilities.yaml:4:13: `a,b` is no kind"),
            ("[Deployment]", "[No]", "prod/capabilities.yaml:4:13: a kind of `apps/v1` must be a string"),
            ("  v1: []", "  v1: []\nx: 1", "prod/capabilities.yaml:6:1: unknown key `x`"),
        ] {
            let error = load_with(&[("prod/capabilities.yaml", &RECORDED.replace(from, to))]).unwrap_err();
            assert!(error.starts_with(&format!("environments/{expected}")), "{error}");
        }
    }
}
