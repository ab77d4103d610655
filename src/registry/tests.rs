//! Pushing into a registry that is one in memory.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use super::{Error, Event, Refusal, missing, push};
use crate::bundle::Bundle;
use crate::bundle::fixture::Rig;
use crate::digest::Digest;
use crate::image::Site;
use crate::net::fake::{Fake, Reply, Request, client};
use crate::net::{Client, Kind};

/// Paths below `/v2/` of what a registry has.
type Having = Arc<Mutex<BTreeSet<String>>>;

struct Target {
    server: Fake,
    having: Having,
    site: Site,
    client: Client,
}

fn target(mounts: bool, fault: impl Fn(&Request, usize) -> Option<Reply> + Send + Sync + 'static) -> Target {
    let having = Having::default();
    let has = having.clone();
    let answer = move |request: &Request, n: usize| fault(request, n).unwrap_or_else(|| take(&has, mounts, request));
    let server = Fake::start(answer);
    let site = Site { address: server.address.clone(), prefix: "mirror".into() };
    Target { server, having, site, client: client(|_| {}) }
}

fn take(having: &Having, mounts: bool, request: &Request) -> Reply {
    let mut having = having.lock().unwrap();
    let path = request.path.strip_prefix("/v2/").unwrap().to_owned();
    let query = |name: &str| {
        let all = path.split_once('?')?.1.split('&').map(|pair| pair.replace("%3A", ":"));
        all.into_iter().find_map(|pair| Some(pair.strip_prefix(&format!("{name}="))?.to_owned()))
    };
    match request.method.as_str() {
        "HEAD" if having.contains(&path) => {
            Reply::new(200).header("docker-content-digest", path.rsplit('/').next().unwrap())
        }
        "HEAD" => Reply::new(404),
        "POST" => {
            let (repository, _) = path.split_once("/blobs/uploads/").unwrap();
            let from = query("from").zip(query("mount")).map(|(from, digest)| format!("{from}/blobs/{digest}"));
            if mounts && from.is_some_and(|from| having.contains(&from)) {
                having.insert(format!("{repository}/blobs/{}", query("mount").unwrap()));
                return Reply::new(201);
            }
            Reply::new(202).header("location", format!("/v2/{repository}/blobs/uploads/1"))
        }
        "PUT" if path.contains("/manifests/") => {
            let (repository, _) = path.split_once("/manifests/").unwrap();
            let digest = Digest::of(&request.body);
            having.insert(format!("{repository}/manifests/{digest}"));
            having.insert(path);
            Reply::new(201).header("docker-content-digest", digest.to_string())
        }
        "PUT" => {
            let (repository, digest) = (path.split_once("/blobs/uploads/").unwrap().0, query("digest").unwrap());
            if !request.whole || Digest::of(&request.body).to_string() != digest {
                return Reply::new(400);
            }
            having.insert(format!("{repository}/blobs/{digest}"));
            Reply::new(201)
        }
        _ => Reply::new(204),
    }
}

async fn pushed(bundle: &Bundle, target: &Target) -> Result<super::Pushed, Error> {
    let images: Vec<_> = bundle.images().iter().collect();
    push(bundle, &images, &target.site, &target.client, 2, &|_| {}).await
}

