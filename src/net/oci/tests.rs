//! The registry protocol against a server that misbehaves.

use std::io::Cursor;

use crate::digest::Digest;
use crate::layout::{Descriptor, media};
use crate::net::fake::{Fake, Reply, Request, client, listen, noise};
use crate::net::{Kind, Login, Mirrors, Reason};

const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#;

/// A registry that wants a token for everything, and one with the right scope.
fn guarded(request: &Request) -> Option<Reply> {
    if request.path.starts_with("/token?") {
        let login = request.header("authorization") == Some("Basic bWU6cHc=");
        let scope = request
            .path
            .split("scope=")
            .nth(1)
            .unwrap_or_default()
            .replace("%3A", ":")
            .replace("%2C", ",")
            .replace("%2F", "/");
        return Some(if login { Reply::body(format!(r#"{{"token":"{scope}"}}"#)) } else { Reply::new(401) });
    }
    let action = if matches!(request.method.as_str(), "GET" | "HEAD") { "pull" } else { "pull,push" };
    let wanted = format!("Bearer repository:a/b:{action}");
    let given = request.header("authorization").is_some_and(|given| given.starts_with(&wanted));
    (!given).then(|| {
        let host = request.header("host").unwrap();
        let challenge = format!(r#"Bearer realm="http://{host}/token",service="r",scope="repository:a/b:{action}""#);
        Reply::new(401).header("www-authenticate", challenge)
    })
}

#[tokio::test]
async fn tokens_are_fetched_once_for_a_scope() {
    let server = Fake::start(|request, _| match guarded(request) {
        Some(refused) => refused,
        None if request.method == "PUT" => Reply::new(201),
        None => Reply::body(MANIFEST),
    });
    let login = Login { username: "me".into(), password: "pw".into() };
    let net = client(|settings| _ = settings.logins.insert(server.address.clone(), login));
    let repository = net.repository(&server.address, "a/b");
    for _ in 0..3 {
        assert_eq!(repository.manifest("v1").await.unwrap().media_type, media::MANIFEST);
    }
    repository.put_manifest("v1", media::MANIFEST, MANIFEST.as_bytes()).await.unwrap();
    let tokens = server.asked().iter().filter(|asked| asked.starts_with("GET /token")).count();
    assert_eq!((tokens, server.asked().len()), (2, 1 + 2 + 1 + 1 + 2));
}

#[tokio::test]
async fn a_refused_login_is_yours_and_shows_no_password() {
    let server = Fake::start(|request, _| guarded(request).unwrap_or_default());
    let login = Login { username: "me".into(), password: "wrong".into() };
    let net = client(|settings| _ = settings.logins.insert(server.address.clone(), login));
    let error = net.repository(&server.address, "a/b").manifest("v1").await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (Kind::Yours, Some(401)));
    assert!(matches!(error.reason, Reason::Token { .. }));
    assert!(!format!("{error} {error:?}").contains("wrong"));
}

#[tokio::test]
async fn who_we_are_redirected_to_gets_no_login() {
    let other = Fake::start(|_, _| Reply::new(401).header("www-authenticate", "Basic realm=\"x\""));
    let place = other.url("blob");
    let server = Fake::start(move |request, _| match request.header("authorization") {
        None => Reply::new(401).header("www-authenticate", "Basic realm=\"x\""),
        Some(_) => Reply::new(307).header("location", place.clone()),
    });
    let login = Login { username: "me".into(), password: "pw".into() };
    let net = client(|settings| _ = settings.logins.insert(server.address.clone(), login));
    let error = net.repository(&server.address, "a").manifest("v1").await.unwrap_err();
    assert_eq!(error.status(), Some(401));
    let seen = other.seen.lock().unwrap();
    assert!(!seen.is_empty() && seen.iter().all(|request| request.header("authorization").is_none()));
}

#[tokio::test]
async fn passwords_are_sent_where_a_registry_wants_them() {
    let server = Fake::start(|request, _| match request.header("authorization") {
        Some("Basic bWU6cHc=") => Reply::body(MANIFEST),
        _ => Reply::new(401).header("www-authenticate", "Basic realm=\"x\""),
    });
    let login = Login { username: "me".into(), password: "pw".into() };
    let net = client(|settings| _ = settings.logins.insert(server.address.clone(), login));
    net.repository(&server.address, "a/b").manifest("v1").await.unwrap();
    let error = client(|_| {}).repository(&server.address, "a/b").manifest("v1").await.unwrap_err();
    assert_eq!((error.kind(), error.status(), error.tries), (Kind::Yours, Some(401), 1));
}

#[tokio::test]
async fn manifests_are_what_the_digest_says() {
    let server = Fake::start(|_, _| Reply::body(MANIFEST));
    let net = client(|settings| {
        settings.mirrors = Mirrors::parse([format!("*=http://{}", server.address)]).unwrap();
    });
    let repository = net.repository("quay.io", "a/b");
    let digest = Digest::of(MANIFEST);
    assert_eq!(repository.manifest(&digest.to_string()).await.unwrap().bytes, MANIFEST.as_bytes());
    let other = Digest::of("other");
    let error = repository.manifest(&other.to_string()).await.unwrap_err();
    assert!(matches!(error.reason, Reason::Mismatch { expected, actual } if (expected, actual) == (other, digest)));
    assert_eq!(error.url, format!("quay.io/a/b@{other}"));
    assert_eq!(server.asked()[0], format!("GET /v2/quay.io/a/b/manifests/{digest}"));
}

#[tokio::test]
async fn absent_is_an_answer() {
    let server = Fake::start(|request, _| match request.path.as_str() {
        "/v2/a/manifests/v1" => Reply::new(200).header("docker-content-digest", Digest::of("x").to_string()),
        "/v2/a/manifests/v2" => Reply::new(403),
        _ => Reply::new(404),
    });
    let net = client(|_| {});
    let repository = net.repository(&server.address, "a");
    assert_eq!(repository.head_manifest("v1").await.unwrap(), Some(Digest::of("x")));
    assert_eq!(repository.head_manifest("v0").await.unwrap(), None);
    assert_eq!(repository.head_blob(&Digest::of("x")).await.unwrap(), None);
    assert_eq!(repository.head_manifest("v2").await.unwrap_err().status(), Some(403));
}

#[tokio::test]
async fn tags_come_page_by_page() {
    let server = Fake::start(|request, _| match request.path.as_str() {
        "/v2/a/tags/list" => {
            Reply::body(r#"{"tags":["1","2"]}"#).header("link", "</v2/a/tags/list?last=2>; rel=\"next\"")
        }
        _ => Reply::body(r#"{"tags":["3"]}"#),
    });
    let net = client(|_| {});
    assert_eq!(net.repository(&server.address, "a").tags().await.unwrap(), ["1", "2", "3"]);
}

#[tokio::test]
async fn blobs_go_on_where_they_broke_off() {
    let bytes = noise(50_000);
    let served = bytes.clone();
    let server = Fake::start(move |request, number| {
        let reply = request.ranged(&served);
        if number == 1 { reply.cut(20_000) } else { reply }
    });
    let net = client(|_| {});
    let blob = Descriptor::of("x", &bytes);
    assert_eq!(net.repository(&server.address, "a").blob_bytes(&blob, 1 << 20).await.unwrap(), bytes);
    let longer = Descriptor::new("x", Digest::of("x"), 10);
    let error = net.repository(&server.address, "a").blob_bytes(&longer, 1 << 20).await.unwrap_err();
    assert!(matches!(error.reason, Reason::TooLarge { limit: 10 }), "{error}");
}

fn taking(request: &Request, number: usize) -> Reply {
    match request.method.as_str() {
        "HEAD" => Reply::new(404),
        "POST" => Reply::new(202).header("location", format!("/upload/{number}?state=s")),
        "PUT" if number == 0 => Reply::new(500),
        _ => Reply::new(if request.whole { 201 } else { 400 }),
    }
}

#[tokio::test]
async fn a_blob_is_sent_whole() {
    let bytes = noise(3_000_000);
    let server = Fake::start(taking);
    let net = client(|_| {});
    let sent = std::sync::atomic::AtomicU64::new(0);
    let count = |more| _ = sent.fetch_add(more, std::sync::atomic::Ordering::Relaxed);
    let open = || Ok(Cursor::new(bytes.clone()));
    let digest = Digest::of(&bytes);
    net.repository(&server.address, "a").upload_blob(&digest, 3_000_000, open, &count).await.unwrap();
    let seen = server.seen.lock().unwrap();
    let put = seen.iter().find(|request| request.method == "PUT").unwrap();
    assert!(put.body == bytes && put.path.starts_with("/upload/1?state=s&digest=sha256%3A"));
    assert_eq!(put.header("transfer-encoding"), None);
    assert_eq!(sent.into_inner(), 3_000_000);
}

#[tokio::test]
async fn an_empty_blob_is_a_blob() {
    let server = Fake::start(taking);
    let net = client(|_| {});
    let open = || Ok(Cursor::new(Vec::new()));
    net.repository(&server.address, "a").upload_blob(&Digest::of(""), 0, open, &|_| {}).await.unwrap();
    let seen = server.seen.lock().unwrap();
    assert_eq!(seen.last().and_then(|put| put.header("content-length")), Some("0"));
}

#[tokio::test]
async fn a_failed_upload_is_begun_again() {
    let server = Fake::start(|request, number| match (request.method.as_str(), request.path.as_str()) {
        ("PUT", path) if path.starts_with("/upload/1") => Reply::new(502),
        _ => taking(request, number),
    });
    let net = client(|_| {});
    let open = || Ok(Cursor::new(b"abc"));
    net.repository(&server.address, "a").upload_blob(&Digest::of("abc"), 3, open, &|_| {}).await.unwrap();
    let methods: Vec<_> = server.asked().iter().map(|asked| asked[..4].to_owned()).collect();
    assert_eq!(methods, ["POST", "PUT ", "HEAD", "POST", "PUT "]);
}

#[tokio::test]
async fn what_cannot_be_read_aborts_the_upload() {
    struct Bad(u64);
    impl std::io::Read for Bad {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.0 == 0 {
                return Err(std::io::Error::other("damaged"));
            }
            let n = (buffer.len() as u64).min(self.0);
            self.0 -= n;
            Ok(n as usize)
        }
    }
    let server = Fake::start(taking);
    let net = client(|_| {});
    let open = || Ok(Bad(2_500_000));
    let error = net.repository(&server.address, "a").upload_blob(&Digest::of("x"), 3_000_000, open, &|_| {}).await;
    let error = error.unwrap_err();
    assert!(matches!(&error.reason, Reason::Source(source) if source.to_string() == "damaged"), "{error}");
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(server.seen.lock().unwrap().iter().all(|request| request.method != "PUT" || !request.whole));
}

#[tokio::test]
async fn an_early_refusal_of_an_upload_is_understood() {
    // Says no after the headers alone, as a proxy with a limit does.
    let address = listen(|mut stream| {
        use std::io::{Read, Write};
        let mut head = [0; 16];
        stream.read_exact(&mut head).unwrap();
        let answer = if head.starts_with(b"POST") {
            "HTTP/1.1 202 x\r\nlocation: /u\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        } else {
            "HTTP/1.1 413 x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        };
        stream.write_all(answer.as_bytes()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
    });
    let net = client(|_| {});
    let open = || Ok(Cursor::new(vec![0; 30_000_000]));
    let sent = net.repository(&address, "a").upload_blob(&Digest::of("x"), 30_000_000, open, &|_| {}).await;
    assert_eq!(sent.unwrap_err().status(), Some(413));
}

#[tokio::test]
async fn a_mount_may_be_refused() {
    let server = Fake::start(|request, _| match request.path.contains("from=yes") {
        true => Reply::new(201),
        false if request.method == "DELETE" => Reply::new(204),
        false => Reply::new(202).header("location", "/upload/1"),
    });
    let net = client(|_| {});
    let repository = net.repository(&server.address, "a");
    let digest = Digest::of("x");
    assert!(repository.mount_blob(&digest, &net.repository(&server.address, "yes")).await.unwrap());
    assert!(!repository.mount_blob(&digest, &net.repository(&server.address, "no")).await.unwrap());
    assert!(server.asked().contains(&"DELETE /upload/1".to_owned()));
}
