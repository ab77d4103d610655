//! What explanations say, on a small definition.

use super::*;
use crate::definition::Tree;

fn definition(files: &[(&str, &str)]) -> Definition {
    let mut tree = Tree::default();
    let api = "apiVersion: platctl.dev/v1\n";
    tree.insert(
        "environments/base/environment.yaml",
        format!("{api}abstract: true\nkubeVersion: \"1.34.4\"\ntools: {{helm: 4.3.1, kubectl: 1.34.4}}\n"),
    );
    tree.insert(
        "environments/prod/environment.yaml",
        format!("{api}extends: base\nabstract: false\nnodes: [{{os: u, kernel: k, arch: amd64}}]\n"),
    );
    tree.insert("templates/apps/tier.yaml", format!("{api}order: 1\n"));
    tree.insert("templates/apps/a/release.yaml", format!("{api}chart: {{path: ./chart}}\nnamespace: ns\n"));
    for (path, text) in files {
        tree.insert(*path, *text);
    }
    Definition::load(&tree, "prod").unwrap()
}

/// `name=value @ place text state`, nested ones further in.
fn lines(found: &[Explanation], indent: usize, text: &mut Vec<String>) {
    for one in found {
        let value = one.value.as_ref().map_or("-".to_owned(), ToString::to_string);
        text.push(format!("{}{}={value}", " ".repeat(indent), one.name));
        for Setting { place, text: written, state, from, .. } in &one.settings {
            let folder = place.path.trim_start_matches("environments/").trim_start_matches("templates/apps/");
            text.push(format!("{} {folder}:{}:{} {written} {state:?}", " ".repeat(indent), place.line, place.column));
            lines(from, indent + 2, text);
        }
    }
}

fn explained(definition: &Definition, release: bool, path: &str) -> String {
    let release = release.then(|| &definition.releases[0]);
    let found = definition.explain(release, &path.parse().unwrap()).unwrap();
    let mut text = Vec::new();
    lines(&found, 0, &mut text);
    text.join("\n")
}

#[test]
fn who_set_it_and_whom_they_overrode() {
    let definition = definition(&[
        (
            "environments/base/values.yaml",
            "domain: local\nm: {host: \"m.local\", gone: 1, never: \"{{ none }}\"}\no: 1\n",
        ),
        ("environments/prod/values.yaml", "m: {host: \"m.{{ values.domain }}\", gone: null}\no: {x: 2}\n"),
    ]);
    assert_eq!(
        explained(&definition, false, "m.host"),
        "m.host=\"m.local\"\n prod/values.yaml:1:11 \"m.{{ values.domain }}\" Holds\n  values.domain=\"local\"\n   base/values.yaml:1:9 local Holds\n base/values.yaml:2:11 \"m.local\" Overridden"
    );
    assert_eq!(
        explained(&definition, false, "m.gone"),
        "m.gone=-\n prod/values.yaml:1:42 null Deletes\n base/values.yaml:2:28 1 Deleted"
    );
    assert_eq!(explained(&definition, false, "m.never"), "m.never=-\n base/values.yaml:2:38 \"{{ none }}\" Deletes");
    assert_eq!(explained(&definition, false, "o"), "o.x=2\n prod/values.yaml:2:8 2 Holds");
    let whole = explained(&definition, false, "m");
    assert!(whole.contains("m.host=") && whole.contains("m.gone=-") && whole.contains("m.never=-"), "{whole}");
}

#[test]
fn a_map_that_lost_everything_is_explained_with_what_it_lost() {
    let definition = definition(&[("templates/apps/a/values.yaml", "e: {x: \"{{ none }}\"}\nk: {l: []}\n")]);
    assert_eq!(
        explained(&definition, true, "e"),
        "e={}\n a/values.yaml:1:4 {x: \"{{ none }}\"} Holds\ne.x=-\n a/values.yaml:1:8 \"{{ none }}\" Deletes"
    );
    assert_eq!(explained(&definition, true, "k"), "k.l=[]\n a/values.yaml:2:8 [] Holds");
}

#[test]
fn through_templates_to_the_last_file() {
    let definition = definition(&[
        ("environments/prod/values.yaml", "hosts: [a, \"b.{{ values.domain }}\"]\ndomain: d\nl: [{name: x}]\n"),
        ("environments/base/releases/a.yaml", "size: 2\nold: 1\n"),
        ("environments/prod/releases/a.yaml", "old: null\n"),
        (
            "templates/apps/a/values.yaml",
            "hosts: \"{{ values.hosts }}\"\nsize: 1\nold: 0\nnames: \"{{ [b.name for b in values.l] }}\"\n\
             who: \"{{ release.name ~ release.namespace ~ nodes[0].arch ~ environment.kubeVersion ~ values.domain ~ values.domain }}\"\n",
        ),
    ]);
    assert_eq!(
        explained(&definition, true, "hosts[1]"),
        "hosts[1]=\"b.d\"\n a/values.yaml:1:8 \"{{ values.hosts }}\" Holds\n  values.hosts[1]=\"b.d\"\n   prod/values.yaml:1:12 \"b.{{ values.domain }}\" Holds\n    values.domain=\"d\"\n     prod/values.yaml:2:9 d Holds"
    );
    assert_eq!(
        explained(&definition, true, "size"),
        "size=2\n base/releases/a.yaml:1:7 2 Holds\n a/values.yaml:2:7 1 Overridden"
    );
    assert_eq!(
        explained(&definition, true, "old"),
        "old=-\n prod/releases/a.yaml:1:6 null Deletes\n base/releases/a.yaml:2:6 1 Deleted\n a/values.yaml:3:6 0 Overridden"
    );
    let names = explained(&definition, true, "names");
    assert!(names.contains("values.l=[{\"name\":\"x\"}]\n   prod/values.yaml:3:4 [{name: x}] Holds"), "{names}");
    let who = explained(&definition, true, "who");
    for expected in [
        "who=\"ansamd641.34.4dd\"",
        "  release.name=\"a\"",
        "  release.namespace=\"ns\"\n   a/release.yaml:3:12 ns Holds",
        "  nodes[0].arch=\"amd64\"\n   prod/environment.yaml:4:34 amd64 Holds",
        "  environment.kubeVersion=\"1.34.4\"\n   base/environment.yaml:3:14 \"1.34.4\" Holds",
    ] {
        assert!(who.contains(expected), "{expected} in {who}");
    }
    assert_eq!(who.matches("values.domain=").count(), 1, "{who}");
}

#[test]
fn what_is_nowhere_has_a_neighbour() {
    let definition = definition(&[("environments/prod/values.yaml", "mlflow: {host: x, hosts: [1]}\n")]);
    let nowhere = |path: &str| definition.explain(None, &path.parse().unwrap()).unwrap_err();
    assert_eq!(nowhere("mlflow.hots").near.unwrap().to_string(), "mlflow.host");
    assert_eq!(nowhere("mflow.host").near.unwrap().to_string(), "mlflow.host");
    assert_eq!(nowhere("mlflow.hosts[3]").above.to_string(), "mlflow.hosts");
    let far = nowhere("mlflow.quite.other");
    assert_eq!((far.near, far.keys), (None, vec!["host".to_owned(), "hosts".to_owned()]));
}
