//! Uploads into a registry that breaks off, keeps what it has, and lies about it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::kept;
use crate::digest::Digest;
use crate::net::fake::{Fake, Reply, Request, client, listen, noise};
use crate::net::{Client, Error, Login, Reason};

const SIZE: usize = 9_000_000;
const PATIENCE: Duration = Duration::from_millis(300);

/// What becomes of one PUT.
#[derive(Clone, Copy)]
enum Fate {
    /// The connection breaks after so many bytes more.
    Breaks(usize),
    /// Nothing more is read after so many bytes.
    Stalls(usize),
    /// Refused, after everything was read.
    Refused(u16),
}

/// What it says to whoever asks how much it has.
#[derive(Clone, Copy)]
enum Says {
    Truth,
    /// So many bytes more than it has.
    More(u64),
    /// The truth, of bytes that are others by now.
    Rotten,
    /// It does not know uploads that broke.
    Gone,
}

/// A registry of one blob at a time.
struct Keeping {
    address: String,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    /// The upload that was begun last.
    session: usize,
    bytes: Vec<u8>,
    fates: VecDeque<Fate>,
    /// `METHOD`, or `PUT` with the place it goes on at.
    asked: Vec<String>,
    blob: Option<Vec<u8>>,
}

impl Keeping {
    fn new(fates: &[Fate], says: Says) -> Keeping {
        let held = Arc::new(Mutex::new(Held { fates: fates.iter().copied().collect(), ..Held::default() }));
        let shared = held.clone();
        Keeping { address: listen(move |stream| serve(&stream, &shared, says)), held }
    }

    async fn upload(&self, bytes: &[u8]) -> Result<(), Error> {
        let net = client(|settings| settings.timeout = PATIENCE);
        let open = || Ok(Cursor::new(bytes.to_vec()));
        let digest = Digest::of(bytes);
        net.repository(&self.address, "a").upload_blob(&digest, bytes.len() as u64, open, &|_| {}).await
    }

    fn asked(&self) -> Vec<String> {
        self.held.lock().unwrap().asked.clone()
    }
}

fn serve(stream: &TcpStream, held: &Mutex<Held>, says: Says) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut line, mut length, mut range) = (String::new(), 0, String::new());
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let (method, path) = line.split_once(' ').map(|(m, p)| (m.to_owned(), p.to_owned())).unwrap();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            let Some((name, value)) = header.trim_end().split_once(": ") else { break };
            match name.to_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap(),
                "content-range" => value.clone_into(&mut range),
                _ => {}
            }
        }
        let fate = (method == "PUT").then(|| held.lock().unwrap().fates.pop_front()).flatten();
        let most = match fate {
            Some(Fate::Breaks(most) | Fate::Stalls(most)) => most,
            _ => length,
        };
        let mut body = vec![0; most.min(length)];
        reader.read_exact(&mut body).unwrap();
        if method == "PUT" {
            put(&mut held.lock().unwrap(), &range, body);
        }
        match fate {
            Some(Fate::Breaks(_)) => return drop(stream.shutdown(Shutdown::Both)),
            Some(Fate::Stalls(_)) => return std::thread::sleep(PATIENCE * 5),
            _ => {}
        }
        let answer = answer(&mut held.lock().unwrap(), &method, &path, fate, says);
        (&*stream).write_all(answer.as_bytes()).unwrap();
    }
}

fn put(held: &mut Held, range: &str, body: Vec<u8>) {
    held.asked.push(format!("PUT {range}"));
    let from = range.split('-').next().filter(|from| !from.is_empty()).map_or(0, |from| from.parse().unwrap());
    if from == held.bytes.len() || !range.is_empty() {
        held.bytes.extend(body);
    }
}

