//! A server for unit tests that answers as it is told, and breaks off where it is told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::digest::Digest;
use crate::net::{Client, Settings};

/// A request as it came; a body that broke off is as long as what came of it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub method: String,
    /// Path and query.
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    pub whole: bool,
}

/// What to answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The connection is closed after so many bytes of the body.
    pub cut: Option<usize>,
    /// How long it takes before anything comes.
    pub delay: Duration,
}

/// A server that is there as long as this is.
pub(crate) struct Fake {
    /// Host and port.
    pub address: String,
    pub seen: Arc<Mutex<Vec<Request>>>,
}

impl Reply {
    pub fn new(status: u16) -> Reply {
        Reply { status, ..Reply::default() }
    }

    pub fn body(body: impl Into<Vec<u8>>) -> Reply {
        Reply { body: body.into(), ..Reply::new(200) }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Reply {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn cut(self, after: usize) -> Reply {
        Reply { cut: Some(after), ..self }
    }
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The answer with the part that was asked for.
    pub fn ranged(&self, body: &[u8]) -> Reply {
        let start =
            self.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let Some(start): Option<usize> = start else { return Reply::body(body) };
        let range = format!("bytes {start}-{}/{}", body.len() - 1, body.len());
        Reply { status: 206, ..Reply::body(&body[start..]) }.header("content-range", range)
    }
}

impl Fake {
    pub fn start(answer: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Fake {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        let address = listen(move |stream| serve(stream, &answer, &log));
        Fake { address, seen }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// `METHOD path` of all requests.
    pub fn asked(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|request| format!("{} {}", request.method, request.path)).collect()
    }
}

/// Serves every connection in a thread of its own; the address.
#[allow(clippy::disallowed_methods)] // Tests need servers.
pub(crate) fn listen(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// A client that does not wait long.
pub(crate) fn client(change: impl FnOnce(&mut Settings)) -> Client {
    let pause = Duration::from_millis(1);
    let mut settings = Settings { tries: 3, pause, timeout: Duration::from_secs(5), ..Settings::default() };
    change(&mut settings);
    Client::new(settings)
}

/// Bytes that are nowhere the same, so that a wrong place is noticed.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let blocks = (0..length.div_ceil(64)).map(|n| Digest::of(n.to_string()).hex());
    let mut bytes = blocks.collect::<String>().into_bytes();
    bytes.truncate(length);
    bytes
}

fn serve(stream: TcpStream, answer: &dyn Fn(&Request, usize) -> Reply, log: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read(&mut reader) {
        let number = {
            let mut log = log.lock().unwrap();
            log.push(request.clone());
            log.iter().filter(|other| other.path == request.path && other.method == request.method).count()
        };
        let reply = answer(&request, number);
        std::thread::sleep(reply.delay);
        if write(&stream, &request, &reply).is_err() || reply.cut.is_some() || !request.whole {
            let _ = stream.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = Vec::new();
    let _ = reader.take(length).read_to_end(&mut body);
    let whole = body.len() as u64 == length;
    Some(Request { method, path, headers, body, whole })
}

fn write(mut stream: &TcpStream, request: &Request, reply: &Reply) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} x\r\ncontent-length: {}\r\n", reply.status, reply.body.len());
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all((head + "\r\n").as_bytes())?;
    if request.method != "HEAD" {
        stream.write_all(&reply.body[..reply.cut.unwrap_or(reply.body.len())])?;
    }
    Ok(())
}
