//! For unit tests: contents of a small bundle, with a registry that has its images.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;

use super::{Bundle, Chart, Contents, Error, Image, Layout, Places, Tool, Written, gather, write};
use crate::digest::Digest;
use crate::image::Platform;
use crate::layout::{Descriptor, Index, Manifest, media};
use crate::net::fake::{Fake, Reply, Request, client, noise};
use crate::net::{Client, Mirrors};

pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// What a registry has, by path below `/v2/`.
pub(crate) type Upstream = BTreeMap<String, (String, Vec<u8>)>;

pub(crate) struct Rig {
    pub dir: TempDir,
    pub contents: Contents,
    pub server: Fake,
    pub client: Client,
}

impl Rig {
    /// A rig whose registry answers with `fault`, where it gives one, in place of what it has.
    pub fn new(fault: impl Fn(&Request, usize) -> Option<Reply> + Send + Sync + 'static) -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let (upstream, images) = images();
        let contents = contents(&dir, images);
        let upstream = Arc::new(upstream);
        let server =
            Fake::start(move |request, number| fault(request, number).unwrap_or_else(|| answer(&upstream, request)));
        let rule = format!("*=http://{}", server.address);
        let client = client(|settings| settings.mirrors = Mirrors::parse([rule]).unwrap());
        Rig { dir, contents, server, client }
    }

    pub fn plain() -> Rig {
        Rig::new(|_, _| None)
    }

    pub fn output(&self) -> PathBuf {
        self.dir.path().join("platform.tar")
    }

    pub async fn layout(&self) -> Layout {
        gather(self.contents.clone(), &self.client, 4, &|_| {}).await.unwrap()
    }

    pub async fn write(&self) -> Result<Written, Error> {
        write(&self.layout().await, &self.output(), &self.client, 3, &|_| {}).await
    }

    /// A bundle that was written.
    pub async fn bundle(&self) -> Bundle {
        self.write().await.unwrap();
        Bundle::open(&self.output()).unwrap()
    }
}

/// The answer of a registry that has it, ranges included.
pub(crate) fn answer(upstream: &Upstream, request: &Request) -> Reply {
    let found = request.path.strip_prefix("/v2/").and_then(|path| upstream.get(path));
    match found {
        Some((kind, bytes)) => request.ranged(bytes).header("content-type", kind.clone()),
        None => Reply::new(404),
    }
}

fn contents(dir: &TempDir, images: Vec<Image>) -> Contents {
    let put = |name: &str, bytes: &[u8]| {
        std::fs::write(dir.path().join(name), bytes).unwrap();
        (dir.path().join(name), Digest::of(bytes))
    };
    let (platctl, _) = put("binary", &noise(70_001));
    let (chart, chart_digest) = put("minio.tgz", b"a chart");
    let (helm, helm_digest) = put("helm.tar.gz", &noise(5_000));
    let platform: Platform = "linux/amd64".parse().unwrap();
    let chart = Chart {
        name: "minio".into(),
        version: "5.4.0".into(),
        digest: chart_digest,
        file: chart,
        config_json: br#"{"name":"minio"}"#.to_vec(),
    };
    let tool = Tool {
        name: "helm".into(),
        version: "4.3.1".into(),
        platform: platform.clone(),
        digest: helm_digest,
        file: helm,
        title: "helm-v4.3.1-linux-amd64.tar.gz".into(),
    };
    Contents {
        environment: "prod".into(),
        definition: b"a tar of the definition".to_vec(),
        platctl,
        platctl_platform: platform,
        charts: vec![chart],
        tools: vec![tool],
        images,
        extras: Vec::new(),
        places: Places::default(),
    }
}

/// Two images of one platform that share a layer, the second of Docker's kind, and one of two platforms.
fn images() -> (Upstream, Vec<Image>) {
    let mut upstream = Upstream::new();
    let base = noise(300_000);
    let own = |n: u8| vec![n; 40_000 + usize::from(n)];
    let one = image(&mut upstream, "quay.io/team/a", "1", &[("linux/amd64", vec![base.clone(), own(1)])]);
    let docker = [media::DOCKER_INDEX, media::DOCKER_MANIFEST];
    let two = image_as(&mut upstream, docker, "docker.io/library/b", "2", &[("linux/amd64", vec![base, own(2)])]);
    let platforms = [("linux/arm64", vec![own(3)]), ("linux/amd64", vec![own(4)])];
    let three = image(&mut upstream, "quay.io/team/c", "3", &platforms);
    (upstream, vec![one, two, three])
}

/// Puts an image with an index into a registry.
pub(crate) fn image(upstream: &mut Upstream, name: &str, tag: &str, of: &[(&str, Vec<Vec<u8>>)]) -> Image {
    image_as(upstream, [media::INDEX, media::MANIFEST], name, tag, of)
}

/// The same with the media types of index and manifest.
pub(crate) fn image_as(
    upstream: &mut Upstream,
    [index_kind, kind]: [&str; 2],
    name: &str,
    tag: &str,
    of: &[(&str, Vec<Vec<u8>>)],
) -> Image {
    let mut children = Vec::new();
    let mut platforms = BTreeMap::new();
    for (text, layers) in of {
        let platform: Platform = text.parse().unwrap();
        let mut blob = |kind: &str, bytes: &[u8]| {
            let descriptor = Descriptor::of(kind, bytes);
            upstream.insert(format!("{name}/blobs/{}", descriptor.digest), (kind.to_owned(), bytes.to_vec()));
            descriptor
        };
        let config = blob(CONFIG, format!(r#"{{"os":"linux","of":"{name} {text}"}}"#).as_bytes());
        let layers = layers.iter().map(|layer| blob(LAYER, layer)).collect();
        let media_type = Some(kind.to_owned());
        let manifest =
            Manifest { schema_version: 2, media_type, artifact_type: None, config, layers, annotations: [].into() };
        let mut child = document(upstream, name, kind, &manifest);
        child.platform = Some((&platform).into());
        platforms.insert(platform, child.digest);
        children.push(child);
    }
    let media_type = Some(index_kind.to_owned());
    let index = Index { schema_version: 2, media_type, manifests: children, annotations: [].into() };
    let digest = document(upstream, name, index_kind, &index).digest;
    Image { reference: format!("{name}:{tag}").parse().unwrap(), digest, platforms }
}

pub(crate) fn document(upstream: &mut Upstream, name: &str, kind: &str, value: &impl serde::Serialize) -> Descriptor {
    let bytes = serde_json::to_vec(value).unwrap();
    let descriptor = Descriptor::of(kind, &bytes);
    upstream.insert(format!("{name}/manifests/{}", descriptor.digest), (kind.to_owned(), bytes));
    descriptor
}