fn answer(held: &mut Held, method: &str, path: &str, fate: Option<Fate>, says: Says) -> String {
    if method != "PUT" {
        held.asked.push(method.to_owned());
    }
    let place = |held: &Held| format!("location: /v2/a/blobs/uploads/{}\r\n", held.session);
    let (status, headers) = match (method, says) {
        ("POST", _) => {
            held.session += 1;
            held.bytes.clear();
            (202, place(held))
        }
        ("GET", Says::Gone) => (404, String::new()),
        ("GET", says) => {
            if matches!(says, Says::Rotten) {
                held.bytes[0] ^= 1;
            }
            let more = if let Says::More(more) = says { more } else { 0 };
            let last = (held.bytes.len() as u64 + more).saturating_sub(1);
            (204, format!("{}range: 0-{last}\r\n", place(held)))
        }
        ("PUT", _) => match fate {
            Some(Fate::Refused(status)) => (status, String::new()),
            _ if path.contains(&Digest::of(&held.bytes).hex()) => {
                held.blob = Some(held.bytes.clone());
                (201, String::new())
            }
            _ => (400, String::new()),
        },
        ("HEAD", _) if held.blob.is_some() => (200, String::new()),
        ("HEAD", _) => (404, String::new()),
        _ => (204, String::new()),
    };
    format!("HTTP/1.1 {status} x\r\n{headers}content-length: 0\r\n\r\n")
}

