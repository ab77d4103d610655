//! The client against a server that misbehaves.

use std::time::{Duration, Instant};

use super::fake::{Fake, Reply, client, noise};
use super::{Kind, Mirrors, Reason};
use crate::digest::Digest;
use crate::files::Store;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("s")).unwrap();
    (dir, store)
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_broke_off() {
    let bytes = noise(100_000);
    let (digest, served) = (Digest::of(&bytes), bytes.clone());
    let server = Fake::start(move |request, number| {
        let reply = request.ranged(&served);
        if number < 3 { reply.cut(30_000) } else { reply }
    });
    let (_dir, store) = store();
    let (_, path) = client(|_| {}).download(&server.url("f"), Some(&digest), &store).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), bytes);
    let seen = server.seen.lock().unwrap();
    let ranges: Vec<_> = seen.iter().map(|request| request.header("range")).collect();
    assert_eq!(ranges, [None, Some("bytes=30000-"), Some("bytes=60000-")]);
}

#[tokio::test]
async fn a_server_without_ranges_starts_over() {
    let bytes = noise(100_000);
    let (digest, served) = (Digest::of(&bytes), bytes.clone());
    let server = Fake::start(move |_, number| {
        let reply = Reply::body(served.clone());
        if number < 3 { reply.cut(30_000 * number) } else { reply }
    });
    let (_dir, store) = store();
    let (_, path) = client(|_| {}).download(&server.url("f"), Some(&digest), &store).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), bytes);
}

#[tokio::test]
async fn a_server_that_refuses_a_range_is_asked_for_the_whole() {
    let bytes = noise(100_000);
    let (digest, served) = (Digest::of(&bytes), bytes.clone());
    let server = Fake::start(move |request, number| match (number, request.header("range")) {
        (1, _) => Reply::body(served.clone()).cut(30_000),
        (_, Some(_)) => Reply::new(416),
        _ => Reply::body(served.clone()),
    });
    let (_dir, store) = store();
    let (_, path) = client(|_| {}).download(&server.url("f"), Some(&digest), &store).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), bytes);
}

#[tokio::test]
async fn the_size_of_a_file_is_asked_for() {
    let served = noise(1000);
    let server = Fake::start(move |request, _| match request.path.as_str() {
        "/ranges" => Reply { status: 206, ..Reply::body("x") }.header("content-range", "bytes 0-0/1000"),
        "/none" => Reply::body(served.clone()),
        "/empty" => Reply::new(416),
        _ => Reply::new(404),
    });
    for (path, size) in [("ranges", 1000), ("none", 1000), ("empty", 0)] {
        assert_eq!(client(|_| {}).size(&server.url(path)).await.unwrap(), Some(size), "{path}");
    }
    assert_eq!(client(|_| {}).size(&server.url("gone")).await.unwrap_err().status(), Some(404));
}

#[tokio::test]
async fn halves_are_not_put_together_without_a_digest() {
    let server = Fake::start(|_, number| match number {
        1 => Reply::body("aaaaaaaaaa").cut(5),
        _ => Reply::body("bbbbbbbbbb"),
    });
    let (_dir, store) = store();
    let (digest, _) = client(|_| {}).download(&server.url("f"), None, &store).await.unwrap();
    assert_eq!(digest, Digest::of("bbbbbbbbbb"));
}

