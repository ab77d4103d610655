//! The registry and the images that it makes up.

use std::io::Read;

use flate2::read::GzDecoder;
use serde_json::Value;

use super::{Rig, header, put, sha256};
use crate::upstream::Result;

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Reads what a descriptor speaks of, and checks that it speaks the truth.
async fn follow(rig: &Rig, name: &str, kind: &str, descriptor: &Value) -> Result<Vec<u8>> {
    let bytes = rig.bytes(&format!("/v2/{name}/{kind}/{}", text(descriptor, "digest"))).await?;
    assert_eq!(text(descriptor, "digest"), format!("sha256:{}", sha256(&bytes)));
    assert_eq!(descriptor["size"], bytes.len());
    Ok(bytes)
}

/// Reads a whole image; the digests of its platforms' layers.
async fn image(rig: &Rig, name: &str, tag: &str) -> Result<Vec<Vec<String>>> {
    let index = rig.json(&format!("/v2/{name}/manifests/{tag}")).await?;
    let mut all = Vec::new();
    for child in list(&index["manifests"]) {
        let manifest: Value = serde_json::from_slice(&follow(rig, name, "manifests", child).await?)?;
        if child["platform"]["os"] != "unknown" {
            all.push(platform(rig, name, child, &manifest).await?);
        }
    }
    Ok(all)
}

async fn platform(rig: &Rig, name: &str, child: &Value, manifest: &Value) -> Result<Vec<String>> {
    let config: Value = serde_json::from_slice(&follow(rig, name, "blobs", &manifest["config"]).await?)?;
    assert_eq!(config["architecture"], child["platform"]["architecture"]);
    assert_eq!(config["os"], "linux");
    let layers = list(&manifest["layers"]);
    assert_eq!(list(&config["rootfs"]["diff_ids"]).len(), layers.len());
    for (layer, id) in layers.iter().zip(list(&config["rootfs"]["diff_ids"])) {
        let mut content = Vec::new();
        GzDecoder::new(follow(rig, name, "blobs", layer).await?.as_slice()).read_to_end(&mut content)?;
        assert_eq!(id, &format!("sha256:{}", sha256(&content)));
        assert_eq!(tar::Archive::new(content.as_slice()).entries()?.count(), 1);
    }
    Ok(layers.iter().map(|layer| text(layer, "digest").to_owned()).collect())
}

#[tokio::test]
async fn any_image_is_made_up_whole_and_its_digests_are_true() -> Result<()> {
    let rig = Rig::new().await?;
    let one = image(&rig, "ghcr.io/some/thing", "v1").await?;
    let other = image(&rig, "ghcr.io/other", "v1").await?;
    assert_eq!(one.len(), 2, "amd64 and arm64");
    for (one, other) in one.iter().zip(&other) {
        assert!((2..=4).contains(&one.len()));
        assert_eq!(one[0], other[0], "a host's images share their base");
        assert!(one[1..].iter().all(|layer| !other.contains(layer)));
    }
    assert_ne!(one[0][0], one[1][0], "platforms share nothing");
    Ok(())
}

#[tokio::test]
async fn images_are_always_the_same() -> Result<()> {
    let (rig, other) = (Rig::new().await?, Rig::new().await?);
    let path = "/v2/registry.k8s.io/pause/manifests/3.10";
    assert_eq!(rig.bytes(path).await?, other.bytes(path).await?);
    assert_ne!(rig.bytes(path).await?, rig.bytes("/v2/registry.k8s.io/pause/manifests/3.9").await?);
    Ok(())
}

