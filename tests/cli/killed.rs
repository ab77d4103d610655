//! What kills of platctl, of helm and of the API server at random moments have found (`tests/e2e/killed.rs`, `outage.rs`),
//! each at the one moment that shows it. No moment is left to chance here.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::assert_screen;
use crate::lifecycle::next;
use crate::shop::Shop;
use crate::support::program::until;
use crate::support::{Output, files, put, read};

const APPLY: [&str; 3] = ["apply", "-e", "prod"];
const RESUME: [&str; 4] = ["apply", "-e", "prod", "--resume"];
const STORE: [&str; 5] = ["apply", "-e", "prod", "-l", "name=store"];

/// The journals that lie on this host.
fn local(shop: &Shop) -> Vec<Value> {
    let runs = shop.path().join("home/cache/runs");
    let files = files(&runs).into_iter().filter(|file| file.ends_with("journal.json"));
    files.map(|file| serde_json::from_str(&read(&file)).unwrap()).collect()
}

/// platctl was killed while its helm is at work on a release; the pid of that helm.
fn killed_at_work(shop: &Shop, hang: &str, release: &str, args: &[&str]) -> Pid {
    put(&shop.fake(&format!("hang/{hang}")), "");
    let folder = shop.path().join("killed");
    fs::create_dir_all(&folder).unwrap();
    let running = shop.platctl().args(args).start(&folder);
    let of_release = |journal: &Value| {
        let releases = journal["releases"].as_array().unwrap().clone();
        releases.iter().find(|entry| entry["release"] == release).and_then(|entry| entry["pid"].as_i64())
    };
    let pid = || local(shop).iter().find_map(of_release);
    until("helm is at work, and noted", || shop.fake(&format!("started-{hang}")).exists() && pid().is_some());
    let pid = pid().unwrap();
    running.signal(Signal::KILL);
    running.wait().exits(128 + 9);
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

fn killed_beside_helm(shop: &Shop) -> Pid {
    killed_at_work(shop, "store", "store", &STORE)
}

/// Runs again what was killed; it waits for the helm at work, which then ends well.
fn again(shop: &Shop, hang: &str, args: &[&str]) -> Output {
    let mut running = shop.platctl().args(args).start(shop.path());
    let so_far = || read(&shop.path().join("stderr"));
    until("it waits, or goes on regardless", || so_far().contains("Waiting") || running.ended());
    assert!(!running.ended(), "{}", so_far());
    fs::remove_file(shop.fake(&format!("hang/{hang}"))).unwrap();
    running.wait()
}

fn status(shop: &Shop, release: &str) -> String {
    let records = read(&shop.fake("records"));
    let last = records.lines().rfind(|line| line.contains(&format!("name={release},"))).unwrap_or_default();
    last.split("status=").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or_default().to_owned()
}

/// Nothing is left to resume: what was said of a run that was gone on with.
fn nothing_is_left(shop: &Shop) {
    let again = shop.run(&RESUME).ok();
    assert!(again.stderr.contains("nothing: run") && again.stderr.contains("ended well"), "{}", again.screen());
}

/// The helm of a killed run did the rest before anybody looked. The run was unfinished for ever.
#[test]
fn a_run_whose_helm_did_the_rest_is_ended_by_resuming_it() {
    let shop = Shop::locked();
    killed_beside_helm(&shop);
    fs::remove_file(shop.fake("hang/store")).unwrap();
    until("helm has done it", || status(&shop, "store") == "deployed");
    shop.forget_calls();
    let output = shop.run(&RESUME).ok();
    assert!(
        output.stderr.contains("0 of 1 done; in the middle of: store\n      Plan  1 unchanged"),
        "{}",
        output.screen()
    );
    assert_eq!(shop.changing_calls(), Vec::<String>::new());
    nothing_is_left(&shop);
}

/// The journal in the cluster is some seconds old: a release that had not begun in it may be at work all the same, and whoever
/// takes the lease over waits as long as that may take. It was a minute, whatever the release's timeout.
#[test]
fn what_has_not_begun_has_its_time_in_the_journal() {
    let shop = Shop::locked();
    kill_process(killed_at_work(&shop, "store", "store", &APPLY), Signal::KILL).unwrap();
    waiting_have_their_time(&local(&shop)[0], 90);
    // The same of what is removed.
    let shop = Shop::locked();
    shop.run(&APPLY).ok();
    let destroy = ["destroy", "-e", "prod", "--confirm", "prod"];
    kill_process(killed_at_work(&shop, "uninstall-web", "web", &destroy), Signal::KILL).unwrap();
    waiting_have_their_time(&local(&shop)[0], 90);
}

#[track_caller]
fn waiting_have_their_time(journal: &Value, seconds: u64) {
    let waiting: Vec<&Value> =
        journal["releases"].as_array().unwrap().iter().filter(|entry| entry["state"] == "waiting").collect();
    assert!(!waiting.is_empty(), "{journal:#}");
    assert!(waiting.iter().all(|entry| entry["atMostSeconds"].as_u64() >= Some(seconds)), "{journal:#}");
}

/// The cluster shows nothing of a helm but a pending record: it is waited for, by the journal's pid.
#[test]
fn a_helm_that_outlives_its_run_is_waited_for() {
    let shop = Shop::locked();
    killed_beside_helm(&shop);
    assert_eq!(status(&shop, "store"), "pending-install");
    let output = again(&shop, "store", &RESUME).exits(0);
    assert!(output.stderr.contains("left at work on store"), "{}", output.screen());
    assert_eq!((status(&shop, "store"), shop.upgraded()), ("deployed".to_owned(), vec!["store".to_owned()]));
    nothing_is_left(&shop);
    let history = shop.run(&["history", "-e", "prod"]).ok();
    assert!(history.stdout.contains("  killed  ") && !history.stdout.contains("running"), "{}", history.screen());
}

/// Both are killed: what the run left pending is unlocked on request, and by no plain apply.
#[test]
fn what_a_killed_run_left_pending_is_unlocked_when_it_is_resumed() {
    let shop = Shop::locked();
    let helm = killed_beside_helm(&shop);
    kill_process(helm, Signal::KILL).unwrap();
    fs::remove_file(shop.fake("hang/store")).unwrap();
    let refused = shop.run(&APPLY).exits(4);
    assert!(refused.stderr.contains("error[E0403]"), "{}", refused.screen());
    assert_screen!(shop.path(), "both_killed", shop.run(&RESUME).ok().screen());
    assert_eq!(status(&shop, "store"), "deployed");
    nothing_is_left(&shop);
}

/// helm is killed in the middle of its work: only its record knows.
#[test]
fn a_helm_that_was_killed_in_the_middle_is_told() {
    let shop = Shop::locked();
    put(&shop.fake("kill/store"), "");
    assert_screen!(shop.path(), "helm_killed", shop.run(&APPLY).exits(1).screen());
    assert_eq!(status(&shop, "store"), "pending-install");
    fs::remove_file(shop.fake("kill/store")).unwrap();
    let refused = shop.run(&APPLY).exits(4);
    assert!(refused.stderr.contains("error[E0403]"), "never silently\n{}", refused.screen());
    shop.run(&RESUME).ok();
    assert!(["queue", "store", "api", "jobs", "web"].iter().all(|name| status(&shop, name) == "deployed"));
    nothing_is_left(&shop);
}

/// Killed before it wrote anything, it was called a failure of helm's, with its whole help.
#[test]
fn a_helm_that_was_killed_before_it_began_leaves_nothing() {
    let shop = Shop::locked();
    put(&shop.fake("kill/early-store"), "");
    assert_screen!(shop.path(), "helm_killed_early", shop.run(&STORE).exits(1).screen());
    assert_eq!(status(&shop, "store"), "");
    fs::remove_file(shop.fake("kill/early-store")).unwrap();
    shop.run(&STORE).ok();
    assert_eq!(status(&shop, "store"), "deployed");
}

/// helm can't write how it ended: this run knows that nobody else is at work, and puts it right itself.
#[test]
fn what_the_absence_of_the_api_server_left_pending_is_put_right_in_the_same_run() {
    let shop = Shop::locked();
    for round in ["an installation", "an upgrade"] {
        put(&shop.fake("gone/store"), "");
        put(&shop.file("environments/prod/releases/store.yaml"), format!("round: {round}\n"));
        shop.forget_calls();
        let output = shop.run(&[&STORE[..], &["-v"]].concat()).ok();
        assert!(output.stderr.contains("the API server does not answer as it should"), "{}", output.screen());
        assert_eq!((status(&shop, "store"), shop.upgraded().len()), ("deployed".to_owned(), 2), "{round}");
        let wrote = shop
            .calls()
            .iter()
            .filter(|call| call.contains("replace --raw") && call.contains("release.v1.store"))
            .count();
        assert_eq!(wrote, 1, "its record is marked as failed before it is tried again: {round}");
    }
}

/// A resumed run has the flags and the selection that it had.
#[test]
fn a_resumed_run_keeps_its_flags() {
    let shop = Shop::locked();
    put(&shop.fake("kill/web"), "");
    shop.run(&["apply", "-e", "prod", "-l", "name=web", "--skip-needs"]).exits(1);
    fs::remove_file(shop.fake("kill/web")).unwrap();
    shop.forget_calls();
    shop.run(&RESUME).ok();
    assert_eq!(shop.upgraded(), ["web"], "what it needs is not there, and was not insisted on");
}

/// What is no apply is not gone on with by one.
#[test]
fn a_removal_that_failed_is_not_resumed_by_apply() {
    let shop = Shop::locked();
    shop.run(&APPLY).ok();
    put(&shop.fake("fail/uninstall-web"), "Error: no\n");
    shop.run(&["destroy", "-e", "prod", "--confirm", "prod", "-l", "name=web"]).exits(1);
    shop.forget_calls();
    assert_screen!(shop.path(), "not_resumed", shop.run(&RESUME).exits(4).screen());
    assert_eq!(shop.changing_calls(), Vec::<String>::new());
}

/// The helm of a killed removal has removed its release before the next one comes to it. It was taken for somebody else's
/// doing, and its claims stayed.
#[test]
fn a_killed_removal_is_gone_on_with() {
    let shop = Shop::locked();
    shop.run(&APPLY).ok();
    let claim = r#"{"items": [{"metadata": {"name": "disk", "labels": {"app.kubernetes.io/instance": "web"}}}]}"#;
    put(&shop.fake("claims-shop"), claim);
    let destroy = ["destroy", "-e", "prod", "--confirm", "prod", "--delete-pvcs", "web"];
    killed_at_work(&shop, "uninstall-web", "web", &destroy);
    let output = again(&shop, "uninstall-web", &destroy).exits(0);
    assert!(output.stderr.contains("4 of 4"), "jobs were gone before\n{}", output.screen());
    assert_eq!(read(&shop.fake("records")), "");
    let deleted = |call: &String| call.starts_with("kubectl delete persistentvolumeclaim disk --namespace=shop");
    assert!(shop.calls().iter().any(deleted), "{:?}", shop.calls());
}

/// The same of a rollback: what its helm did is looked at again.
#[test]
fn a_killed_rollback_is_gone_on_with() {
    let shop = Shop::locked();
    let first = next(&shop, &APPLY);
    for release in ["web", "store"] {
        put(&shop.file(&format!("environments/prod/releases/{release}.yaml")), "replicas: 7\n");
    }
    shop.run(&APPLY).ok();
    let rollback = ["rollback", "-e", "prod", "--to", &first];
    killed_at_work(&shop, "rollback-web", "web", &rollback);
    let output = again(&shop, "rollback-web", &rollback).exits(0);
    assert!(output.stderr.contains(&format!("2 of 2 to run {first}")), "{}", output.screen());
    let history = shop.run(&["history", "-e", "prod", "web"]).ok().stdout;
    let newest = history.lines().nth(1).unwrap();
    assert!(newest.contains("deployed") && !newest.ends_with(&first), "it has the rollback's own name\n{history}");
}
