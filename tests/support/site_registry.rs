//! A site's registry in memory: what `push` needs of the distribution protocol, with every request recorded. It takes
//! no blob whose bytes are not its digest's, and no manifest that names a blob it does not have.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
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
    /// By digest.
    blobs: HashMap<String, Bytes>,
    /// By `NAME/manifests/REFERENCE`: media type and document.
    manifests: HashMap<String, (String, Bytes)>,
    /// Requests whose `METHOD PATH` contains the text are answered with the status and an error's code.
    refusal: Option<(String, u16, String)>,
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

    /// Every manifest's `NAME/manifests/REFERENCE`, sorted.
    pub fn manifests(&self) -> Vec<String> {
        let mut names: Vec<String> = lock(&self.held).manifests.keys().cloned().collect();
        names.sort();
        names
    }

    /// From now on requests are refused whose `METHOD PATH` contains this.
    pub fn refuse(&self, part: &str, status: u16, code: &str) {
        lock(&self.held).refusal = Some((part.to_owned(), status, code.to_owned()));
    }

    pub fn forget_requests(&self) {
        lock(&self.held).requests.clear();
    }
}

impl Drop for SiteRegistry {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn lock(held: &Mutex<Held>) -> std::sync::MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

type Answer = Response<Full<Bytes>>;

async fn answer(held: Arc<Mutex<Held>>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let kind = request.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let body = request.into_body().collect().await.map(|body| body.to_bytes());
    let mut held = lock(&held);
    held.requests.push(format!("{method} {uri}"));
    if let Some((_, code, word)) = held.refusal.as_ref().filter(|(part, ..)| format!("{method} {uri}").contains(part)) {
        let text = serde_json::json!({"errors": [{"code": word, "message": "as the test wants it"}]}).to_string();
        let mut response = status(StatusCode::from_u16(*code).unwrap());
        *response.body_mut() = Full::new(text.into());
        return Ok(response);
    }
    let Ok(body) = body else { return Ok(status(StatusCode::BAD_REQUEST)) };
    let path = uri.path().strip_prefix("/v2/").unwrap_or_default().to_owned();
    Ok(if let Some((name, rest)) = path.split_once("/blobs/") {
        held.blob(&method, name, rest, uri.query().unwrap_or_default(), body)
    } else if path.contains("/manifests/") {
        held.manifest(&method, &path, kind, body)
    } else {
        status(StatusCode::OK)
    })
}

impl Held {
    fn blob(&mut self, method: &Method, name: &str, rest: &str, query: &str, body: Bytes) -> Answer {
        let asked = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key)).map(|v| v.replace("%3A", ":"));
        match *method {
            Method::POST => match asked("mount=") {
                Some(digest) if self.blobs.contains_key(&digest) => status(StatusCode::CREATED),
                _ => located(StatusCode::ACCEPTED, &format!("/v2/{name}/blobs/uploads/1")),
            },
            Method::PUT if asked("digest=") == Some(digest(&body)) => {
                self.blobs.insert(digest(&body), body);
                status(StatusCode::CREATED)
            }
            Method::PUT => status(StatusCode::BAD_REQUEST),
            Method::DELETE => status(StatusCode::NO_CONTENT),
            _ => match self.blobs.get(rest) {
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

    /// Whether everything a manifest names is here.
    fn whole(&self, name: &str, manifest: &Bytes) -> bool {
        let Ok(document) = serde_json::from_slice::<Value>(manifest) else { return false };
        let list = |key: &str| document[key].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value["digest"].as_str().unwrap_or_default().to_owned();
        let blobs = list("layers").into_iter().chain(document.get("config").cloned());
        blobs.into_iter().all(|blob| self.blobs.contains_key(&text(&blob)))
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