#[tokio::test(flavor = "multi_thread")]
async fn images_arrive_by_digest_and_tag_and_only_once() {
    let rig = Rig::plain();
    let bundle = rig.bundle().await;
    let target = target(true, |_, _| None);
    let images: Vec<_> = bundle.images().iter().collect();
    assert_eq!(missing(&images, &target.site, &target.client).await.unwrap().len(), 3);

    let (planned, sent) = (Mutex::new(0), Mutex::new(0));
    let events = |event| match event {
        Event::Planned { bytes, .. } => *planned.lock().unwrap() = bytes,
        Event::Bytes { bytes, .. } => *sent.lock().unwrap() += bytes,
        Event::ImageDone { .. } => {}
    };
    let first = push(&bundle, &images, &target.site, &target.client, 2, &events).await.unwrap();
    let distinct: BTreeSet<_> = images.iter().flat_map(|i| i.blobs()).map(|blob| (blob.digest, blob.size)).collect();
    let bytes: u64 = distinct.iter().map(|(_, size)| size).sum();
    assert_eq!((first.bytes_sent, *planned.lock().unwrap(), *sent.lock().unwrap()), (bytes, bytes, bytes));
    // The base layer is needed in two repositories.
    assert_eq!((first.images_new, first.blobs_uploaded, first.blobs_mounted), (3, distinct.len(), 1));
    for image in &images {
        let path = target.site.path(&image.reference);
        let having = target.having.lock().unwrap();
        assert!(having.contains(&format!("{path}/manifests/{}", image.top.digest)));
        assert!(having.contains(&format!("{path}/manifests/{}", Site::tag(&image.reference))));
    }

    let asked = target.server.asked().len();
    let second = pushed(&bundle, &target).await.unwrap();
    assert_eq!((second.images_present, second.bytes_sent, target.server.asked().len() - asked), (3, 0, 3));
    assert!(missing(&images, &target.site, &target.client).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_mounting_a_blob_is_sent_again() {
    let rig = Rig::plain();
    let bundle = rig.bundle().await;
    let target = target(false, |_, _| None);
    let done = pushed(&bundle, &target).await.unwrap();
    assert_eq!((done.blobs_mounted, done.blobs_uploaded), (0, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_mounted_from_there() {
    let rig = Rig::plain();
    let bundle = rig.bundle().await;
    let target = target(true, |_, _| None);
    let [b, a, _] = bundle.images() else { panic!() };
    push(&bundle, &[b], &target.site, &target.client, 2, &|_| {}).await.unwrap();
    let done = push(&bundle, &[b, a], &target.site, &target.client, 2, &|_| {}).await.unwrap();
    assert_eq!((done.images_present, done.images_new, done.blobs_mounted, done.blobs_uploaded), (1, 1, 1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_layer_is_not_sent_whole() {
    let rig = Rig::plain();
    let bundle = rig.bundle().await;
    let layer = &bundle.images()[1].manifests[0].layers[1];
    let mut bytes = std::fs::read(rig.output()).unwrap();
    let start = bytes.windows(1000).position(|window| window.iter().all(|byte| *byte == 1)).unwrap();
    bytes[start + 5] = 9;
    std::fs::write(rig.output(), bytes).unwrap();
    let target = target(true, |_, _| None);
    let error = pushed(&bundle, &target).await.unwrap_err();
    let Error::Damaged { image, damage } = &error else { panic!("{error:?}") };
    assert_eq!((image.as_str(), damage.expected), ("quay.io/team/a:1", layer.digest));
    let having = target.having.lock().unwrap();
    assert!(!having.iter().any(|path| path.contains(&layer.digest.to_string()) || path.ends_with("/manifests/1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_what_to_do() {
    let rig = Rig::plain();
    let bundle = rig.bundle().await;
    for (status, refusal, kind) in [
        (401, Refusal::LogIn, Kind::Yours),
        (403, Refusal::Forbidden, Kind::Yours),
        (404, Refusal::NoProject, Kind::Yours),
        (413, Refusal::TooLarge, Kind::Yours),
        (503, Refusal::Failed, Kind::Transient),
    ] {
        let target = target(true, move |request, _| (request.method == "POST").then(|| Reply::new(status)));
        let error = pushed(&bundle, &target).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        let Error::Registry { refusal: found, repository, source, .. } = error else { panic!("{error:?}") };
        assert_eq!((found, source.status()), (refusal, Some(status)));
        assert!(repository.starts_with(&format!("{}/mirror/", target.site.address)));
    }
    let mut nobody = target(true, |_, _| None);
    nobody.site.address = "127.0.0.1:1".into();
    let error = pushed(&bundle, &nobody).await.unwrap_err();
    assert!(matches!(error, Error::Registry { refusal: Refusal::Unreachable, .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_forgets_is_noticed() {
    let rig = Rig::plain();
    let bundle = rig.bundle().await;
    let forgets = |request: &Request, _| {
        (request.method == "HEAD" && request.path.contains("/manifests/")).then(|| Reply::new(404))
    };
    let error = pushed(&bundle, &target(true, forgets)).await.unwrap_err();
    assert!(matches!(error, Error::Vanished { .. }), "{error:?}");
}
