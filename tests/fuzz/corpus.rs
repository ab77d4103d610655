//! Good inputs, small, from which the others are made.

use platctl::bundle::KeyFile;
use platctl::definition::Tree;
use serde_json::json;

use crate::support::forged::Forged;
use crate::support::keys;

/// A definition of two environments.
pub fn definition() -> Vec<u8> {
    let mut tree = Tree::default();
    for (path, text) in [
        ("charts-lock.yaml", "apiVersion: platctl.dev/v1\ncharts: []\nimages: []\ntools: []\n"),
        ("environments/base/environment.yaml", "apiVersion: platctl.dev/v1\nabstract: true\n"),
        ("environments/prod/environment.yaml", "apiVersion: platctl.dev/v1\nextends: base\n"),
        ("environments/prod/values.yaml", "a: 1\n"),
        ("templates/apps/tier.yaml", "apiVersion: platctl.dev/v1\norder: 1\n"),
        ("templates/apps/x/chart/Chart.yaml", "name: x\nversion: 0.1.0\n"),
        (&format!("templates/apps/x/files/{}/ä.yaml", "long".repeat(40)), "b: 2\n"),
    ] {
        tree.insert(path, text);
    }
    tree.to_tar().unwrap()
}

/// A chart's files, not packed.
pub fn chart_tar() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, text) in [
        ("x/Chart.yaml", "apiVersion: v2\nname: x\nversion: 0.1.0\n"),
        ("x/templates/a.yaml", "kind: ConfigMap\n"),
        (&format!("x/templates/{}.yaml", "n".repeat(150)), "kind: Secret\n"),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        builder.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    builder.append_pax_extensions([("path", "x/templates/ä.yaml".as_bytes())]).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_size(2);
    builder.append_data(&mut header, "x/a", b"a\n".as_slice()).unwrap();
    builder.into_inner().unwrap()
}

/// The same, packed.
pub fn packed(tar: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gz, tar).unwrap();
    gz.finish().unwrap()
}

/// A bundle with one of each.
pub fn bundle() -> Forged {
    let mut forged = Forged::new(b"\x7fELF".repeat(100));
    let definition = forged.blob("application/vnd.platctl.definition.v1.tar", &definition());
    forged.artifact(vec![definition], json!({"dev.platctl.kind": "definition", "dev.platctl.name": "prod"}));
    let places = json!({"images": {"quay.io/a/b:1": [
        {"release": "prod/apps/x", "object": "Deployment x", "path": "spec.image", "confidence": "certain"}]}});
    let places = forged.blob("application/vnd.platctl.places.v1+json", places.to_string().as_bytes());
    forged.artifact(vec![places], json!({"dev.platctl.kind": "places"}));
    let binary = forged.blob("application/vnd.platctl.tool.v1.file", &b"\x7fELF".repeat(100));
    let file = binary["digest"].clone();
    forged.artifact(
        vec![binary],
        json!({"dev.platctl.kind": "platctl", "dev.platctl.name": "platctl", "dev.platctl.platform": "linux/amd64",
            "dev.platctl.file": file}),
    );
    let chart = forged.blob("application/vnd.cncf.helm.chart.content.v1.tar+gzip", &packed(&chart_tar()));
    forged.artifact(
        vec![chart],
        json!({"dev.platctl.kind": "chart", "dev.platctl.name": "x", "dev.platctl.version": "0.1.0"}),
    );
    let tool = forged.blob("application/vnd.platctl.tool.v1.file", b"a tool");
    forged.artifact(
        vec![tool],
        json!({"dev.platctl.kind": "tool", "dev.platctl.name": "helm", "dev.platctl.version": "4.3.1",
            "dev.platctl.platform": "linux/amd64"}),
    );
    let layers = [b"base".as_slice(), b"one"].map(|bytes| forged.blob("application/vnd.oci.image.layer.v1.tar", bytes));
    forged.artifact(
        layers.to_vec(),
        json!({"dev.platctl.kind": "image", "org.opencontainers.image.ref.name": "quay.io/a/b:1",
            "dev.platctl.source.digest": format!("sha256:{}", "ab".repeat(32))}),
    );
    forged
}

/// The signature over an index.
pub fn signature(index: &[u8], folder: &std::path::Path) -> Vec<u8> {
    let path = folder.join("key.sec");
    std::fs::write(&path, keys::KEY).unwrap();
    KeyFile::read(&path).unwrap().open("").unwrap().sign(index, "prod")
}

pub const REFERENCES: [&str; 9] = [
    "busybox",
    "busybox:1.36",
    "minio/mc:RELEASE.2024-12-18T13-15-44Z",
    "quay.io/minio/minio:x",
    "localhost:5000/a/b_c.d-e:7",
    "localhost/a",
    "index.docker.io/library/a",
    "registry.example.org:443/team/app@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "a/b:t@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
];