#[tokio::test]
async fn other_bytes_are_refused_at_once() {
    let server = Fake::start(|_, _| Reply::body("other"));
    let (_dir, store) = store();
    let error = client(|_| {}).download(&server.url("f"), Some(&Digest::of("this")), &store).await.unwrap_err();
    assert!(matches!(error.reason, Reason::Mismatch { .. }));
    assert_eq!((error.kind(), error.tries), (Kind::Permanent, 1));
    assert_eq!(std::fs::read_dir(store.root()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_passes_is_tried_again_and_what_does_not_is_not() {
    for (status, tries, kind) in
        [(503, 3, Kind::Transient), (429, 3, Kind::Transient), (404, 1, Kind::Permanent), (403, 1, Kind::Yours)]
    {
        let server = Fake::start(move |_, _| Reply { body: b"because".to_vec(), ..Reply::new(status) });
        let error = client(|_| {}).get_bytes(&server.url("f"), 100).await.unwrap_err();
        assert_eq!((error.status(), error.tries, error.kind()), (Some(status), tries, kind));
        assert!(error.to_string().contains("because"), "{error}");
    }
}

#[tokio::test]
async fn retry_after_is_honoured_and_the_budget_shrinks() {
    let server = Fake::start(|_, number| match number {
        1 => Reply::new(429).header("retry-after", "1"),
        _ => Reply::body("ok"),
    });
    let budget = std::sync::Arc::new(super::Budget::new(8));
    let start = Instant::now();
    let bytes = client(|_| {}).within(&budget).get_bytes(&server.url("f"), 100).await.unwrap();
    assert_eq!(bytes, b"ok");
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(budget.limit(), 4);
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let server = Fake::start(|_, _| Reply { delay: Duration::from_secs(2), ..Reply::body("late") });
    let quick = client(|settings| (settings.timeout, settings.tries) = (Duration::from_millis(50), 2));
    let error = quick.get_bytes(&server.url("f"), 100).await.unwrap_err();
    assert!(matches!(error.reason, Reason::Timeout(_)));
    assert_eq!(error.tries, 2);
}

#[tokio::test]
async fn too_much_is_refused() {
    let server = Fake::start(|_, _| Reply::body(vec![0; 1000]));
    let error = client(|_| {}).get_bytes(&server.url("f"), 999).await.unwrap_err();
    assert!(matches!(error.reason, Reason::TooLarge { limit: 999 }));
    let packed = {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&[7; 1000]).unwrap();
        encoder.finish().unwrap()
    };
    let server = Fake::start(move |_, _| Reply::body(packed.clone()).header("content-encoding", "gzip"));
    assert_eq!(client(|_| {}).get_bytes(&server.url("f"), 1000).await.unwrap(), [7; 1000]);
    let error = client(|_| {}).get_bytes(&server.url("f"), 999).await.unwrap_err();
    assert!(matches!(error.reason, Reason::TooLarge { limit: 999 }));
}

#[tokio::test]
async fn redirects_stay_inside_a_sealed_place() {
    let server = Fake::start(|request, _| match request.path.as_str() {
        "/charts.example/a.tgz" => Reply::new(302).header("location", "https://cdn.example/b?sig=1"),
        "/cdn.example/b?sig=1" => Reply::body("chart"),
        _ => Reply::new(404),
    });
    let rule = format!("*=http://{}", server.address);
    let sealed = client(|settings| settings.mirrors = Mirrors::parse([rule]).unwrap());
    assert_eq!(sealed.get_bytes("https://charts.example/a.tgz", 100).await.unwrap(), b"chart");
    let error = sealed.get_bytes("https://me:pw@charts.example/none", 100).await.unwrap_err();
    assert_eq!(error.url, "https://charts.example/none");
    assert_eq!(error.via, Some(server.url("charts.example/none")));
}

#[tokio::test]
async fn nobody_there_is_transient_and_names_the_host() {
    let error = client(|_| {}).get_bytes("http://127.0.0.1:1/x", 100).await.unwrap_err();
    assert!(matches!(&error.reason, Reason::Connect { host, .. } if host == "127.0.0.1:1"), "{error:?}");
    assert_eq!((error.kind(), error.tries), (Kind::Transient, 3));
}

#[tokio::test]
async fn plain_http_needs_no_certificate_and_a_bad_one_is_named() {
    let server = Fake::start(|_, _| Reply::body("ok"));
    let authority = super::Authority { name: "ca.pem".into(), pem: b"no certificate".to_vec() };
    let odd = client(|settings| settings.authorities = vec![authority]);
    assert_eq!(odd.get_bytes(&server.url("f"), 100).await.unwrap(), b"ok");
    let error = odd.get_bytes("https://127.0.0.1:1/", 100).await.unwrap_err();
    assert!(matches!(&error.reason, Reason::Authority { name, .. } if name == "ca.pem"), "{error:?}");
    assert_eq!(error.kind(), Kind::Yours);
}
