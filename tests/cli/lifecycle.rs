//! What comes after an installation, as far as fakes can show it: records that a user may not list, looking back and
//! going back.

use serde_json::{Value, json};

use crate::assert_screen;
use crate::shop::Shop;
use crate::support::{files, put, read};

const APPLY: [&str; 3] = ["apply", "-e", "prod"];

fn forbidden(user: &str, place: &str) -> String {
    format!(
        "Error from server (Forbidden): secrets is forbidden: User \"{user}\" cannot list resource \"secrets\" in API group \"\" {place}\n"
    )
}

#[test]
fn without_the_right_to_list_everywhere_namespaces_are_asked_one_by_one() {
    let shop = Shop::locked();
    shop.run(&APPLY).ok();
    put(&shop.fake("fail/get-secrets"), forbidden("site", "at the cluster scope"));
    shop.forget_calls();
    assert_screen!(shop.path(), "by_namespace", shop.run(&APPLY).ok().screen());
    assert_screen!(shop.path(), "by_namespace_status", shop.run(&["status", "-e", "prod"]).ok().screen());
    assert!(shop.changing_calls().is_empty(), "{:?}", shop.calls());
    put(&shop.fake("fail/get-secrets-in-data"), forbidden("site", "in the namespace \"data\""));
    assert_screen!(shop.path(), "by_namespace_refused", shop.run(&APPLY).exits(1).screen());
    assert!(shop.changing_calls().is_empty(), "{:?}", shop.calls());
}

/// Runs the program; the name of that run, which is the newest.
pub fn next(shop: &Shop, args: &[&str]) -> String {
    shop.run(args);
    let history = shop.run(&["history", "-e", "prod", "-o", "json"]).ok();
    let history: Value = serde_json::from_str(&history.stdout).unwrap();
    history["runs"][0]["run"].as_str().unwrap().to_owned()
}

/// Gives the journals in the cluster one host and one length.
fn settle(shop: &Shop) {
    for file in files(&shop.fake("state")).into_iter().filter(|file| file.to_string_lossy().contains("platctl-run-")) {
        let mut map: Value = serde_json::from_str(&read(&file)).unwrap();
        let mut journal: Value = serde_json::from_str(map["data"]["journal"].as_str().unwrap()).unwrap();
        (journal["host"], journal["began"]) = (json!("node-1"), json!("2026-11-21T19:30:00Z"));
        if journal["ended"].is_string() {
            journal["ended"] = json!("2026-11-21T19:31:30Z");
        }
        map["data"]["journal"] = journal.to_string().into();
        put(&file, map.to_string());
    }
}

/// A shop with three runs: a first apply without jobs, one that brings jobs and upgrades web, one in which store fails.
fn with_runs() -> (Shop, [String; 3]) {
    let shop = Shop::locked();
    shop.add("environments/prod/environment.yaml", "releases: {jobs: false}\n");
    let first = next(&shop, &APPLY);
    shop.edit("environments/prod/environment.yaml", "releases: {jobs: false}\n", "");
    put(&shop.file("environments/prod/releases/web.yaml"), "replicas: 7\n");
    let second = next(&shop, &APPLY);
    put(&shop.file("environments/prod/releases/store.yaml"), "size: large\n");
    put(&shop.fake("fail/upgrade-store"), "Error: no\n");
    let third = next(&shop, &APPLY);
    shop.forget_calls();
    (shop, [first, second, third])
}

#[test]
fn looking_back() {
    let shop = Shop::locked();
    assert_eq!(shop.run(&["history", "-e", "prod"]).ok().stdout, "no run is known\n");
    let (shop, _) = with_runs();
    settle(&shop);
    assert_screen!(shop.path(), "history", shop.run(&["history", "-e", "prod"]).ok().screen());
    assert_screen!(shop.path(), "history_json", shop.run(&["history", "-e", "prod", "-o", "json"]).ok().screen());
    assert_screen!(shop.path(), "history_of_one", shop.run(&["history", "-e", "prod", "store"]).ok().screen());
    shop.run(&["history", "-e", "prod", "nobody"]).exits(3);
    assert_eq!(shop.changing_calls(), Vec::<String>::new());
}

#[test]
fn going_back() {
    let (shop, [first, second, _]) = with_runs();
    let to = |run: &str, rest: &[&str]| shop.run(&[&["rollback", "-e", "prod", "--to", run], rest].concat());
    shop.run(&["destroy", "-e", "prod", "--confirm", "prod", "-l", "name=queue"]).ok();
    shop.forget_calls();
    assert_screen!(shop.path(), "no_such_run", to("20200101-000000-none", &[]).exits(4).screen());
    let shown = to(&first, &["--dry-run"]).ok().stdout;
    for line in
        ["  api                       unchanged  0.1.0", "  web                       rollback  3.1.0, revision 1"]
    {
        assert!(shown.lines().any(|other| other == line), "{shown}");
    }
    // helm has forgotten what web was.
    let records = read(&shop.fake("records"));
    let forgotten: Vec<&str> = records.lines().filter(|line| !line.contains("release.v1.web.v1 ")).collect();
    put(&shop.fake("records"), forgotten.join("\n") + "\n");
    assert_screen!(shop.path(), "back_too_far", to(&first, &[]).exits(4).screen());
    assert_eq!(shop.changing_calls(), Vec::<String>::new());
    put(&shop.fake("records"), records);

    put(&shop.fake("fail/rollback-web"), "Error: cannot patch \"web\" with kind Deployment: denied\n");
    assert_screen!(shop.path(), "back_fails", to(&first, &[]).exits(1).screen());
    std::fs::remove_file(shop.fake("fail/rollback-web")).unwrap();
    shop.forget_calls();
    assert_screen!(shop.path(), "back", to(&first, &[]).ok().screen());
    let rolled: Vec<String> = shop.calls().into_iter().filter(|call| call.starts_with("helm rollback")).collect();
    assert_eq!(rolled.len(), 2, "{rolled:?}");
    assert!(rolled[0].starts_with("helm rollback web 1 --namespace shop"), "the last tier first: {rolled:?}");
    assert!(rolled[1].starts_with("helm rollback store 1 --namespace data"), "{rolled:?}");
    // The revision that helm made bears this run's name, and leads here.
    shop.forget_calls();
    let output = to(&second, &[]).ok();
    assert!(output.stderr.contains("1 rollback"), "web goes forward again\n{}", output.screen());
    assert_eq!(shop.changing_calls().len(), 1, "{:?}", shop.changing_calls());
}
