//! A site's registry in memory: what `push` needs of the distribution protocol, with every request recorded. It takes
//! no blob whose bytes are not its digest's, and no manifest that names a blob its repository does not have; it keeps
//! what came of an upload that broke; and it misbehaves on request.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;

#[derive(Default)]
struct Held {
    /// `METHOD PATH`, in order.
    requests: Vec<String>,
    /// By `NAME/blobs/DIGEST`.
    blobs: BTreeMap<String, Bytes>,
    /// By `NAME/manifests/REFERENCE`: media type and document.
    manifests: BTreeMap<String, (String, Bytes)>,
    /// What came of each upload, by the number in its address.
    uploads: HashMap<String, Vec<u8>>,
    begun: usize,
    /// The number of the only good token, where one is wanted.
    token: Option<usize>,
    mishaps: Vec<(String, usize, Mishap)>,
}

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Mishap {
    /// It is answered with a status, an error's code, and how many seconds to wait.
    Status(u16, &'static str, Option<u64>),
    /// The connection breaks after so many bytes of its body.
    Break(usize),
    /// After so many bytes of its body nothing more is read, and nothing is said.
    Stall(usize),
    /// Every part of its body takes so long.
    Slow(Duration),
    /// After so many bytes of its body the token is good no more.
    Expire(usize),
    /// It is answered as if it had been done.
    Forget(u16),
}

/// A running registry. Dropping it stops it.
pub struct SiteRegistry {
    pub host: String,
    held: Arc<Mutex<Held>>,
    runtime: Option<Runtime>,
}

impl SiteRegistry {
    pub fn start() -> SiteRegistry {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let held = Arc::new(Mutex::new(Held::default()));
        let shared = held.clone();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let held = shared.clone();
                let service = service_fn(move |request| answer(held.clone(), request));
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
        SiteRegistry { host, held, runtime: Some(runtime) }
    }

    /// Requests that would change something.
    pub fn writes(&self) -> Vec<String> {
        let requests = self.requests();
        requests.into_iter().filter(|r| !r.starts_with("GET ") && !r.starts_with("HEAD ")).collect()
    }

    pub fn requests(&self) -> Vec<String> {
        lock(&self.held).requests.clone()
    }

    /// How many requests contain this.
    pub fn count(&self, part: &str) -> usize {
        self.requests().iter().filter(|request| request.contains(part)).count()
    }

    /// Every manifest's `NAME/manifests/REFERENCE`, sorted.
    pub fn manifests(&self) -> Vec<String> {
        lock(&self.held).manifests.keys().cloned().collect()
    }

    /// Everything it has, by its path, with the digest of its bytes.
    pub fn contents(&self) -> BTreeMap<String, String> {
        let held = lock(&self.held);
        let blobs = held.blobs.iter().map(|(path, bytes)| (path.clone(), digest(bytes)));
        blobs.chain(held.manifests.iter().map(|(path, (_, bytes))| (path.clone(), digest(bytes)))).collect()
    }

    /// Blobs come in so many bytes, the largest first: by `NAME/blobs/DIGEST`.
    pub fn blobs(&self) -> Vec<(String, usize)> {
        let held = lock(&self.held);
        let mut all: Vec<_> = held.blobs.iter().map(|(path, bytes)| (path.clone(), bytes.len())).collect();
        all.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
        all
    }

    /// From now on requests are refused whose `METHOD PATH` contains this.
    pub fn refuse(&self, part: &str, status: u16, code: &'static str) {
        self.mishap(part, usize::MAX, Mishap::Status(status, code, None));
    }

    /// What becomes of the next requests whose `METHOD PATH` contains this.
    pub fn mishap(&self, part: &str, times: usize, mishap: Mishap) {
        lock(&self.held).mishaps.push((part.to_owned(), times, mishap));
    }

    pub fn forget_mishaps(&self) {
        lock(&self.held).mishaps.clear();
    }

    /// From now on every request wants a token.
    pub fn want_tokens(&self) {
        lock(&self.held).token = Some(1);
    }

    pub fn forget_requests(&self) {
        lock(&self.held).requests.clear();
    }

    /// Puts other bytes where a manifest is.
    pub fn overwrite(&self, path: &str, bytes: &[u8]) {
        let mut held = lock(&self.held);
        let (_, document) = held.manifests.get_mut(path).unwrap_or_else(|| panic!("no {path}"));
        *document = bytes.to_vec().into();
    }

    /// It has nothing any more.
    pub fn empty(&self) {
        let mut held = lock(&self.held);
        *held = Held { token: held.token, ..Held::default() };
    }
}

impl Drop for SiteRegistry {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

type Answer = Response<Full<Bytes>>;

/// Without an answer the connection breaks.
async fn answer(held: Arc<Mutex<Held>>, request: Request<Incoming>) -> io::Result<Answer> {
    let (parts, mut body) = request.into_parts();
    let (method, uri, headers) = (parts.method, parts.uri, parts.headers);
    let line = format!("{method} {uri}");
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    lock(&held).requests.push(line.clone());
    if let Some(answer) = lock(&held).token_answer(&uri, text("host"), text("authorization")) {
        return Ok(answer);
    }
    let mishap = lock(&held).next_mishap(&line);
    let path = uri.path().strip_prefix("/v2/").unwrap_or_default().to_owned();
    let upload = path.rsplit_once("/blobs/uploads/").map(|(_, id)| id.to_owned());
    let upload = upload.filter(|_| method == Method::PUT || method == Method::PATCH);
    if let Some(Mishap::Status(code, word, after)) = &mishap {
        drain(body).await;
        return Ok(refused(*code, word, *after));
    }
    if let Some(refused) = upload.as_ref().and_then(|id| lock(&held).out_of_place(id, &headers)) {
        return Ok(refused);
    }
    let mut whole = Vec::new();
    loop {
        match mishap {
            Some(Mishap::Break(most)) if whole.len() >= most => return Err(io::ErrorKind::BrokenPipe.into()),
            Some(Mishap::Stall(most)) if whole.len() >= most => std::future::pending::<()>().await,
            Some(Mishap::Expire(most)) if whole.len() >= most => {
                drain(body).await;
                let mut held = lock(&held);
                held.token = held.token.map(|token| token + 1);
                return Ok(held.token_answer(&uri, text("host"), text("authorization")).unwrap());
            }
            Some(Mishap::Slow(pause)) => tokio::time::sleep(pause).await,
            _ => {}
        }
        let Some(frame) = body.frame().await else { break };
        let frame = frame.map_err(io::Error::other)?;
        let Some(part) = frame.data_ref() else { continue };
        match &upload {
            Some(id) => lock(&held).uploads.entry(id.clone()).or_default().extend_from_slice(part),
            None => whole.extend_from_slice(part),
        }
        if upload.is_some() {
            // Only how much it was.
            whole.resize(whole.len() + part.len(), 0);
        }
    }
    if let Some(Mishap::Forget(code)) = mishap {
        return Ok(status(StatusCode::from_u16(code).unwrap()));
    }
    let mut held = lock(&held);
    Ok(if let Some((name, rest)) = path.split_once("/blobs/") {
        held.blob(&method, name, rest, uri.query().unwrap_or_default())
    } else if path.contains("/manifests/") {
        held.manifest(&method, &path, text("content-type").to_owned(), whole.into())
    } else {
        status(StatusCode::OK)
    })
}

/// Takes the rest and forgets it: an answer that comes while the other side still sends may be lost with the connection.
async fn drain(mut body: Incoming) {
    while let Some(Ok(_)) = body.frame().await {}
}

impl Held {
    fn next_mishap(&mut self, line: &str) -> Option<Mishap> {
        let (_, left, mishap) =
            self.mishaps.iter_mut().find(|(part, left, _)| *left > 0 && line.contains(part.as_str()))?;
        *left = left.saturating_sub(usize::from(*left != usize::MAX));
        Some(mishap.clone())
    }

    /// A token, or that one is wanted.
    fn token_answer(&self, uri: &hyper::Uri, host: &str, given: &str) -> Option<Answer> {
        let token = self.token?;
        if uri.path() == "/token" {
            let mut response = status(StatusCode::OK);
            *response.body_mut() = Full::new(format!(r#"{{"token":"t{token}","expires_in":3600}}"#).into());
            return Some(response);
        }
        (given != format!("Bearer t{token}")).then(|| {
            let mut response = refused(401, "UNAUTHORIZED", None);
            let challenge = format!(r#"Bearer realm="http://{host}/token",service="site""#);
            response.headers_mut().insert("www-authenticate", challenge.parse().unwrap());
            response
        })
    }

    /// Parts follow each other.
    fn out_of_place(&self, id: &str, headers: &HeaderMap) -> Option<Answer> {
        let range = headers.get("content-range").and_then(|value| value.to_str().ok());
        let from = range.map_or(Some(0), |range| range.split('-').next().unwrap().parse().ok());
        let length = headers.get("content-length").and_then(|value| value.to_str().ok());
        let has = self.uploads.get(id).map(Vec::len);
        let right = has.is_some() && (from == has || range.is_none() && length == Some("0"));
        (!right).then(|| status(if has.is_some() { StatusCode::RANGE_NOT_SATISFIABLE } else { StatusCode::NOT_FOUND }))
    }

    fn blob(&mut self, method: &Method, name: &str, rest: &str, query: &str) -> Answer {
        let asked = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key)).map(|v| v.replace("%3A", ":"));
        let upload = rest.strip_prefix("uploads/").unwrap_or_default();
        match *method {
            Method::POST => {
                let wanted = asked("mount=").zip(asked("from="));
                let mounted = wanted.and_then(|(digest, from)| {
                    let bytes = self.blobs.get(&format!("{from}/blobs/{digest}"))?.clone();
                    Some((format!("{name}/blobs/{digest}"), bytes))
                });
                if let Some((path, bytes)) = mounted {
                    self.blobs.insert(path, bytes);
                    return status(StatusCode::CREATED);
                }
                self.begun += 1;
                self.uploads.insert(self.begun.to_string(), Vec::new());
                located(StatusCode::ACCEPTED, &format!("/v2/{name}/blobs/uploads/{}", self.begun))
            }
            Method::PUT => {
                let bytes: Bytes = self.uploads.remove(upload).unwrap_or_default().into();
                if asked("digest=") != Some(digest(&bytes)) {
                    return refused(400, "DIGEST_INVALID", None);
                }
                self.blobs.insert(format!("{name}/blobs/{}", digest(&bytes)), bytes);
                status(StatusCode::CREATED)
            }
            Method::DELETE => {
                self.uploads.remove(upload);
                status(StatusCode::NO_CONTENT)
            }
            Method::GET if !upload.is_empty() => match self.uploads.get(upload) {
                Some(bytes) => {
                    let mut response = located(StatusCode::NO_CONTENT, &format!("/v2/{name}/blobs/uploads/{upload}"));
                    let range = format!("0-{}", bytes.len().saturating_sub(1));
                    response.headers_mut().insert("range", range.parse().unwrap());
                    response
                }
                None => status(StatusCode::NOT_FOUND),
            },
            _ => match self.blobs.get(&format!("{name}/blobs/{rest}")) {
                Some(bytes) => sent(method, "application/octet-stream", bytes),
                None => status(StatusCode::NOT_FOUND),
            },
        }
    }

    fn manifest(&mut self, method: &Method, path: &str, kind: String, body: Bytes) -> Answer {
        if *method != Method::PUT {
            return match self.manifests.get(path) {
                Some((kind, bytes)) => sent(method, kind, bytes),
                None => status(StatusCode::NOT_FOUND),
            };
        }
        let name = path.split("/manifests/").next().unwrap_or_default();
        if !self.whole(name, &body) {
            return status(StatusCode::BAD_REQUEST);
        }
        self.manifests.insert(format!("{name}/manifests/{}", digest(&body)), (kind.clone(), body.clone()));
        self.manifests.insert(path.to_owned(), (kind, body));
        status(StatusCode::CREATED)
    }

    /// Whether everything a manifest names is in its repository.
    fn whole(&self, name: &str, manifest: &Bytes) -> bool {
        let Ok(document) = serde_json::from_slice::<Value>(manifest) else { return false };
        let list = |key: &str| document[key].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value["digest"].as_str().unwrap_or_default().to_owned();
        let blobs = list("layers").into_iter().chain(document.get("config").cloned());
        blobs.into_iter().all(|blob| self.blobs.contains_key(&format!("{name}/blobs/{}", text(&blob))))
            && list("manifests").iter().all(|m| self.manifests.contains_key(&format!("{name}/manifests/{}", text(m))))
    }
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn status(code: StatusCode) -> Answer {
    let mut response = Response::new(Full::default());
    *response.status_mut() = code;
    response
}

fn refused(code: u16, word: &str, after: Option<u64>) -> Answer {
    let mut response = status(StatusCode::from_u16(code).unwrap());
    let text = serde_json::json!({"errors": [{"code": word, "message": "as the test wants it"}]}).to_string();
    *response.body_mut() = Full::new(text.into());
    response.headers_mut().extend(after.map(|seconds| (hyper::header::RETRY_AFTER, seconds.into())));
    response
}

fn located(code: StatusCode, place: &str) -> Answer {
    let mut response = status(code);
    response.headers_mut().insert("location", place.parse().unwrap());
    response
}

fn sent(method: &Method, kind: &str, bytes: &Bytes) -> Answer {
    let body = if *method == Method::HEAD { Bytes::new() } else { bytes.clone() };
    let mut response = Response::new(Full::new(body));
    let headers = response.headers_mut();
    headers.insert("content-type", kind.parse().unwrap());
    headers.insert("docker-content-digest", digest(bytes).parse().unwrap());
    headers.insert("content-length", bytes.len().into());
    response
}
