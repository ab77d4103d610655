//! Layers, types and what is refused.

use super::*;
use crate::definition::asked::Asked;

const BASE: &str = "apiVersion: platctl.dev/v1\nkubeVersion: \"1.34.4\"\ntools: {helm: 4.3.1, kubectl: 1.34.4}\n\
    registry: {address: \"r:5000\", prefix: mirror}\n";

fn load_with(files: &[(&str, &str)], name: &str) -> Result<(Environment, Node), Problem> {
    let mut tree = Tree::default();
    for (path, text) in files {
        tree.insert(format!("environments/{path}"), *text);
    }
    let loaded = load(&tree, &mut Sources::default(), name, &Evaluator::new(&Asked::default()))?;
    Ok((loaded.environment, loaded.values))
}

#[test]
fn layers_are_merged_and_typed() {
    let (environment, values) = load_with(
        &[
            ("base/environment.yaml", &format!("{BASE}abstract: true\n")),
            ("base/values.yaml", "domain: local\nmlflow: {host: \"mlflow.{{ values.domain }}\", size: 1}\n"),
            ("prod/environment.yaml", "apiVersion: platctl.dev/v1\nextends: base\nregistry: {plainHTTP: true}\nreleases: {x: false}\ncluster: {uid: u}\n"),
            ("prod/values.yaml", "domain: ml.internal\n"),
        ],
        "prod",
    )
    .unwrap();
    assert_eq!(environment.layers, ["base", "prod"]);
    let registry = environment.registry.unwrap();
    assert!(registry.plain_http);
    assert_eq!(registry.site.address, "r:5000");
    assert!(!environment.releases["x"].0);
    assert_eq!(environment.cluster.uid.as_deref(), Some("u"));
    assert_eq!(values.get("mlflow").unwrap().to_json(), serde_json::json!({"host": "mlflow.ml.internal", "size": 1}));
}

#[test]
fn every_mistake_names_its_line() {
    let api = "apiVersion: platctl.dev/v1\n";
    for (text, expected) in [
        ("apiVersion: v2\n", "environments/e/environment.yaml:1:13: unknown apiVersion `v2`"),
        (&format!("{api}extends: nope\n"), "environments/e/environment.yaml:2:10: no environment `nope`"),
        (&format!("{BASE}abstract: true\n"), "environments/e/environment.yaml:5:11: environment `e` is abstract"),
        (
            &format!("{BASE}platform: My Platform\n"),
            "environments/e/environment.yaml:5:11: `My Platform` is no legal platform name",
        ),
        (&format!("{api}extends: e\n"), "environments/e/environment.yaml:2:10: environment `e` extends itself"),
        (
            &format!("{BASE}extras: [{{name: a/b, url: \"https://h/x\", digest: d}}]\n"),
            "environments/e/environment.yaml:5:17: `a/b` is no name for an extra",
        ),
        (
            &format!("{BASE}extras: [{{name: a, url: \"ftp://h/x\", digest: d}}]\n"),
            "environments/e/environment.yaml:5:25: the url of an extra begins with",
        ),
        (
            &format!("{BASE}extras: [{{name: a, url: \"https://me:pw@h/x\", digest: d}}]\n"),
            "environments/e/environment.yaml:5:25: the url of the extra `a` holds a login",
        ),
        (
            &format!("{BASE}extras: [{{name: a, url: \"https://h/x\", digest: d}}]\n"),
            "environments/e/environment.yaml:5:48: the digest of an extra is no sha256 digest",
        ),
        (
            &format!("{BASE}extras: [{{name: a, url: \"https://h/x\"}}]\n"),
            "environments/e/environment.yaml:5:10: an extra has no `digest`",
        ),
        (&format!("{BASE}nods: []\n"), "environments/e/environment.yaml:5:1: unknown key `nods`"),
        (
            &format!("{BASE}timeouts: {{release: 10}}\n"),
            "environments/e/environment.yaml:5:21: `release` must be a string",
        ),
        (
            &format!("{BASE}timeouts: {{release: \"10\"}}\n"),
            "environments/e/environment.yaml:5:21: `10` is no duration",
        ),
        (&format!("{BASE}nodes: [{{os: ubuntu24.04}}]\n"), "environments/e/environment.yaml:5:9: a node has no `arch`"),
        (
            &format!("{BASE}nodes: [{{os: u, arch: amd64, kernl: x}}]\n"),
            "environments/e/environment.yaml:5:30: unknown key `kernl`",
        ),
        (&format!("{BASE}platforms: [amd64]\n"), "environments/e/environment.yaml:5:13: not a platform"),
        (&format!("{BASE}releases: {{x: maybe}}\n"), "environments/e/environment.yaml:5:15: `x` must be true or false"),
        (&format!("{api}kubeVersion: 1.34\n"), "environments/e/environment.yaml:2:14: `kubeVersion` must be a string"),
        (
            &format!("{api}kubeVersion: \"1.34\"\n"),
            "environments/e/environment.yaml:2:14: `1.34` is no Kubernetes version",
        ),
    ] {
        let problem = load_with(&[("e/environment.yaml", text)], "e").unwrap_err();
        assert!(problem.to_string().starts_with(expected), "{problem}");
    }
}

#[test]
fn extras_are_files_by_address_and_content() {
    let digest = crate::digest::Digest::of("weights");
    let one = |name: &str| format!("{{name: {name}, url: \"https://files.example/{name}\", digest: \"{digest}\"}}");
    let text = format!("{BASE}extras: [{}, {}]\n", one("model.bin"), one("data_1"));
    let (environment, _) = load_with(&[("e/environment.yaml", &text)], "e").unwrap();
    let names: Vec<&str> = environment.extras.iter().map(|extra| extra.name.as_str()).collect();
    assert_eq!(names, ["data_1", "model.bin"]);
    assert_eq!(environment.extras[1].digest, digest);
    let twice = format!("{BASE}extras: [{}, {}]\n", one("a"), one("a"));
    let problem = load_with(&[("e/environment.yaml", &twice)], "e").unwrap_err();
    assert_eq!(problem.message, "the extra `a` is there twice");
}
