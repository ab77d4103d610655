//! Owns the making up of images: for any reference an index, manifests, configs and layers that are always the same
//! for the same reference and settings.

use hyper::body::Bytes;
use serde_json::{Value, json};

use super::Result;
use super::config::{Image, Settings};
use super::hash::{digest, number};
use super::layers::{Layer, Layers};

const CREATED: &str = "2025-01-01T00:00:00Z";
const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];

/// A manifest or an index.
#[derive(Clone, Debug)]
pub struct Document {
    pub media_type: String,
    pub digest: String,
    pub bytes: Bytes,
}

/// A config, or a layer of the cache.
#[derive(Clone, Debug)]
pub enum Blob {
    Bytes(Bytes),
    Layer(Layer),
}

/// All documents and blobs of one image.
#[derive(Debug, Default)]
pub struct Made {
    /// The digest that the tag stands for.
    pub top: String,
    pub documents: Vec<Document>,
    pub blobs: Vec<(String, Blob)>,
    /// Further tags, and what they stand for.
    pub tags: Vec<(String, String)>,
    /// What refers to the top, as the registry lists it.
    pub referrers: Vec<Value>,
}

struct Types {
    index: &'static str,
    manifest: &'static str,
    config: &'static str,
    layer: &'static str,
}

const OCI: Types = Types {
    index: "application/vnd.oci.image.index.v1+json",
    manifest: "application/vnd.oci.image.manifest.v1+json",
    config: "application/vnd.oci.image.config.v1+json",
    layer: "application/vnd.oci.image.layer.v1.tar+gzip",
};

const DOCKER: Types = Types {
    index: "application/vnd.docker.distribution.manifest.list.v2+json",
    manifest: "application/vnd.docker.distribution.manifest.v2+json",
    config: "application/vnd.docker.container.image.v1+json",
    layer: "application/vnd.docker.image.rootfs.diff.tar.gzip",
};

/// All that the bytes of an image depend on.
#[derive(Debug)]
pub struct Recipe {
    /// Host and repository.
    name: String,
    tag: String,
    platforms: Vec<String>,
    own_layers: Vec<u64>,
    single: bool,
    docker: bool,
    attested: bool,
    foreign: bool,
    manifest: Option<String>,
    noise: bool,
    /// What refers to the image.
    pub referrers: Vec<String>,
}

impl Recipe {
    pub fn new(name: &str, tag: &str, settings: &Settings) -> Recipe {
        let image = special(name, tag, settings).unwrap_or_default();
        let usual = || PLATFORMS.map(String::from).to_vec();
        let platforms = if image.platforms.is_empty() { usual() } else { image.platforms.clone() };
        let sizes: Vec<u64> = image.layers.iter().map(|size| size.0).collect();
        let own_layers = if sizes.is_empty() { usual_sizes(name, tag) } else { sizes };
        let docker = image.docker || image.single;
        let attested = !docker && number(&["attested", name]).is_multiple_of(3);
        let (name, tag) = (name.to_owned(), tag.to_owned());
        let Image { single, foreign, manifest, referrers, noise, .. } = image;
        Recipe { name, tag, platforms, own_layers, single, docker, attested, foreign, manifest, noise, referrers }
    }

    pub fn make(&self, layers: &Layers) -> Result<Made> {
        let mut made = Made::default();
        let mut children = Vec::new();
        let count = if self.single { 1 } else { self.platforms.len() };
        for platform in &self.platforms[..count] {
            children.push(self.platform(&mut made, layers, platform)?);
        }
        if self.attested {
            let attestations: Vec<Value> = children.iter().map(|child| self.attestation(&mut made, child)).collect();
            children.extend(attestations);
        }
        if !self.single {
            let media_type = self.types().index;
            let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": children});
            made.document(media_type, &index);
        }
        made.top = made.documents.last().map(|top| top.digest.clone()).unwrap_or_default();
        self.referrers.iter().for_each(|kind| refer(&mut made, kind));
        Ok(made)
    }

