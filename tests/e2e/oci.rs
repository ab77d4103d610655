//! A chart that lies in a real registry.

use crate::platform::Small;
use crate::rig::rig;
use crate::support::read;

#[test]
fn a_chart_from_a_real_registry() {
    let small = Small::new("from-oci").release("one", "app", "");
    let (chart, packed) = (small.path("templates/one/app/chart"), small.folder().join("packed"));
    small.edit("templates/one/app/chart/Chart.yaml", "1.0.0", "1.0.0+build.7");
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    rig().helm(&["package", &text(&chart), "--destination", &text(&packed)]);
    let registry = &rig().registry;
    let archive = text(&packed.join("app-1.0.0+build.7.tgz"));
    rig().helm(&["push", &archive, &format!("oci://{registry}/charts"), "--plain-http"]);
    small.edit(
        "templates/one/app/release.yaml",
        "{path: ./chart}",
        "{repository: \"oci://charts.example.org/team\", name: app, version: 1.0.0+build.7}",
    );
    std::fs::remove_dir_all(chart).unwrap();
    small.run(&["lock", "--mirror", &format!("oci://charts.example.org/team=http://{registry}/charts")]).ok();
    let lock = read(&small.path("charts-lock.yaml"));
    assert!(lock.contains("url: oci://charts.example.org/team/app:1.0.0_build.7"), "{lock}");
    assert!(!lock.contains(registry), "the mirror leaves no trace in the lock");
    small.apply().ok();
    assert_eq!(small.states(), [("app".to_owned(), "deployed".to_owned())]);
    let status = small.run(&["status", "-e", "site"]).ok();
    assert!(status.stdout.contains("1.0.0"), "{}", status.screen());
}
