//! `doctor`: the cluster compared with the definition, and recorded.

use std::fs;

use serde_json::Value;

use crate::assert_screen;
use crate::shop::{Shop, UID};
use crate::support::{put, read};

const FILE: &str = "environments/prod/capabilities.yaml";

/// A cluster that offers little.
fn cluster(shop: &Shop, version: &str) {
    put(&shop.fake("raw_version"), format!("{{\"gitVersion\": \"v{version}\"}}"));
    put(&shop.fake("raw_api"), r#"{"versions": ["v1"]}"#);
    let groups = |names: &[&str]| {
        let versions: Vec<String> =
            names.iter().map(|name| format!("{{\"versions\": [{{\"groupVersion\": \"{name}\"}}]}}")).collect();
        format!("{{\"groups\": [{}]}}", versions.join(", "))
    };
    put(&shop.fake("raw_apis"), groups(&["policy/v1", "example.org/v2", "apps/v1", "apps/v1beta2"]));
    let kinds = |names: &[&str]| {
        let all: Vec<String> = names.iter().map(|name| format!("{{\"kind\": \"{name}\"}}")).collect();
        format!("{{\"resources\": [{}]}}", all.join(", "))
    };
    put(&shop.fake("raw_api_v1"), kinds(&["Pod", "Secret", "Pod"]));
    put(&shop.fake("raw_apis_policy_v1"), kinds(&["PodDisruptionBudget"]));
    put(&shop.fake("raw_apis_example.org_v2"), kinds(&["Zoo"]));
    put(&shop.fake("raw_apis_apps_v1"), kinds(&["Scale", "Deployment"]));
    put(&shop.fake("raw_apis_apps_v1beta2"), kinds(&["Deployment"]));
}

#[test]
fn a_recording_is_sorted_and_then_nothing_differs() {
    let shop = Shop::locked();
    cluster(&shop, "1.34.4");
    let record = ["doctor", "-e", "prod", "--record"];
    assert_screen!(shop.path(), "recorded", shop.run(&record).ok().screen());
    let expected = "apiVersion: platctl.dev/v1\nkubeVersion: \"1.34.4\"\napis:\n  apps/v1: [Deployment, Scale]\n  \
        apps/v1beta2: [Deployment]\n  example.org/v2: [Zoo]\n  policy/v1: [PodDisruptionBudget]\n  v1: [Pod, Secret]\n";
    assert_eq!(read(&shop.file(FILE)), expected);
    shop.run(&record).ok();
    assert_eq!(read(&shop.file(FILE)), expected);
    assert_screen!(shop.path(), "well", shop.run(&["doctor", "-e", "prod"]).ok().screen());
    assert!(shop.changing_calls().is_empty());
}

#[test]
fn findings_say_what_to_do() {
    let shop = Shop::locked();
    cluster(&shop, "1.33.9");
    shop.edit("environments/prod/environment.yaml", "extends: base", "extends: base\ncluster: {uid: another}");
    let asks = "{{ .Capabilities.APIVersions.Has \\\"example.org/v2/Zoo\\\" }}{{ .Capabilities.APIVersions.Has \\\"batch/v1/Job\\\" }}";
    put(&shop.file("templates/apps/api/chart/templates/notes.yaml"), asks.replace('\\', ""));
    shop.run(&["lock"]).ok();
    assert_screen!(shop.path(), "findings", shop.run(&["doctor", "-e", "prod"]).exits(1).screen());
    let json: Value = serde_json::from_str(&shop.run(&["doctor", "-e", "prod", "-o", "json"]).exits(1).stdout).unwrap();
    assert_eq!(json["apiVersion"], "platctl.dev/v1");
    let checks: Vec<&str> = json["findings"].as_array().unwrap().iter().filter_map(|f| f["check"].as_str()).collect();
    assert_eq!(checks, ["guard", "kubeVersion", "capabilities", "capabilities", "capabilities"]);
}

#[test]
fn a_recording_of_another_cluster_is_refused() {
    let shop = Shop::locked();
    cluster(&shop, "1.34.4");
    shop.edit("environments/prod/environment.yaml", "extends: base", "extends: base\ncluster: {uid: another}");
    let output = shop.run(&["doctor", "-e", "prod", "--record"]).exits(4);
    assert!(output.stderr.contains("E0401"), "{}", output.stderr);
    assert!(!shop.file(FILE).exists());
    shop.edit("environments/prod/environment.yaml", "another", UID);
    shop.run(&["doctor", "-e", "prod", "--record"]).ok();
}

#[test]
fn a_server_that_is_down_is_said() {
    let shop = Shop::locked();
    cluster(&shop, "1.35.0");
    let word = "Error from server (ServiceUnavailable): the server is currently unable to handle the request\n";
    put(&shop.fake("fail/raw_apis_example.org_v2"), word);
    assert_screen!(shop.path(), "down", shop.run(&["doctor", "-e", "prod", "--record"]).exits(1).screen());
    assert!(read(&shop.file(FILE)).contains("\n  example.org/v2: []\n"));
    put(&shop.fake("fail/raw_api_v1"), word);
    assert_screen!(shop.path(), "unanswered", shop.run(&["doctor", "-e", "prod"]).exits(1).screen());
}

#[test]
fn what_answers_is_no_api_server() {
    let shop = Shop::locked();
    cluster(&shop, "1.34.4");
    put(&shop.fake("raw_apis"), "<html>log in</html>");
    assert_screen!(shop.path(), "no_api_server", shop.run(&["doctor", "-e", "prod"]).exits(1).screen());
}

#[test]
fn a_bundle_without_a_folder_can_not_be_written() {
    let shop = Shop::bundled("registry.site:5000");
    cluster(&shop, "1.34.4");
    fs::create_dir(shop.path().join("site")).unwrap();
    let bundle = shop.path().join("platform.tar");
    let site = |args: &[&str]| {
        let program = shop.platctl().folder(&shop.path().join("site"));
        program.args(args).args(["-e", "prod", "--bundle", bundle.to_str().unwrap()]).run()
    };
    assert_screen!(shop.path(), "bundle", site(&["doctor", "--record"]).exits(64).screen());
    assert!(
        site(&["doctor"]).exits(1).stdout.contains("the cluster lacks what platctl's table of Kubernetes 1.34 has")
    );
}

#[test]
fn before_the_first_lock_the_kubectl_on_path_records() {
    let shop = Shop::new();
    shop.edit("environments/base/environment.yaml", "kubeVersion: \"1.34.4\"", "kubeVersion: \"1.99.0\"");
    cluster(&shop, "1.99.0");
    shop.run(&["lock"]).exits(1);
    let bin = shop.path().join("bin");
    fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(crate::support::root().join("tests/support/fakes/kubectl"), bin.join("kubectl"))
        .unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let record = shop.platctl().env("PATH", path).args(["doctor", "-e", "prod", "--record"]).run();
    assert!(record.ok().stderr.contains("the one on PATH"));
    shop.run(&["lock", "-e", "prod"]).ok();
}
