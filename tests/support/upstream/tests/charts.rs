//! Chart repositories, over HTTP and as OCI artifacts.

use std::fs;
use std::io::Read;

use flate2::read::GzDecoder;

use super::{Rig, header, put, put_chart, sha256};
use crate::upstream::{Repository, Result, Settings, Upstream};

const CHART: &str = "/v2/quay.io/jetstack/charts/cert-manager";

#[tokio::test]
async fn an_index_says_where_archives_are_and_what_they_hash_to() -> Result<()> {
    let rig = Rig::new().await?;
    let homes = [
        ("charts.min.io", "https://charts.min.io/minio-5.4.0.tgz", "/charts.min.io/minio-5.4.0.tgz"),
        ("charts.example.com/stable", "minio-5.4.0.tgz", "/charts.example.com/stable/minio-5.4.0.tgz"),
        (
            "community.example.com",
            "https://github.example.com/releases/download/minio-5.4.0.tgz",
            "/github.example.com/releases/download/minio-5.4.0.tgz",
        ),
    ];
    for (home, url, path) in homes {
        let index = rig.yaml(&format!("/{home}/index.yaml")).await?;
        let all = index["entries"]["minio"].as_array().ok_or("no entry")?;
        let entry = all.iter().find(|entry| entry["version"] == "5.4.0").ok_or("no version")?;
        assert_eq!(index["apiVersion"], "v1");
        assert_eq!(entry["urls"][0], url);
        assert_eq!(entry["appVersion"], "1.10", "text stays text");
        assert_eq!(entry["digest"], sha256(&rig.bytes(path).await?));
    }
    Ok(())
}

#[tokio::test]
async fn the_newest_version_comes_first() -> Result<()> {
    let rig = Rig::new().await?;
    let index = rig.yaml("/charts.example.com/stable/index.yaml").await?;
    let versions: Vec<_> = index["entries"]["minio"].as_array().ok_or("none")?.iter().map(|e| &e["version"]).collect();
    assert_eq!(versions, ["5.10.0-rc.1", "5.4.0"]);
    Ok(())
}

#[tokio::test]
async fn archives_are_plain_and_always_the_same() -> Result<()> {
    let (one, other) = (Rig::new().await?, Rig::new().await?);
    let archive = one.bytes("/charts.min.io/minio-5.4.0.tgz").await?;
    assert_eq!(archive, other.bytes("/charts.min.io/minio-5.4.0.tgz").await?);
    assert_eq!(archive[4..8], [0; 4], "no time in the gzip header");
    let mut names = Vec::new();
    for entry in tar::Archive::new(GzDecoder::new(archive.as_slice())).entries()? {
        let entry = entry?;
        let head = entry.header();
        assert_eq!((head.mtime()?, head.uid()?, head.gid()?, head.mode()?), (0, 0, 0, 0o644));
        names.push(entry.path()?.display().to_string());
    }
    assert_eq!(names, ["minio/Chart.yaml", "minio/templates/map.yaml", "minio/values.yaml"]);
    Ok(())
}

#[tokio::test]
async fn an_oci_chart_is_what_helm_pushes() -> Result<()> {
    let rig = Rig::new().await?;
    let reply = rig.get(&format!("{CHART}/manifests/v1.21.1_build.7")).await?;
    assert_eq!(header(reply.headers(), "content-type"), "application/vnd.oci.image.manifest.v1+json");
    let digest = header(reply.headers(), "docker-content-digest").to_owned();
    let bytes = reply.bytes().await?;
    assert_eq!(digest, format!("sha256:{}", sha256(&bytes)));
    let manifest: serde_json::Value = serde_json::from_slice(&bytes)?;
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.cncf.helm.config.v1+json");
    let layer = &manifest["layers"][0];
    assert_eq!(layer["mediaType"], "application/vnd.cncf.helm.chart.content.v1.tar+gzip");
    let archive = rig.bytes(&format!("{CHART}/blobs/{}", layer["digest"].as_str().ok_or("none")?)).await?;
    let mut first = String::new();
    let mut tar = tar::Archive::new(GzDecoder::new(archive.as_slice()));
    tar.entries()?.next().ok_or("empty")??.read_to_string(&mut first)?;
    assert!(first.contains("name: cert-manager"));
    assert_eq!(rig.json(&format!("{CHART}/tags/list")).await?["tags"][0], "v1.21.1_build.7");
    assert_eq!(rig.status(&format!("{CHART}/manifests/v9.9.9")).await?, 404);
    assert_eq!(rig.status("/v2/quay.io/jetstack/charts/other/manifests/v1").await?, 404);
    Ok(())
}

