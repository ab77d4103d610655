//! Pushing into a registry that is one in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use super::{Error, Event, Outlook, Refusal, outlook, push};
use crate::bundle::Bundle;
use crate::bundle::fixture::Rig;
use crate::digest::Digest;
use crate::image::Site;
use crate::net::fake::{Fake, Reply, Request, client};
use crate::net::{Client, Kind};

/// Paths below `/v2/` of what a registry has, and its digest.
type Having = Arc<Mutex<BTreeMap<String, String>>>;

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
        "HEAD" => match having.get(&path) {
            Some(digest) => Reply::new(200).header("docker-content-digest", digest),
            None => Reply::new(404),
        },
        "POST" => {
            let (repository, _) = path.split_once("/blobs/uploads/").unwrap();
            let from = query("from").zip(query("mount")).map(|(from, digest)| format!("{from}/blobs/{digest}"));
            if mounts && from.is_some_and(|from| having.contains_key(&from)) {
                let digest = query("mount").unwrap();
                having.insert(format!("{repository}/blobs/{digest}"), digest);
                return Reply::new(201);
            }
            Reply::new(202).header("location", format!("/v2/{repository}/blobs/uploads/1"))
        }
        "PUT" if path.contains("/manifests/") => {
            let (repository, _) = path.split_once("/manifests/").unwrap();
            let digest = Digest::of(&request.body).to_string();
            having.insert(format!("{repository}/manifests/{digest}"), digest.clone());
            having.insert(path.clone(), digest.clone());
            Reply::new(201).header("docker-content-digest", digest)
        }
        "PUT" => {
            let (repository, digest) = (path.split_once("/blobs/uploads/").unwrap().0, query("digest").unwrap());
            if !request.whole || Digest::of(&request.body).to_string() != digest {
                return Reply::new(400);
            }
            having.insert(format!("{repository}/blobs/{digest}"), digest);
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
    let looked = outlook(&bundle, &images, &target.site, &target.client).await.unwrap();
    assert_eq!((looked.images_new.len(), looked.images_present), (3, 0));
    assert!(target.server.asked().iter().all(|asked| asked.starts_with("HEAD ")), "only asked");

    let (planned, sent) = (Mutex::new(0), Mutex::new(0));
    let events = |event| match event {
        Event::Planned { bytes, .. } => *planned.lock().unwrap() = bytes,
        Event::Bytes { bytes, .. } => *sent.lock().unwrap() += bytes,
        Event::ImageDone { .. } | Event::Moved { .. } => {}
    };
    let first = push(&bundle, &images, &target.site, &target.client, 2, &events).await.unwrap();
    let distinct: BTreeSet<_> = images.iter().flat_map(|i| i.blobs()).map(|blob| (blob.digest, blob.size)).collect();
    let bytes: u64 = distinct.iter().map(|(_, size)| size).sum();
    assert_eq!(looked.bytes, bytes);
    assert_eq!((first.bytes_sent, *planned.lock().unwrap(), *sent.lock().unwrap()), (bytes, bytes, bytes));
    // The base layer is needed in two repositories.
    assert_eq!((first.images_new, first.blobs_uploaded, first.blobs_mounted), (3, distinct.len(), 1));
    for image in &images {
        let path = target.site.path(&image.reference);
        let having = target.having.lock().unwrap();
        assert!(having.contains_key(&format!("{path}/manifests/{}", image.top.digest)));
        assert!(having.contains_key(&format!("{path}/manifests/{}", Site::tag(&image.reference))));
    }

    let asked = target.server.asked().len();
    let second = pushed(&bundle, &target).await.unwrap();
    assert_eq!((second.images_present, second.bytes_sent, target.server.asked().len() - asked), (3, 0, 3));
    let looked = outlook(&bundle, &images, &target.site, &target.client).await.unwrap();
    assert_eq!(looked, Outlook { images_new: vec![], images_tagged: vec![], images_present: 3, bytes: 0 });
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
    assert!(!having.keys().any(|path| path.contains(&layer.digest.to_string()) || path.contains("/manifests/")));
}

