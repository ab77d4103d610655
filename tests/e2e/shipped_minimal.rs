//! The smallest platform that ships, on a cluster of its own: what it shares with the whole one has the same namespaces.

use tempfile::TempDir;

use crate::rig::Rig;
use crate::shipped::{shipped, site};
use crate::support::{copy_folder, put};

#[test]
fn the_minimal_platform() {
    let rig = Rig::start();
    let folder = TempDir::new().unwrap();
    copy_folder(&shipped().platform(), &folder.path().join("platform"));
    put(&folder.path().join("platform/environments/small/environment.yaml"), site(&rig, "rig-minimal"));
    let run = |args: &[&str]| {
        let program = rig.platctl(folder.path()).folder(&folder.path().join("platform"));
        program.env("SOPS_AGE_KEY_FILE", shipped().key()).args(args).run()
    };
    run(&["lock", "-e", "small"]).ok();
    run(&["secrets", "generate", "-e", "small"]).ok();
    run(&["apply", "-e", "small"]).ok();
    let releases = [("databases", "postgresql"), ("minio", "minio"), ("mlflow", "mlflow"), ("mlflow", "mlflow-users")];
    for (namespace, release) in releases {
        assert_eq!(rig.states(namespace).get(release).map(String::as_str), Some("deployed"), "{release}");
    }
    let namespaces = rig.kubectl(&["get", "namespaces", "--output=name"]);
    for elsewhere in ["monitoring", "cert-manager", "gpu-operator", "kubeflow-trainer"] {
        assert!(!namespaces.contains(&format!("namespace/{elsewhere}\n")), "{namespaces}");
    }
    let again = run(&["apply", "-e", "small"]).ok();
    assert!(again.stderr.contains("unchanged") && !again.stderr.contains("install"), "{}", again.screen());
}
