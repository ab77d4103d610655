//! What a user sees who made a mistake in a file or on the command line.

use crate::assert_screen;
use crate::shop::Shop;

/// Changes one thing in the platform, and compares what `lock` says of it.
fn mistake(name: &str, change: impl FnOnce(&Shop)) {
    let shop = Shop::new();
    change(&shop);
    let output = shop.run(&["lock"]).exits(1);
    assert_eq!(output.stdout, "");
    assert!(shop.upstream.requests().is_empty(), "a wrong definition is found before anything is fetched");
    assert!(!shop.file("charts-lock.yaml").exists());
    assert_screen!(shop.path(), name, output.screen());
}

const STORE: &str = "templates/base/store/release.yaml";
const WEB: &str = "templates/apps/web/release.yaml";

#[test]
fn files_that_are_no_yaml() {
    mistake("duplicate_key", |shop| shop.add("environments/prod/values.yaml", "replicas: 4\n"));
    mistake("syntax_error", |shop| shop.add("templates/base/store/values.yaml", "x: [1, 2\ny: 3\n"));
    mistake("unquoted_version", |shop| shop.edit("environments/base/environment.yaml", "\"1.34.4\"", "1.34"));
    mistake("not_a_map", |shop| std::fs::write(shop.file("environments/prod/values.yaml"), "- a\n").unwrap());
}

#[test]
fn keys_and_types() {
    mistake("unknown_key", |shop| shop.add(STORE, "namspace: data\n"));
    mistake("unknown_key_below", |shop| shop.edit("environments/prod/environment.yaml", "prefix", "prefx"));
    mistake("wrong_type", |shop| shop.edit(WEB, "needs: [api, store]", "needs: api"));
    mistake("wrong_duration", |shop| shop.edit(WEB, "2m", "2 minutes"));
    mistake("no_exact_version", |shop| shop.edit(STORE, "1.2.0", "^1.2"));
    mistake("wrong_api_version", |shop| shop.edit(STORE, "platctl.dev/v1", "platctl.dev/v2"));
    mistake("no_namespace", |shop| shop.edit(STORE, "namespace: data\n", ""));
    mistake("bad_reference", |shop| shop.edit("templates/apps/jobs/release.yaml", "runner:7", "Runner:7"));
    mistake("old_helm", |shop| shop.edit("environments/base/environment.yaml", "helm: 4.3.1", "helm: 3.19.0"));
}

#[test]
fn files_that_are_missing() {
    mistake("no_tier_file", |shop| std::fs::remove_file(shop.file("templates/apps/tier.yaml")).unwrap());
    mistake("no_release_file", |shop| std::fs::remove_file(shop.file("templates/apps/api/release.yaml")).unwrap());
    mistake("no_parent", |shop| shop.edit("environments/prod/environment.yaml", "extends: base", "extends: bse"));
}

#[test]
fn releases_that_do_not_fit_together() {
    mistake("needs_cycle", |shop| shop.add("templates/apps/api/release.yaml", "needs: [web]\n"));
    mistake("needs_later_tier", |shop| shop.add(STORE, "needs: [web]\n"));
    mistake("needs_switched_off", |shop| shop.edit("environments/test/environment.yaml", "jobs", "api"));
    mistake("two_of_one_name", |shop| {
        crate::support::copy_folder(&shop.file("templates/base/store"), &shop.file("templates/apps/store"));
    });
    mistake("switches_nothing", |shop| shop.edit("environments/test/environment.yaml", "jobs", "job"));
    mistake("extends_itself", |shop| shop.add("environments/base/environment.yaml", "extends: prod\n"));
}

#[test]
fn templates() {
    mistake("undefined_name", |shop| shop.edit("templates/apps/api/values.yaml", "values.domain", "values.domian"));
    mistake("template_syntax", |shop| {
        shop.edit("templates/apps/api/values.yaml", "values.domain }}", "values.domain }")
    });
    mistake("values_cycle", |shop| {
        shop.edit("environments/base/values.yaml", "shop.local", "\"{{ values.host }}\"");
        shop.edit("environments/prod/values.yaml", "domain: shop.example.org", "x: 1");
        shop.add("environments/base/values.yaml", "host: \"x.{{ values.domain }}\"\n");
    });
}

#[test]
fn every_mistake_is_told_at_once() {
    mistake("several", |shop| {
        shop.add(STORE, "namspace: data\n");
        shop.edit(WEB, "needs: [api, store]", "needs: [apy, store]");
        shop.edit("templates/apps/api/values.yaml", "values.domain", "values.domian");
    });
}

#[test]
fn a_damaged_lock() {
    let shop = Shop::locked();
    let text = shop.lock_text();
    for (name, from, to) in [
        ("lock_digest", "digest: sha256:", "digest: sha512:"),
        ("lock_conflict", "charts:\n", "<<<<<<< HEAD\ncharts:\n"),
        ("lock_unknown_key", "  platforms:", "  platform:"),
        ("lock_version", "platctl.dev/v1", "platctl.dev/v9"),
    ] {
        crate::support::put(&shop.file("charts-lock.yaml"), text.replacen(from, to, 1));
        assert_screen!(shop.path(), name, shop.run(&["lock", "--check"]).exits(1).screen());
    }
    assert!(shop.calls().is_empty());
}

/// Runs one command in a locked shop and compares what it says.
fn command(name: &str, args: &[&str], code: i32) {
    let shop = Shop::locked();
    let output = shop.run(args).exits(code);
    assert!(shop.calls().is_empty(), "{:?}", shop.calls());
    assert_screen!(shop.path(), name, output.screen());
}

#[test]
fn environments_and_selectors() {
    command("no_environment", &["plan"], 64);
    command("unknown_environment", &["plan", "-e", "porod"], 1);
    command("abstract_environment", &["plan", "-e", "base"], 1);
    command("selector_nothing", &["apply", "-e", "prod", "-l", "name=wbe"], 3);
    command("selector_wrong", &["apply", "-e", "prod", "-l", "wbe"], 64);
}

#[test]
fn the_command_line() {
    command("unknown_flag", &["apply", "--frce"], 64);
    command("unknown_verb", &["aply"], 64);
    command("no_output", &["bundle", "-e", "prod"], 64);
    command("quiet_and_verbose", &["lock", "-q", "-v"], 64);
    command("bad_mirror", &["lock", "--mirror", "docker.io"], 64);
    command("no_ca_file", &["lock", "--ca-file", "ca.pem"], 1);
    command("version", &["version"], 0);
    command("help", &["--help"], 0);
    command("help_apply", &["apply", "--help"], 0);
}

#[test]
fn places_without_a_definition() {
    let shop = Shop::locked();
    let run = |args: &[&str]| shop.platctl().folder(shop.path()).args(args).run();
    assert_screen!(shop.path(), "no_definition", run(&["plan", "-e", "prod"]).exits(1).screen());
    assert_screen!(shop.path(), "no_definition_there", run(&["-C", "nowhere", "plan", "-e", "prod"]).exits(1).screen());
    assert_screen!(shop.path(), "no_bundle", run(&["--bundle", "no.tar", "plan", "-e", "prod"]).exits(1).screen());
    let elsewhere = run(&["-C", "platform", "lock", "--check"]).ok();
    assert!(elsewhere.stderr.contains("unchanged"), "{}", elsewhere.screen());
}
