//! What no bundle can carry is refused, by the image's name.

use crate::bundle::fixture::{CONFIG, LAYER, Rig, Upstream, answer, document};
use crate::bundle::{Error, gather};
use crate::layout::{Descriptor, Manifest, media};
use crate::net::Kind;

fn refusal(error: Error) -> String {
    match error {
        Error::Unsupported { image, problem } => {
            assert_eq!(image, "quay.io/team/a:1");
            problem
        }
        other => panic!("{other:?}"),
    }
}

/// Gathers one image whose manifest is this.
async fn gather_one(kind: &'static str, bytes: Vec<u8>) -> Error {
    let digest = crate::digest::Digest::of(&bytes);
    let mut rig = Rig::new(move |request, _| {
        let reply = crate::net::fake::Reply::body(bytes.clone()).header("content-type", kind);
        request.path.contains(&digest.hex()).then_some(reply)
    });
    rig.contents.images.truncate(1);
    rig.contents.images[0].platforms.values_mut().for_each(|own| *own = digest);
    gather(rig.contents.clone(), &rig.client, 2, &|_| {}).await.unwrap_err()
}

fn manifest(layer: Descriptor) -> Vec<u8> {
    let mut upstream = Upstream::new();
    let config = Descriptor::of(CONFIG, b"{}");
    let media_type = Some(media::MANIFEST.to_owned());
    let layers = vec![layer];
    let all = Manifest { schema_version: 2, media_type, artifact_type: None, config, layers, annotations: [].into() };
    document(&mut upstream, "x", media::MANIFEST, &all);
    upstream.into_values().next().unwrap().1
}

#[tokio::test]
async fn foreign_layers() {
    let mut layer = Descriptor::of(LAYER, b"x");
    layer.urls.push("https://vendor.example/x".into());
    let problem = refusal(gather_one(media::MANIFEST, manifest(layer)).await);
    assert!(problem.contains("not in the registry"), "{problem}");
    let layer = Descriptor::of("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", b"x");
    refusal(gather_one(media::MANIFEST, manifest(layer)).await);
}

#[tokio::test]
async fn other_documents() {
    let schema1 = gather_one("application/vnd.docker.distribution.manifest.v1+prettyjws", b"{}".to_vec()).await;
    assert!(refusal(schema1).contains("schema 1"));
    let index = gather_one(media::INDEX, br#"{"schemaVersion":2,"manifests":[]}"#.to_vec()).await;
    assert!(refusal(index).contains("not an image"));
    let odd = gather_one(media::MANIFEST, br#"{"schemaVersion":2}"#.to_vec()).await;
    assert!(refusal(odd).contains("can't be read"));
}

#[tokio::test]
async fn what_is_not_there_names_the_image() {
    let mut rig = Rig::plain();
    let digest = crate::digest::Digest::of("nothing");
    rig.contents.images[0].platforms.values_mut().for_each(|own| *own = digest);
    let error = gather(rig.contents.clone(), &rig.client, 2, &|_| {}).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Permanent);
    let Error::Fetch { what, source } = error else { panic!("{error:?}") };
    assert_eq!((what.as_str(), source.status()), ("quay.io/team/a:1", Some(404)));
}

#[tokio::test]
async fn an_altered_manifest_is_refused() {
    let (upstream, manifest) = {
        let rig = Rig::plain();
        let digest = rig.contents.images[0].platforms.values().next().unwrap().to_string();
        (
            Upstream::from([(format!("quay.io/team/a/manifests/{digest}"), (media::MANIFEST.into(), b"{}".into()))]),
            digest,
        )
    };
    let rig = Rig::new(move |request, _| request.path.ends_with(&manifest).then(|| answer(&upstream, request)));
    let error = gather(rig.contents.clone(), &rig.client, 2, &|_| {}).await.unwrap_err();
    let Error::Fetch { source, .. } = error else { panic!("{error:?}") };
    assert!(matches!(source.reason, crate::net::Reason::Mismatch { .. }));
}

#[tokio::test]
async fn twins_are_refused() {
    let mut rig = Rig::plain();
    rig.contents.images.push(rig.contents.images[0].clone());
    let error = gather(rig.contents.clone(), &rig.client, 2, &|_| {}).await.unwrap_err();
    assert!(matches!(error, Error::Twice { what } if what == "quay.io/team/a:1"));
}