#[tokio::test]
async fn some_repositories_have_attestations() -> Result<()> {
    let rig = Rig::new().await?;
    // Which ones, the hash of their names says.
    for (name, expected) in [("registry.k8s.io/a", 2), ("quay.io/x/y", 0)] {
        let index = rig.json(&format!("/v2/{name}/manifests/1")).await?;
        let children = list(&index["manifests"]);
        let unknown: Vec<_> = children.iter().filter(|child| child["platform"]["os"] == "unknown").collect();
        assert_eq!(unknown.len(), expected, "{name}");
        for child in unknown {
            assert_eq!(child["annotations"]["vnd.docker.reference.type"], "attestation-manifest");
            let subject = &child["annotations"]["vnd.docker.reference.digest"];
            assert!(children.iter().any(|child| &child["digest"] == subject));
            let manifest: Value = serde_json::from_slice(&follow(&rig, name, "manifests", child).await?)?;
            follow(&rig, name, "blobs", &manifest["config"]).await?;
            follow(&rig, name, "blobs", &manifest["layers"][0]).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn settings_shape_an_image() -> Result<()> {
    let rig = Rig::new().await?;
    let single = rig.json("/v2/quay.io/minio/mc/manifests/any").await?;
    assert_eq!(single["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
    let list_of = rig.json("/v2/docker.io/library/old/manifests/1").await?;
    assert_eq!(list_of["mediaType"], "application/vnd.docker.distribution.manifest.list.v2+json");
    assert_eq!(list_of["manifests"][1]["platform"]["variant"], "v7");
    let driver = rig.json("/v2/nvcr.io/nvidia/driver/manifests/580").await?;
    let child = follow(&rig, "nvcr.io/nvidia/driver", "manifests", &driver["manifests"][0]).await?;
    let child: Value = serde_json::from_slice(&child)?;
    let sizes: Vec<u64> = list(&child["layers"]).iter().filter_map(|layer| layer["size"].as_u64()).collect();
    assert_eq!(sizes.len(), 3, "the base comes on top");
    assert!((1 << 20..(1 << 20) + 4096).contains(&sizes[1]) && (70_000..74_096).contains(&sizes[2]));
    put(&rig.path("upstream.yaml"), "images: [{ref: quay.io/minio/mc}]")?;
    assert!(rig.json("/v2/quay.io/minio/mc/manifests/any").await?["manifests"].is_array(), "and may change its mind");
    Ok(())
}

#[tokio::test]
async fn a_digest_is_good_in_its_repository_once_made_up() -> Result<()> {
    let mut rig = Rig::new().await?;
    let reply = rig.get("/v2/ghcr.io/a/b/manifests/v1").await?;
    let digest = header(reply.headers(), "docker-content-digest").to_owned();
    assert_eq!(digest, format!("sha256:{}", sha256(&reply.bytes().await?)));
    assert_eq!(rig.status(&format!("/v2/ghcr.io/a/b/manifests/{digest}")).await?, 200);
    let nowhere = rig.get(&format!("/v2/ghcr.io/a/c/manifests/{digest}")).await?;
    assert_eq!(nowhere.status(), 404);
    assert!(nowhere.text().await?.contains("MANIFEST_UNKNOWN"));

    rig.restart().await?;
    assert_eq!(rig.status(&format!("/v2/ghcr.io/a/b/manifests/{digest}")).await?, 200, "the cache remembers tags");
    Ok(())
}

#[tokio::test]
async fn a_digest_that_the_settings_allow_for_is_found_at_once() -> Result<()> {
    let (rig, fresh) = (Rig::new().await?, Rig::new().await?);
    let index = rig.json("/v2/nvcr.io/nvidia/driver/manifests/580").await?;
    let child = text(&index["manifests"][0], "digest");
    assert_eq!(fresh.status(&format!("/v2/nvcr.io/nvidia/driver/manifests/{child}")).await?, 200);
    Ok(())
}

#[tokio::test]
async fn heads_and_ranges() -> Result<()> {
    let rig = Rig::new().await?;
    let path = "/v2/quay.io/minio/mc/manifests/1";
    let reply = rig.client.head(format!("{}{path}", rig.upstream.url())).send().await?;
    assert_eq!(header(reply.headers(), "content-length"), rig.bytes(path).await?.len().to_string());
    let manifest = rig.json(path).await?;
    let blob = format!("/v2/quay.io/minio/mc/blobs/{}", text(&manifest["layers"][1], "digest"));
    let all = rig.bytes(&blob).await?;
    let size = all.len();
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=1000-", 1000, size),
        ("bytes=-10", size - 10, size),
        ("bytes=5-99999999999", 5, size),
    ] {
        let reply = rig.ask(&blob).header("Range", range).send().await?;
        assert_eq!(reply.status(), 206, "{range}");
        let told = format!("bytes {from}-{}/{size}", to - 1);
        assert_eq!(header(reply.headers(), "content-range"), told);
        assert_eq!(reply.bytes().await?, all[from..to]);
    }
    let outside = rig.ask(&blob).header("Range", format!("bytes={size}-")).send().await?;
    assert_eq!(
        (outside.status().as_u16(), header(outside.headers(), "content-range")),
        (416, &*format!("bytes */{size}"))
    );
    for range in ["bytes=9-1", "bytes=0-1,5-6", "lines=1-2"] {
        assert_eq!(rig.ask(&blob).header("Range", range).send().await?.status(), 200, "{range}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_no_name_or_digest_is_refused() -> Result<()> {
    let rig = Rig::new().await?;
    assert_eq!(rig.status("/v2/").await?, 200);
    assert_eq!(rig.status("/v2/ghcr.io/Upper/manifests/1").await?, 400);
    assert_eq!(rig.status("/v2/alone/manifests/1").await?, 400);
    assert_eq!(rig.status("/v2/ghcr.io/a/manifests/sha256:1").await?, 400);
    assert_eq!(rig.status("/v2/ghcr.io/a/manifests/-no").await?, 400);
    assert_eq!(rig.status("/v2/ghcr.io/a/blobs/what").await?, 400);
    assert_eq!(rig.status(&format!("/v2/ghcr.io/a/blobs/sha256:{}", "0".repeat(64))).await?, 404);
    assert_eq!(rig.status(&format!("/v2/ghcr.io/a/manifests/sha256-{}.sig", "0".repeat(64))).await?, 404);
    assert_eq!(rig.status("/v2/localhost:5000/a/manifests/1").await?, 200, "a host may have a port");
    let push = rig.client.post(format!("{}/v2/ghcr.io/a/blobs/uploads/", rig.upstream.url())).send().await?;
    assert_eq!(push.status(), 405);
    Ok(())
}
