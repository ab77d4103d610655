//! Owns a request as the parts of the server see it and the answer they give, up to what of it is sent: a range,
//! the headers alone, or nothing new.

use std::fs::File;
use std::path::Path;

use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::json;

use super::Result;

/// A request without its body.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    /// Path and query as they were sent.
    pub raw: String,
    /// The path alone, with `%2B` and the like resolved.
    pub path: String,
    pub range: Option<String>,
    /// What is sent as a login.
    pub authorization: Option<String>,
    if_range: Option<String>,
    if_none_match: Option<String>,
}

impl Asked {
    pub fn new<B>(request: &hyper::Request<B>) -> Asked {
        let text = |name: HeaderName| Some(request.headers().get(name)?.to_str().ok()?.to_owned());
        let uri = request.uri();
        let host = text(header::HOST).unwrap_or_default();
        Asked {
            method: request.method().clone(),
            raw: at_host(&host, uri.path_and_query().map_or("/", |both| both.as_str())),
            path: at_host(&host, &unescape(uri.path())),
            authorization: text(header::AUTHORIZATION),
            range: text(header::RANGE),
            if_range: text(header::IF_RANGE),
            if_none_match: text(header::IF_NONE_MATCH),
        }
    }

    fn is_registry(&self) -> bool {
        self.path.starts_with("/v2/")
    }
}

/// A client without a mirror asks hosts by their names, as one behind a proxy does: the same as their paths here.
fn at_host(host: &str, path: &str) -> String {
    let bare = host.split(':').next().unwrap_or_default();
    if bare.is_empty() || bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok() {
        return path.to_owned();
    }
    match path.strip_prefix("/v2/") {
        // Whether there is a registry at all, every host may be asked.
        Some("") => path.to_owned(),
        Some(rest) => format!("/v2/{host}/{rest}"),
        None => format!("/{host}{path}"),
    }
}

fn unescape(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = tail.get(..2).filter(|_| *first == b'%').and_then(|two| std::str::from_utf8(two).ok());
        let (byte, tail) = match escaped.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => (byte, &tail[2..]),
            None => (*first, tail),
        };
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub enum Content {
    Bytes(Bytes),
    /// Opened already, so that what can fail has failed before the headers are sent.
    File(File),
    /// Noise of this seed.
    Noise(u64),
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub content: Content,
    /// Length of the whole content; of it `length` bytes from `start` on are sent.
    pub whole: u64,
    pub start: u64,
    pub length: u64,
    ranges: bool,
}

impl Reply {
    fn new(status: StatusCode, kind: &str, content: Content, whole: u64) -> Reply {
        let reply = Reply { status, headers: HeaderMap::new(), content, whole, start: 0, length: whole, ranges: false };
        reply.header("Content-Type", kind)
    }

    pub fn bytes(kind: &str, bytes: Bytes) -> Reply {
        let whole = bytes.len() as u64;
        Reply::new(StatusCode::OK, kind, Content::Bytes(bytes), whole)
    }

    /// A file of the disk, or `None` if there is no such file.
    pub fn file(kind: &str, path: &Path) -> Result<Option<Reply>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{}: {error}", path.display()).into()),
        };
        let facts = file.metadata()?;
        Ok(facts.is_file().then(|| Reply::new(StatusCode::OK, kind, Content::File(file), facts.len())))
    }

    /// So many bytes of noise.
    pub fn noise(kind: &str, seed: u64, length: u64) -> Reply {
        Reply::new(StatusCode::OK, kind, Content::Noise(seed), length)
    }

    pub fn json(value: &impl serde::Serialize) -> Reply {
        let text = serde_json::to_vec(value).unwrap_or_default();
        Reply::bytes("application/json", text.into())
    }

    /// A failure in the words of a registry, or of a web server.
    pub fn failure(asked: &Asked, status: StatusCode, code: &str, message: &str) -> Reply {
        let mut reply = if asked.is_registry() {
            Reply::json(&json!({"errors": [{"code": code, "message": message}]}))
        } else {
            Reply::bytes("text/plain", format!("{status}: {message}\n").into())
        };
        reply.status = status;
        reply
    }

    pub fn not_found(asked: &Asked) -> Reply {
        Reply::failure(asked, StatusCode::NOT_FOUND, "NOT_FOUND", "there is no such thing here")
    }

    /// Adds a header; one that HTTP can't carry is left out.
    pub fn header(mut self, name: &str, value: &str) -> Reply {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Says what identifies this content, which lets a client ask whether it changed.
    pub fn tagged(self, tag: &str) -> Reply {
        self.header("ETag", &format!("\"{tag}\""))
    }

    /// Lets parts of it be asked for.
    pub fn in_ranges(mut self) -> Reply {
        self.ranges = true;
        self.header("Accept-Ranges", "bytes")
    }

    /// What is sent of it, given what the request says about ranges and about what the client has.
    pub fn narrowed(self, asked: &Asked) -> Reply {
        if self.status != StatusCode::OK {
            return self;
        }
        if self.has_tag(asked.if_none_match.as_deref()) {
            return self.emptied(StatusCode::NOT_MODIFIED);
        }
        let still_valid = asked.if_range.is_none() || self.has_tag(asked.if_range.as_deref());
        match asked.range.as_deref().and_then(|range| self.wanted(range)) {
            Some(wanted) if self.ranges && still_valid && asked.method == Method::GET => self.cut(wanted),
            _ => self,
        }
    }

    fn has_tag(&self, asked: Option<&str>) -> bool {
        asked.is_some_and(|asked| self.headers.get(header::ETAG).is_some_and(|tag| tag.as_bytes() == asked.as_bytes()))
    }

    fn cut(mut self, (start, length): (u64, u64)) -> Reply {
        if length == 0 {
            let all = format!("bytes */{}", self.whole);
            return self.emptied(StatusCode::RANGE_NOT_SATISFIABLE).header("Content-Range", &all);
        }
        self.status = StatusCode::PARTIAL_CONTENT;
        (self.start, self.length) = (start, length);
        let range = format!("bytes {start}-{}/{}", start + length - 1, self.whole);
        self.header("Content-Range", &range)
    }

    fn emptied(mut self, status: StatusCode) -> Reply {
        self.status = status;
        self.content = Content::Bytes(Bytes::new());
        (self.whole, self.length) = (0, 0);
        self
    }

    /// Start and length of one asked range, of length 0 if it lies outside. Several ranges, or what makes no sense,
    /// are `None`: as the standard allows, everything is sent then.
    fn wanted(&self, range: &str) -> Option<(u64, u64)> {
        let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
        let whole = self.whole;
        if first.is_empty() {
            let length = last.parse::<u64>().ok()?.min(whole);
            return Some((whole - length, length));
        }
        let start = first.parse::<u64>().ok()?;
        let end = if last.is_empty() { u64::MAX } else { last.parse::<u64>().ok()?.checked_add(1)? };
        if end <= start {
            return None;
        }
        Some((start, end.min(whole).saturating_sub(start)))
    }
}