    fn types(&self) -> &'static Types {
        if self.docker { &DOCKER } else { &OCI }
    }

    /// Makes what one platform has of its own; the descriptor of its manifest.
    fn platform(&self, made: &mut Made, layers: &Layers, platform: &str) -> Result<Value> {
        let layers = self.layers(layers, platform)?;
        let platform = described(platform);
        let config = made.blob(self.types().config, serde_json::to_vec(&self.config(&platform, &layers))?);
        let described = |layer: &Layer| descriptor(self.types().layer, &layer.digest, layer.size);
        let mut described: Vec<Value> = layers.iter().map(described).collect();
        if let Some(first) = described.first_mut().filter(|_| self.foreign) {
            first["mediaType"] = json!("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
            first["urls"] = json!(["https://vendor.example/layer"]);
        }
        let media_type = self.manifest.as_deref().unwrap_or(self.types().manifest);
        let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": described});
        made.blobs.extend(layers.into_iter().map(|layer| (layer.digest.clone(), Blob::Layer(layer))));
        let mut child = made.document(media_type, &manifest);
        child["platform"] = platform;
        Ok(child)
    }

    fn layers(&self, layers: &Layers, platform: &str) -> Result<Vec<Layer>> {
        let host = self.name.split('/').next().unwrap_or_default();
        let base = layers.get(&["base", host, platform], usual_size(&["base", host, platform]))?;
        let own = self.own_layers.iter().enumerate().map(|(place, size)| {
            let place = format!("layer-{place}");
            let seed = [&self.name, &self.tag, platform, &place];
            if self.noise { layers.noise(&seed, *size) } else { layers.get(&seed, *size) }
        });
        std::iter::once(Ok(base)).chain(own).collect()
    }

    fn config(&self, platform: &Value, layers: &[Layer]) -> Value {
        let program = self.name.rsplit('/').next().unwrap_or_default();
        let ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        let history = |place: usize| json!({"created": CREATED, "created_by": format!("layer {place}")});
        let mut config = json!({
            "created": CREATED,
            "architecture": platform["architecture"],
            "os": platform["os"],
            "config": {
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                "Entrypoint": [format!("/usr/bin/{program}")],
                "Labels": {"org.opencontainers.image.title": self.name, "org.opencontainers.image.version": self.tag},
            },
            "rootfs": {"type": "layers", "diff_ids": ids},
            "history": (0..layers.len()).map(history).collect::<Vec<_>>(),
        });
        if let Some(variant) = platform.get("variant") {
            config["variant"] = variant.clone();
        }
        config
    }

    /// The provenance that buildkit hangs beside a platform, and that no node ever runs.
    fn attestation(&self, made: &mut Made, child: &Value) -> Value {
        let subject = child["digest"].as_str().unwrap_or_default();
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v0.1",
            "predicateType": "https://slsa.dev/provenance/v0.2",
            "subject": [{"name": self.name, "digest": {"sha256": subject.trim_start_matches("sha256:")}}],
            "predicate": {"builder": {"id": ""}, "buildType": "https://mobyproject.org/buildkit@v1"},
        })
        .to_string();
        let mut layer = made.blob("application/vnd.in-toto+json", statement);
        layer["annotations"] = json!({"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"});
        let nowhere = json!({"architecture": "unknown", "os": "unknown"});
        let rootfs = json!({"type": "layers", "diff_ids": [layer["digest"]]});
        let config = json!({"architecture": "unknown", "os": "unknown", "config": {}, "rootfs": rootfs}).to_string();
        let config = made.blob(OCI.config, config);
        let manifest = json!({"schemaVersion": 2, "mediaType": OCI.manifest, "config": config, "layers": [layer]});
        let mut descriptor = made.document(OCI.manifest, &manifest);
        descriptor["annotations"] = json!({
            "vnd.docker.reference.digest": subject,
            "vnd.docker.reference.type": "attestation-manifest",
        });
        descriptor["platform"] = nowhere;
        descriptor
    }
}

/// Adds something that refers to the top: under cosign's tag, or to the registry's list.
fn refer(made: &mut Made, kind: &str) {
    let layer = made.blob("application/octet-stream", format!("{kind} of {}", made.top));
    let empty = made.blob("application/vnd.oci.empty.v1+json", "{}");
    let media_type = OCI.manifest;
    let mut manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": empty, "layers": [layer]});
    let tagged = matches!(kind, "sig" | "att" | "sbom");
    if !tagged {
        manifest["artifactType"] = json!(kind);
        manifest["subject"] = json!({"mediaType": OCI.index, "digest": made.top, "size": 0});
    }
    let mut descriptor = made.document(media_type, &manifest);
    if tagged {
        let tag = format!("{}.{kind}", made.top.replace(':', "-"));
        made.tags.push((tag, descriptor["digest"].as_str().unwrap_or_default().to_owned()));
    } else {
        descriptor["artifactType"] = json!(kind);
        made.referrers.push(descriptor);
    }
}

impl Made {
    /// Adds a document; its descriptor.
    pub fn document(&mut self, media_type: &str, content: &Value) -> Value {
        let bytes = Bytes::from(content.to_string());
        let digest = digest(&bytes);
        let descriptor = descriptor(media_type, &digest, bytes.len() as u64);
        self.documents.push(Document { media_type: media_type.to_owned(), digest, bytes });
        descriptor
    }

    /// Adds a blob; its descriptor.
    pub fn blob(&mut self, media_type: &str, bytes: impl Into<Bytes>) -> Value {
        let bytes = bytes.into();
        let digest = digest(&bytes);
        let descriptor = descriptor(media_type, &digest, bytes.len() as u64);
        self.blobs.push((digest, Blob::Bytes(bytes)));
        descriptor
    }
}

fn descriptor(media_type: &str, digest: &str, size: u64) -> Value {
    json!({"mediaType": media_type, "digest": digest, "size": size})
}

fn described(platform: &str) -> Value {
    let parts: Vec<&str> = platform.splitn(3, '/').collect();
    let part = |place: usize| parts.get(place).copied().unwrap_or("unknown");
    let mut described = json!({"architecture": part(1), "os": part(0)});
    if let Some(variant) = parts.get(2) {
        described["variant"] = json!(variant);
    }
    described
}

/// What the settings say of this image: of the very tag rather than of the repository.
fn special(name: &str, tag: &str, settings: &Settings) -> Option<Image> {
    let exact = format!("{name}:{tag}");
    let find = |wanted: &str| settings.images.iter().find(|image| image.reference == wanted).cloned();
    find(&exact).or_else(|| find(name))
}

/// One to three own layers: with the base two to four.
fn usual_sizes(name: &str, tag: &str) -> Vec<u64> {
    let count = 1 + number(&["count", name, tag]) % 3;
    (0..count).map(|place| usual_size(&["size", name, tag, &place.to_string()])).collect()
}

/// 32 to 512 KiB.
fn usual_size(words: &[&str]) -> u64 {
    (32 << 10) + number(words) % (480 << 10)
}