#[test]
fn what_registries_keep() {
    for (text, expected) in [
        ("0-99", Some(100)),
        ("bytes=0-99", Some(100)),
        ("0-0", Some(0)),
        ("5-9", None),
        ("0--1", None),
        ("", None),
        ("0-18446744073709551615", None),
    ] {
        assert_eq!(kept(text), expected, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_broke_goes_on() {
    let bytes = noise(SIZE);
    // More often than there are tries: each of them gets on.
    let fates = [Fate::Breaks(3_000_000), Fate::Stalls(1_500_000), Fate::Breaks(1_500_000), Fate::Breaks(1_200_000)];
    let registry = Keeping::new(&fates, Says::Truth);
    registry.upload(&bytes).await.unwrap();
    assert!(registry.held.lock().unwrap().blob.as_ref() == Some(&bytes));
    let puts: Vec<_> = registry.asked().into_iter().filter(|asked| asked.starts_with("PUT")).collect();
    let expected = ["PUT ", "PUT 3000000-8999999", "PUT 4500000-8999999", "PUT 6000000-8999999", "PUT 7200000-8999999"];
    assert_eq!(puts, expected);
    assert_eq!(registry.asked().iter().filter(|asked| *asked == "POST").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_costs_nothing() {
    let bytes = noise(SIZE);
    let registry = Keeping::new(&[Fate::Breaks(SIZE)], Says::Truth);
    registry.upload(&bytes).await.unwrap();
    // It had everything but the order to keep it.
    assert_eq!(registry.asked(), ["POST", "PUT ", "HEAD", "GET", "PUT "]);
    assert!(registry.held.lock().unwrap().blob.as_ref() == Some(&bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_registry_cannot_have_is_not_believed() {
    let bytes = noise(SIZE);
    for says in [Says::More(SIZE as u64), Says::Gone] {
        let registry = Keeping::new(&[Fate::Breaks(3_000_000)], says);
        registry.upload(&bytes).await.unwrap();
        let methods = registry.asked();
        assert_eq!(methods, ["POST", "PUT ", "HEAD", "GET", "POST", "PUT "]);
        assert!(registry.held.lock().unwrap().blob.as_ref() == Some(&bytes));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_digest_decides_over_what_was_put_together() {
    let bytes = noise(SIZE);
    let registry = Keeping::new(&[Fate::Breaks(2_000_000)], Says::Rotten);
    registry.upload(&bytes).await.unwrap();
    assert!(registry.held.lock().unwrap().blob.as_ref() == Some(&bytes));
    let puts: Vec<_> = registry.asked().into_iter().filter(|asked| asked.starts_with("P")).collect();
    assert_eq!(puts, ["POST", "PUT ", "PUT 2000000-8999999", "POST", "PUT "]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_takes_no_parts_gets_the_whole() {
    let bytes = noise(SIZE);
    for status in [400, 404, 416] {
        let registry = Keeping::new(&[Fate::Breaks(2_000_000), Fate::Refused(status)], Says::Truth);
        registry.upload(&bytes).await.unwrap();
        let puts: Vec<_> = registry.asked().into_iter().filter(|asked| asked.starts_with("P")).collect();
        assert_eq!(puts, ["POST", "PUT ", "PUT 2000000-8999999", "POST", "PUT "], "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_break_that_gets_nowhere_is_given_up_and_taken_back() {
    let registry = Keeping::new(&[Fate::Breaks(500_000); 3], Says::Truth);
    let error = registry.upload(&noise(SIZE)).await.unwrap_err();
    assert_eq!(error.tries, 3);
    assert!(matches!(error.reason, Reason::Interrupted { expected: Some(9_000_000), .. }), "{error}");
    assert_eq!(registry.asked().last().map(String::as_str), Some("DELETE"));
}

/// Wants another token for each PUT but those from `good` on.
fn forgetful(good: usize) -> Fake {
    let puts = Arc::new(Mutex::new(0));
    Fake::start(move |request: &Request, number| {
        if request.path.starts_with("/token?") {
            return Reply::body(format!(r#"{{"token":"t{number}","expires_in":3600}}"#));
        }
        let host = request.header("host").unwrap();
        let challenge = format!(r#"Bearer realm="http://{host}/token",service="r""#);
        let wanted = Reply::new(401).header("www-authenticate", challenge);
        match request.method.as_str() {
            _ if request.header("authorization").is_none() => wanted,
            "HEAD" => Reply::new(404),
            "POST" => Reply::new(202).header("location", format!("/v2/a/blobs/uploads/{number}")),
            "PUT" => {
                let mut puts = puts.lock().unwrap();
                *puts += 1;
                if *puts < good { wanted } else { Reply::new(201) }
            }
            _ => Reply::new(404),
        }
    })
}

fn with_login(server: &Fake) -> Client {
    let login = Login { username: "me".into(), password: "pw".into() };
    client(|settings| _ = settings.logins.insert(server.address.clone(), login))
}

#[tokio::test]
async fn a_token_that_expires_in_mid_blob_is_fetched_anew() {
    let bytes = noise(2_000_000);
    let server = forgetful(2);
    let open = || Ok(Cursor::new(bytes.clone()));
    let repository = with_login(&server).repository(&server.address, "a");
    repository.upload_blob(&Digest::of(&bytes), 2_000_000, open, &|_| {}).await.unwrap();
    let seen = server.seen.lock().unwrap();
    let puts: Vec<_> = seen.iter().filter(|request| request.method == "PUT").collect();
    assert_eq!(puts.len(), 2);
    assert_ne!(puts[0].header("authorization"), puts[1].header("authorization"));
}

#[tokio::test]
async fn a_registry_that_is_never_content_with_a_token_is_given_up() {
    let server = forgetful(usize::MAX);
    let open = || Ok(Cursor::new(noise(2_000_000)));
    let repository = with_login(&server).repository(&server.address, "a");
    let error = repository.upload_blob(&Digest::of("x"), 2_000_000, open, &|_| {}).await.unwrap_err();
    assert_eq!(error.status(), Some(401));
}

#[tokio::test]
async fn a_token_that_mounts_has_leave_for_both_repositories() {
    let server = Fake::start(|request, _| {
        let host = request.header("host").unwrap();
        if request.path.starts_with("/token?") {
            let both = request.path.contains("scope=repository%3Ato%3Apull%2Cpush")
                && request.path.contains("scope=repository%3Afrom%3Apull");
            return if both { Reply::body(r#"{"token":"both"}"#) } else { Reply::new(403) };
        }
        let challenge = format!(r#"Bearer realm="http://{host}/token",service="r""#);
        match request.header("authorization") {
            Some("Bearer both") => Reply::new(201),
            _ => Reply::new(401).header("www-authenticate", challenge),
        }
    });
    let net = client(|_| {});
    let (from, to) = (net.repository(&server.address, "from"), net.repository(&server.address, "to"));
    assert!(to.mount_blob(&Digest::of("x"), &from).await.unwrap());
    // No token for the two of them: the blob can still be sent.
    let other = net.repository(&server.address, "secret");
    assert!(!to.mount_blob(&Digest::of("x"), &other).await.unwrap());
}

#[tokio::test]
async fn a_registry_that_says_another_digest_is_not_believed() {
    let server = Fake::start(|request, _| match request.method.as_str() {
        "POST" => Reply::new(202).header("location", "/u"),
        "PUT" => Reply::new(201).header("docker-content-digest", Digest::of("other").to_string()),
        _ => Reply::new(404),
    });
    let repository = client(|_| {}).repository(&server.address, "a");
    let error = repository.upload_blob(&Digest::of("x"), 1, || Ok(Cursor::new(b"x")), &|_| {}).await.unwrap_err();
    assert!(matches!(error.reason, Reason::Mismatch { .. }), "{error}");
}
