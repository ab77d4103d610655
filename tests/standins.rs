//! The shipped platform, its lock, and the charts that stand in for upstream's: every key that a release of the
//! platform sets has to be a key of its stand-in. helm passes over a key that a chart does not know, so without this a
//! misspelt key, or a stand-in that does not play what is set, would prove nothing.
//!
//! What is read is what the files say. A leaf that is an expression may become a map of any shape; what that holds is
//! up to the chart's schema, and to tests/e2e, which renders it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use platctl::definition::{ChartSource, LOCK_PATH, OwnChart, Tree};
use platctl::lock::Lock;
use serde_json::{Map, Value};

/// Maps of any keys that have some to begin with: configuration of a program, by chart.
const FREE: [(&str, &str); 2] =
    [("kube-prometheus-stack", "grafana.grafana.ini"), ("kube-prometheus-stack", "alertmanager.config")];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn yaml(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The folders in a folder, sorted.
fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// A release of the shipped platform that has a chart of somebody else's.
struct Release {
    name: String,
    folder: PathBuf,
    chart: Value,
}

fn releases() -> Vec<Release> {
    let tiers = folders(&root().join("templates"));
    let all = tiers.iter().flat_map(|tier| folders(tier)).map(|folder| Release {
        name: name(&folder),
        chart: yaml(&folder.join("release.yaml"))["chart"].clone(),
        folder,
    });
    all.filter(|release| release.chart["repository"].is_string()).collect()
}

/// The stand-in of a chart: among the folders that `upstream.yaml` puts into the repository, the one of this name.
fn standin(chart: &Value) -> PathBuf {
    let upstream = root().join("tests/fixtures/upstream");
    let settings = yaml(&upstream.join("upstream.yaml"));
    let home = |url: &Value| url.as_str().unwrap_or_default().trim_end_matches('/').to_owned();
    let repository = settings["repositories"].as_array().unwrap().iter();
    let mut charts = repository
        .filter(|repository| home(&repository["url"]) == home(&chart["repository"]))
        .flat_map(|repository| repository["charts"].as_array().unwrap());
    assert!(charts.any(|name| *name == chart["name"]), "tests/fixtures/upstream has no stand-in for {chart}");
    upstream.join("charts").join(chart["name"].as_str().unwrap())
}

/// The values of a chart with those of its subcharts under their names.
fn values(folder: &Path) -> Value {
    let mut values = if folder.join("values.yaml").exists() { yaml(&folder.join("values.yaml")) } else { Value::Null };
    if values.is_null() {
        values = Value::Object(Map::new());
    }
    let subcharts = folder.join("charts");
    if subcharts.exists() {
        for subchart in folders(&subcharts) {
            let own = values[&name(&subchart)].take();
            values[&name(&subchart)] = laid_over(self::values(&subchart), own);
        }
    }
    values
}

fn laid_over(mut under: Value, over: Value) -> Value {
    match (&mut under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                let below = under.remove(&key).unwrap_or(Value::Null);
                under.insert(key, laid_over(below, value));
            }
        }
        (_, Value::Null) => {}
        (under, over) => *under = over,
    }
    under
}

/// The keys of `set` that `known` does not have, as paths. An empty map and a null take anything.
fn unknown(set: &Value, known: &Value, path: &str, found: &mut Vec<String>) {
    let Value::Object(set) = set else { return };
    match known {
        Value::Null => {}
        Value::Object(known) if known.is_empty() => {}
        Value::Object(known) => {
            for (key, value) in set {
                let path = format!("{path}{}{key}", if path.is_empty() { "" } else { "." });
                match known.get(key) {
                    Some(known) => unknown(value, known, &path, found),
                    None => found.push(path),
                }
            }
        }
        _ => found.push(format!("{path} (a map, and the chart has {known})")),
    }
}

/// The release's own values, and what environments lay over them.
fn files(release: &Release) -> Vec<PathBuf> {
    let mut files = vec![release.folder.join("values.yaml")];
    for environments in ["environments", "tests/fixtures/environments"] {
        let environments = root().join(environments);
        let all = if environments.exists() { folders(&environments) } else { Vec::new() };
        files.extend(all.iter().map(|folder| folder.join(format!("releases/{}.yaml", release.name))));
    }
    files.retain(|file| file.exists());
    files
}

#[test]
fn every_key_that_is_set_is_one_of_the_stand_in() {
    let mut wrong = BTreeMap::new();
    for release in releases() {
        let known = values(&standin(&release.chart));
        for file in files(&release) {
            let mut found = Vec::new();
            unknown(&yaml(&file), &known, "", &mut found);
            let free = FREE.iter().filter(|(chart, _)| release.chart["name"] == *chart);
            free.for_each(|(_, path)| found.retain(|key| !key.starts_with(&format!("{path}."))));
            if !found.is_empty() {
                wrong.insert(file.strip_prefix(root()).unwrap().to_owned(), found);
            }
        }
    }
    assert!(wrong.is_empty(), "keys that the stand-ins do not have: {wrong:#?}");
}

#[test]
fn stand_ins_have_the_versions_that_the_platform_asks_for() {
    let all = releases();
    assert!(all.len() >= 8, "{} releases with a chart of somebody else's", all.len());
    for release in all {
        let chart = yaml(&standin(&release.chart).join("Chart.yaml"));
        assert_eq!(chart["version"], release.chart["version"], "{}", release.name);
    }
}

/// A chart whose dependencies are not all there would not render, even when they are off.
#[test]
fn stand_ins_have_their_subcharts_in_the_versions_asked_for() {
    for folder in folders(&root().join("tests/fixtures/upstream/charts")) {
        for dependency in yaml(&folder.join("Chart.yaml"))["dependencies"].as_array().into_iter().flatten() {
            let subchart = folder.join("charts").join(dependency["name"].as_str().unwrap());
            let version = yaml(&subchart.join("Chart.yaml"))["version"].as_str().unwrap().to_owned();
            let asked = semver::VersionReq::parse(dependency["version"].as_str().unwrap()).unwrap();
            assert!(asked.matches(&semver::Version::parse(&version).unwrap()), "{}: {version}", subchart.display());
        }
    }
}

/// What the first test would find.
#[test]
fn an_unknown_key_is_found() {
    let known: Value = serde_yaml::from_str("a: {b: 1, free: {}, open: null}\nlist: []\n").unwrap();
    let set = "a: {b: '{{ x }}', c: 1, free: {any: {thing: 1}}, open: {x: 1}}\nlist: {no: 1}\nd: null\n";
    let mut found = Vec::new();
    unknown(&serde_yaml::from_str(set).unwrap(), &known, "", &mut found);
    assert_eq!(found, ["a.c", "list (a map, and the chart has [])", "d"]);
}

/// A fresh checkout pins our own charts: one that was edited without `platctl lock` would be refused at the first
/// `bundle`.
#[test]
fn the_lock_has_our_own_charts_as_they_are() {
    let tree = Tree::read(root()).unwrap();
    let lock = Lock::parse(LOCK_PATH, &String::from_utf8_lossy(tree.get(LOCK_PATH).unwrap())).unwrap();
    let mut own = 0;
    for release in folders(&root().join("templates")).iter().flat_map(|tier| folders(tier)) {
        let folder = release.join("chart");
        if folder.is_dir() {
            let path = folder.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            let packed = OwnChart::pack(&tree, &path).unwrap();
            let locked = lock.chart(&ChartSource::Own { folder: path.clone() });
            assert_eq!(locked.map(|chart| chart.digest), Some(packed.digest), "{path}: run `platctl lock`");
            own += 1;
        }
    }
    assert!(own > 0);
}