#[tokio::test(flavor = "multi_thread")]
async fn repositories_that_take_nothing_are_told_before_anything_is_sent() {
    let rig = Rig::plain();
    let bundle = rig.bundle().await;
    for (status, refusal) in [
        (401, Refusal::LogIn),
        (403, Refusal::Forbidden),
        (404, Refusal::NoProject),
        (405, Refusal::ReadOnly),
        (413, Refusal::TooLarge),
    ] {
        let fault = move |request: &Request, _| {
            (request.method == "POST" && request.path.contains("/team/")).then(|| Reply::new(status))
        };
        let target = target(true, fault);
        let error = pushed(&bundle, &target).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Yours);
        let Error::Refused(all) = error else { panic!("{error:?}") };
        let names: Vec<_> = all.iter().map(|one| (one.repository.as_str(), one.refusal, one.images.len())).collect();
        let [a, c] = ["a", "c"].map(|name| format!("{}/mirror/quay.io/team/{name}", target.site.address));
        assert_eq!(names, [(a.as_str(), refusal, 1), (c.as_str(), refusal, 1)]);
        assert!(target.having.lock().unwrap().is_empty(), "nothing was sent");
        assert!(!target.server.asked().iter().any(|asked| asked.starts_with("PUT ")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_shows_nothing_is_told_the_same_way() {
    let rig = Rig::plain();
    let bundle = rig.bundle().await;
    for status in [401, 403] {
        let target = target(true, move |request, _| {
            (request.method == "HEAD" && request.path.contains("/docker.io/")).then(|| Reply::new(status))
        });
        let error = pushed(&bundle, &target).await.unwrap_err();
        let Error::Refused(all) = error else { panic!("{error:?}") };
        assert_eq!(all.len(), 1);
        assert!(all[0].repository.ends_with("/mirror/docker.io/library/b"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_begun_to_ask_is_taken_back() {
    let rig = Rig::plain();
    let bundle = rig.bundle().await;
    let target = target(true, |_, _| None);
    pushed(&bundle, &target).await.unwrap();
    let count = |method: &str| target.server.asked().iter().filter(|asked| asked.starts_with(method)).count();
    assert_eq!(count("DELETE "), 3, "one for each repository");
    assert_eq!(count("POST "), 3 + 9 + 1, "and one for each blob, and one that is mounted");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_what_to_do() {
    let rig = Rig::plain();
    let bundle = rig.bundle().await;
    let words =
        |text: &str| format!(r#"{{"errors":[{{"code":"UNKNOWN","message":"unknown error","detail":"{text}"}}]}}"#);
    for (status, body, refusal, kind) in [
        (403, String::new(), Refusal::Forbidden, Kind::Yours),
        (413, String::new(), Refusal::TooLarge, Kind::Yours),
        (500, words("write /data: no space left on device"), Refusal::Full, Kind::Yours),
        (412, words("will exceed the configured upper limit of 1 GiB"), Refusal::Full, Kind::Yours),
        (507, String::new(), Refusal::Full, Kind::Yours),
        (503, String::new(), Refusal::Failed, Kind::Transient),
    ] {
        let refused = move |request: &Request, _| {
            let sent = request.method == "PUT" && request.path.contains("/blobs/");
            sent.then(|| Reply { body: body.clone().into(), ..Reply::new(status) })
        };
        let target = target(true, refused);
        let error = pushed(&bundle, &target).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}");
        let Error::Registry { refusal: found, repository, source, .. } = error else { panic!("{error:?}") };
        assert_eq!((found, source.status()), (refusal, Some(status)));
        assert!(repository.starts_with(&format!("{}/mirror/", target.site.address)));
    }
    let mut nobody = target(true, |_, _| None);
    nobody.site.address = "127.0.0.1:1".into();
    let error = pushed(&bundle, &nobody).await.unwrap_err();
    assert!(matches!(error, Error::Registry { refusal: Refusal::Unreachable, .. }), "{error:?}");
}

/// An image's tag at the site that is another image's.
fn mistagged(bundle: &Bundle, target: &Target) -> (String, String) {
    let image = &bundle.images()[1];
    let path = format!("{}/manifests/{}", target.site.path(&image.reference), Site::tag(&image.reference));
    let other = Digest::of("another image").to_string();
    target.having.lock().unwrap().insert(path.clone(), other.clone());
    (path, other)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_comes_back_to_the_bundles_image() {
    let rig = Rig::plain();
    let bundle = rig.bundle().await;
    let target = target(true, |_, _| None);
    pushed(&bundle, &target).await.unwrap();
    let (path, other) = mistagged(&bundle, &target);
    let moved = Mutex::new(Vec::new());
    let events = |event| {
        if let Event::Moved { tag, from, to } = event {
            moved.lock().unwrap().push((tag, from.to_string(), to));
        }
    };
    let images: Vec<_> = bundle.images().iter().collect();
    let done = push(&bundle, &images, &target.site, &target.client, 2, &events).await.unwrap();
    assert_eq!((done.images_new, done.images_tagged, done.images_present, done.bytes_sent), (0, 1, 2, 0));
    let top = images[1].top.digest;
    assert_eq!(target.having.lock().unwrap()[&path], top.to_string());
    let tag = format!("{}/mirror/quay.io/team/a:1", target.site.address);
    assert_eq!(moved.into_inner().unwrap(), [(tag, other, top)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_may_not_be_moved_is_told() {
    let rig = Rig::plain();
    let bundle = rig.bundle().await;
    for status in [400, 403, 409, 412] {
        let fixed = move |request: &Request, _| {
            (request.method == "PUT" && request.path.ends_with("/manifests/1")).then(|| Reply::new(status))
        };
        let target = target(true, fixed);
        mistagged(&bundle, &target);
        let error = pushed(&bundle, &target).await.unwrap_err();
        assert!(matches!(error, Error::Registry { refusal: Refusal::TagFixed, .. }), "{error:?}");
        assert_eq!(error.kind(), Kind::Yours);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_push_moves_no_tag() {
    let rig = Rig::plain();
    let bundle = rig.bundle().await;
    // The last blob of the whole push is refused: everything else is there by then.
    let smallest = bundle.images().iter().flat_map(|image| image.blobs()).min_by_key(|blob| blob.size).unwrap();
    let name = smallest.digest.hex();
    let target = target(true, move |request, _| {
        (request.method == "PUT" && request.path.contains(&name)).then(|| Reply::new(400))
    });
    let (path, other) = mistagged(&bundle, &target);
    pushed(&bundle, &target).await.unwrap_err();
    let having = target.having.lock().unwrap();
    assert_eq!(having[&path], other);
    assert_eq!(having.keys().filter(|path| path.contains("/manifests/")).count(), 1);
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