#[tokio::test]
async fn changed_files_are_a_changed_chart() -> Result<()> {
    let rig = Rig::new().await?;
    let before = rig.bytes("/charts.min.io/minio-5.4.0.tgz").await?;
    put(&rig.path("charts/minio/values.yaml"), "value: b\n")?;
    let after = rig.bytes("/charts.min.io/minio-5.4.0.tgz").await?;
    assert_ne!(before, after);
    put(&rig.path("upstream.yaml"), "repositories: [{url: https://charts.min.io, charts: [minio-old]}]")?;
    assert_eq!(rig.status("/charts.min.io/minio-5.4.0.tgz").await?, 404);
    assert_eq!(rig.status("/charts.min.io/minio-5.10.0-rc.1.tgz").await?, 200);
    put(&rig.path("upstream.yaml"), "repositorys: []")?;
    let reply = rig.get("/charts.min.io/index.yaml").await?;
    assert_eq!(reply.status(), 500);
    assert!(reply.text().await?.contains("repositorys"), "a mistake in the settings is told");
    Ok(())
}

#[tokio::test]
async fn a_chart_is_put_in_place_of_its_version() -> Result<()> {
    let rig = Rig::new().await?;
    let old = rig.get(&format!("{CHART}/manifests/v1.21.1_build.7")).await?;
    let old = header(old.headers(), "docker-content-digest").to_owned();
    put_chart(&rig.path("new"), "cert-manager", "v1.21.1+build.7", "changed")?;
    let digest = rig.upstream.put_chart("oci://quay.io/jetstack/charts", &rig.path("new"))?;
    let manifest = rig.json(&format!("{CHART}/manifests/v1.21.1_build.7")).await?;
    assert_eq!(manifest["layers"][0]["digest"], format!("sha256:{digest}"));
    assert_eq!(rig.status(&format!("{CHART}/manifests/{old}")).await?, 200, "its old digest stays");

    put_chart(&rig.path("new"), "minio", "6.0.0", "a")?;
    let digest = rig.upstream.put_chart("https://new.example.com/charts/", &rig.path("new"))?;
    let index = rig.yaml("/new.example.com/charts/index.yaml").await?;
    assert_eq!(index["entries"]["minio"][0]["digest"], digest);
    Ok(())
}

#[tokio::test]
async fn settings_may_be_built_in_code() -> Result<()> {
    let rig = Rig::new().await?;
    let repository = Repository {
        url: "https://here.example.com".to_owned(),
        charts: vec!["minio".to_owned()],
        ..Repository::default()
    };
    let settings = Settings { repositories: vec![repository], charts: rig.path("charts"), ..Settings::default() };
    let upstream = Upstream::with(settings, None, &rig.path("cache"))?;
    let url = format!("{}/here.example.com/minio-5.4.0.tgz", upstream.url());
    assert_eq!(rig.client.get(url).send().await?.status(), 200);
    fs::remove_dir_all(rig.path("charts/minio"))?;
    let url = format!("{}/here.example.com/index.yaml", upstream.url());
    let reply = rig.client.get(url).send().await?.text().await?;
    assert!(reply.contains("chart folder"), "{reply}");
    Ok(())
}
