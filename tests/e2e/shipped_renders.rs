//! What the platform that ships says without a cluster: the same bytes every time, and for every leaf who set it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::rig::rig;
use crate::shipped::{HERE, shipped};
use crate::support::{copy_folder, put};

/// A second cache, so that nothing that was kept of the first time is taken for the second.
#[test]
fn every_release_renders_the_same_twice() {
    let mut rendered = BTreeSet::new();
    for environment in shipped().environments() {
        let render = |cache: &str| {
            let program = shipped().online(rig()).env("PLATCTL_CACHE_DIR", shipped().path(cache));
            program.args(["template", "-e", &environment]).run().ok().stdout
        };
        let (one, two) = (render("cache-1"), render("cache-2"));
        assert!(one == two, "{environment}: {}", first_difference(&one, &two));
        let sources = one.lines().filter_map(|line| line.strip_prefix("# Source: ")?.split('/').next());
        rendered.extend(sources.map(str::to_owned));
    }
    // A chart of the platform's own has the name of its release, and so have the others.
    let never: Vec<String> = shipped().releases().into_iter().filter(|name| !rendered.contains(name)).collect();
    assert!(never.is_empty(), "in no environment: {never:?}");
}

fn first_difference(one: &str, two: &str) -> String {
    let mut lines = one.lines().zip(two.lines()).enumerate();
    let different = lines.find(|(_, (a, b))| a != b);
    different.map_or_else(|| "one is longer".to_owned(), |(n, (a, b))| format!("line {}: {a} | {b}", n + 1))
}

#[test]
fn every_leaf_of_every_release_says_who_set_it() {
    for environment in shipped().environments() {
        let json = |args: &[&str]| -> Value {
            let output = shipped().run(&[&["values", "-e", &environment, "-o", "json"], args].concat()).ok();
            serde_json::from_str(&output.stdout).unwrap()
        };
        let all = shipped().releases().join(",name=");
        let values = json(&["-l", &format!("name={all}")]);
        for release in values["releases"].as_array().unwrap() {
            let name = release["name"].as_str().unwrap();
            for (key, value) in release["values"].as_object().unwrap() {
                let place = format!("{environment}, {name}: {key}");
                let found = json(&["-l", &format!("name={name}"), "--explain", key]);
                let found = found["releases"][0]["explanations"].as_array().unwrap_or_else(|| panic!("{place}"));
                let explained = found.iter().filter(|leaf| holds(leaf, &place)).count();
                assert_eq!(explained, leaves(value), "{place}: {found:#?}");
            }
        }
    }
}

/// Whether a value is there; if so, who set it has to be said, down to the column.
fn holds(leaf: &Value, place: &str) -> bool {
    let Some(last) = leaf["settings"].get(0) else { panic!("{place}: nobody set {}", leaf["name"]) };
    let file = last["file"].as_str().unwrap_or_default();
    let (line, column) = (last["line"].as_u64().unwrap_or(0), last["column"].as_u64().unwrap_or(0));
    assert!(shipped().platform().join(file).is_file() && line > 0 && column > 0, "{place}: {last}");
    last["state"] == "holds"
}

/// Values with nothing below them.
fn leaves(value: &Value) -> usize {
    match value {
        Value::Array(items) if !items.is_empty() => items.iter().map(leaves).sum(),
        Value::Object(map) if !map.is_empty() => map.values().map(leaves).sum(),
        _ => 1,
    }
}

/// A real values file with mistakes that the chart's own schema finds: helm's words lead to its lines.
#[test]
fn a_mistake_in_a_site_s_values_is_shown_where_it_stands() {
    let folder = rig().place("shipped-mistaken");
    copy_folder(&shipped().platform(), &folder);
    let file = format!("environments/{HERE}/releases/mlflow.yaml");
    put(&folder.join(&file), "# Ours.\nreplicaCuont: 3\nimage:\n  pullPolicy: Sometimes\n");
    let template = ["template", "-e", HERE, "-l", "name=mlflow"];
    let output = shipped().online(rig()).folder(&folder).args(template).run().exits(1);
    for said in [
        &format!("┌─ {file}:2:1\n2 │ replicaCuont: 3\n  │ ^^^^^^^^^^^^\n"),
        &format!("┌─ {file}:4:15\n4 │   pullPolicy: Sometimes\n  │               ^^^^^^^^^\n"),
        "help: `replicaCuont`: did you mean `replicaCount`?",
    ] {
        assert!(output.stderr.contains(said), "{said}\n{}", output.screen());
    }
}
