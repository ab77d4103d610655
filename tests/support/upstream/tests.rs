//! Owns the tests of the mini-upstream itself: that it is always the same, keeps to the protocols, and goes wrong
//! just as told.

mod charts;
mod faults;
mod images;
mod plain;

use std::fs;
use std::path::{Path, PathBuf};

use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, Response};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::upstream::{Result, Upstream, UpstreamConfig};

const SETTINGS: &str = "
repositories:
- {url: https://charts.min.io/, charts: [minio], urls: absolute}
- {url: https://charts.example.com/stable, charts: [minio, minio-old]}
- {url: https://community.example.com, charts: [minio], urls: https://github.example.com/releases/download/}
- {url: oci://quay.io/jetstack/charts, charts: [cert-manager]}
tools: {helm: 4.3.1, kubectl: 1.34.4, sops: 3.13.3}
images:
- {ref: 'nvcr.io/nvidia/driver:580', layers: [1MiB, 70000]}
- {ref: quay.io/minio/mc, single: true}
- {ref: docker.io/library/old, docker: true, platforms: [linux/amd64, linux/arm/v7]}
";

/// A running upstream over a folder of its own.
struct Rig {
    upstream: Upstream,
    client: Client,
    home: TempDir,
}

impl Rig {
    async fn new() -> Result<Rig> {
        let home = TempDir::new()?;
        put_chart(&home.path().join("charts/minio"), "minio", "5.4.0", "a")?;
        put_chart(&home.path().join("charts/minio-old"), "minio", "5.10.0-rc.1", "a")?;
        put_chart(&home.path().join("charts/cert-manager"), "cert-manager", "v1.21.1+build.7", "a")?;
        put(&home.path().join("files/example.com/some/model.bin"), "a model")?;
        for tool in ["helm", "kubectl", "sops"] {
            put(&home.path().join("bin").join(tool), &format!("the program {tool}"))?;
        }
        put(&home.path().join("upstream.yaml"), SETTINGS)?;
        let upstream = Upstream::start(settings(&home)).await?;
        Ok(Rig { upstream, client: Client::builder().no_proxy().build()?, home })
    }

    /// The same folder and cache, served by a new process, so to speak.
    async fn restart(&mut self) -> Result<()> {
        self.upstream = Upstream::start(settings(&self.home)).await?;
        Ok(())
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.home.path().join(inside)
    }

    fn ask(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.upstream.url()))
    }

    async fn get(&self, path: &str) -> Result<Response> {
        Ok(self.ask(path).send().await?)
    }

    async fn status(&self, path: &str) -> Result<u16> {
        Ok(self.get(path).await?.status().as_u16())
    }

    async fn bytes(&self, path: &str) -> Result<Vec<u8>> {
        Ok(self.get(path).await?.error_for_status()?.bytes().await?.to_vec())
    }

    async fn json(&self, path: &str) -> Result<serde_json::Value> {
        Ok(serde_json::from_slice(&self.bytes(path).await?)?)
    }

    async fn yaml(&self, path: &str) -> Result<serde_json::Value> {
        Ok(serde_yaml::from_slice(&self.bytes(path).await?)?)
    }
}

fn settings(home: &TempDir) -> UpstreamConfig {
    let inside = |name: &str| home.path().join(name);
    UpstreamConfig { config: inside("upstream.yaml"), tools: Some(inside("bin")), cache: inside("cache") }
}

fn put(path: &Path, text: &str) -> Result<()> {
    fs::create_dir_all(path.parent().ok_or("no folder")?)?;
    Ok(fs::write(path, text)?)
}

fn put_chart(folder: &Path, name: &str, version: &str, value: &str) -> Result<()> {
    let chart = format!("apiVersion: v2\nname: {name}\nversion: {version}\nappVersion: \"1.10\"\n");
    put(&folder.join("Chart.yaml"), &chart)?;
    put(&folder.join("values.yaml"), &format!("value: {value}\n"))?;
    put(&folder.join("templates/map.yaml"), "kind: ConfigMap\n")
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
