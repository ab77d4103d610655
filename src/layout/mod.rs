//! Names of the OCI image layout and the JSON documents in it: descriptors, indexes, manifests, media types and
//! annotation keys. Data only; must not read or write files.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::image::Platform;

/// Content of the `oci-layout` file.
pub const OCI_LAYOUT: &str = "{\"imageLayoutVersion\":\"1.0.0\"}";
/// Path of the `oci-layout` file.
pub const OCI_LAYOUT_PATH: &str = "oci-layout";
/// Path of the top index.
pub const INDEX_PATH: &str = "index.json";

/// Media types.
pub mod media {
    /// OCI image index.
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// OCI image manifest.
    pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// Docker's index.
    pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker's manifest.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// The empty configuration of an artifact (`{}`).
    pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
    /// A Helm chart's configuration (its Chart.yaml as JSON).
    pub const HELM_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
    /// A packaged Helm chart.
    pub const HELM_CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
    /// The same under its older name.
    pub const HELM_CHART_LEGACY: &str = "application/tar+gzip";
    /// Artifact type of the definition in a bundle.
    pub const DEFINITION: &str = "application/vnd.platctl.definition.v1";
    /// The definition's files, a plain tar.
    pub const DEFINITION_TAR: &str = "application/vnd.platctl.definition.v1.tar";
    /// Where images stand in the objects of releases: artifact type and document in one.
    pub const PLACES: &str = "application/vnd.platctl.places.v1+json";
    /// Artifact type of a tool in a bundle.
    pub const TOOL: &str = "application/vnd.platctl.tool.v1";
    /// A tool as its publisher serves it.
    pub const TOOL_FILE: &str = "application/vnd.platctl.tool.v1.file";

    /// Artifact type of an extra file in a bundle.
    pub const EXTRA: &str = "application/vnd.platctl.extra.v1";
    /// An extra file as it is.
    pub const EXTRA_FILE: &str = "application/vnd.platctl.extra.v1.file";

    /// Whether a media type is an index of either kind.
    pub fn is_index(media_type: &str) -> bool {
        matches!(media_type, INDEX | DOCKER_INDEX)
    }

    /// Whether a media type is an image manifest of either kind.
    pub fn is_manifest(media_type: &str) -> bool {
        matches!(media_type, MANIFEST | DOCKER_MANIFEST)
    }
}

/// Annotation keys.
pub mod annotation {
    /// The name of an image in a layout; skopeo finds images by it.
    pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
    /// The digest of the upstream index an image was taken from.
    pub const SOURCE_DIGEST: &str = "dev.platctl.source.digest";
    /// What a top entry is: `image`, `chart`, `tool`, `extra`, `definition`, `places`, `platctl`.
    pub const KIND: &str = "dev.platctl.kind";
    /// The name of a chart, tool, extra or environment.
    pub const NAME: &str = "dev.platctl.name";
    /// The digest of the platctl binary, so that a signed index alone vouches for it.
    pub const FILE: &str = "dev.platctl.file";
    /// The version of a chart or tool.
    pub const VERSION: &str = "dev.platctl.version";
    /// The platform a tool is for.
    pub const PLATFORM: &str = "dev.platctl.platform";
    /// The file name of a layer.
    pub const TITLE: &str = "org.opencontainers.image.title";
}

/// Where a blob lies in a layout.
pub fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Something named by digest, size and kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What kind of document or blob it is.
    pub media_type: String,
    /// Kind of artifact, for manifests that are no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Digest of the bytes.
    pub digest: Digest,
    /// Number of bytes.
    pub size: u64,
    /// Addresses of foreign layers; such a layer is not in the registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// The platform, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformJson>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// A descriptor of bytes at hand.
    pub fn of(media_type: &str, bytes: &[u8]) -> Descriptor {
        Descriptor::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }

    /// A descriptor of bytes elsewhere.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Descriptor {
        Descriptor {
            media_type: media_type.to_owned(),
            artifact_type: None,
            digest,
            size,
            urls: Vec::new(),
            platform: None,
            annotations: BTreeMap::new(),
        }
    }

    /// An annotation's value.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(String::as_str)
    }

    /// The same with one more annotation.
    pub fn annotated(mut self, key: &str, value: impl Into<String>) -> Descriptor {
        self.annotations.insert(key.to_owned(), value.into());
        self
    }
}

/// A platform as OCI's JSON writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformJson {
    /// Architecture.
    pub architecture: String,
    /// Operating system.
    pub os: String,
    /// Variant of the architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Version of the operating system, on Windows.
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
}

impl From<&PlatformJson> for Platform {
    fn from(json: &PlatformJson) -> Platform {
        Platform { os: json.os.clone(), arch: json.architecture.clone(), variant: json.variant.clone() }
    }
}

impl From<&Platform> for PlatformJson {
    fn from(platform: &Platform) -> PlatformJson {
        PlatformJson {
            architecture: platform.arch.clone(),
            os: platform.os.clone(),
            variant: platform.variant.clone(),
            os_version: None,
        }
    }
}

/// An index: a list of manifests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// The index's own media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What it lists.
    pub manifests: Vec<Descriptor>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A manifest: a configuration and layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// The manifest's own media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Kind of artifact, when it is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, bottom first.
    pub layers: Vec<Descriptor>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_the_one_of_the_specification() {
        let descriptor = Descriptor::of(media::EMPTY, b"{}").annotated(annotation::KIND, "tool");
        let json = serde_json::to_string(&descriptor).unwrap();
        assert_eq!(
            json,
            "{\"mediaType\":\"application/vnd.oci.empty.v1+json\",\"digest\":\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":2,\"annotations\":{\"dev.platctl.kind\":\"tool\"}}"
        );
        assert_eq!(serde_json::from_str::<Descriptor>(&json).unwrap(), descriptor);
    }
}
