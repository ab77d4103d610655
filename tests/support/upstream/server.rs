//! Owns the server: its connections, and which part of this internet answers a request.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_blocking;

use super::charts::Charts;
use super::config::Live;
use super::counts::Counts;
use super::faults::{Delivery, Faults};
use super::registry::Registry;
use super::reply::{Asked, Reply};
use super::send::{Body, response};
use super::tools::{self, Tools};
use super::{Result, control, repository};

/// What a control request may have as body.
const CONTROL_BODY: usize = 1 << 20;

/// Everything there is on this internet, and what happened on it.
pub struct World {
    pub settings: Live,
    pub charts: Charts,
    pub registry: Registry,
    pub tools: Tools,
    pub counts: Counts,
    pub faults: Faults,
}

impl World {
    /// The answer to a request on which no fault struck.
    fn answer(&self, asked: &Asked) -> Reply {
        if asked.method != Method::GET && asked.method != Method::HEAD {
            let message = "this internet is read-only";
            return Reply::failure(asked, StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message);
        }
        if let Some(refusal) = self.refused(asked) {
            return refusal;
        }
        match self.find(asked) {
            Ok(reply) => reply.unwrap_or_else(|| Reply::not_found(asked)),
            Err(e) => Reply::failure(asked, StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", &e.to_string()),
        }
    }

    /// The refusal of somebody who is not known.
    fn refused(&self, asked: &Asked) -> Option<Reply> {
        let settings = self.settings.current().ok()?;
        let (_, login) = settings.logins.iter().find(|(part, _)| asked.path.contains(part.as_str()))?;
        let known = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(login));
        let refusal = || Reply::failure(asked, StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "log in");
        (asked.authorization.as_ref() != Some(&known))
            .then(|| refusal().header("WWW-Authenticate", "Basic realm=\"here\""))
    }

    fn find(&self, asked: &Asked) -> Result<Option<Reply>> {
        let settings = self.settings.current()?;
        if asked.path == "/v2" || asked.path.starts_with("/v2/") {
            return self.registry.answer(&self.charts, &settings, asked).map(Some);
        }
        if let Some(reply) = tools::extra(&settings, asked)? {
            return Ok(Some(reply));
        }
        match self.tools.answer(&settings, asked)? {
            Some(reply) => Ok(Some(reply)),
            None => repository::answer(&self.charts, &settings, asked),
        }
    }
}

/// Serves until it is dropped.
pub async fn serve(listener: TcpListener, world: Arc<World>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream, world.clone()))),
            // Out of descriptors, most likely: it passes.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn connection(stream: TcpStream, world: Arc<World>) {
    // Small answers must not wait for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| handle(world.clone(), request));
    // A client that goes away, or a fault that cuts it off, ends the connection with an error: that is its end.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn handle(world: Arc<World>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let asked = Asked::new(&request);
    if asked.path.starts_with(control::PREFIX) {
        return Ok(controlled(world, asked, request).await);
    }
    let reply = match world.faults.answer(&asked) {
        Some(reply) => reply,
        None if world.faults.deaf_to_ranges(&asked) => answered(&world, &asked).await,
        None => answered(&world, &asked).await.narrowed(&asked),
    };
    let delivery = world.faults.delivery(&asked, &reply);
    let entry = world.counts.record(&asked, reply.status.as_u16());
    Ok(response(&asked, reply, delivery, entry))
}

/// Making things up reads, packs and hashes: not on the threads that serve the others.
async fn answered(world: &Arc<World>, asked: &Asked) -> Reply {
    let (world, question) = (world.clone(), asked.clone());
    let reply = spawn_blocking(move || world.answer(&question)).await;
    reply.unwrap_or_else(|e| Reply::failure(asked, StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", &e.to_string()))
}

async fn controlled(world: Arc<World>, asked: Asked, request: Request<Incoming>) -> Response<Body> {
    let reply = match Limited::new(request.into_body(), CONTROL_BODY).collect().await {
        Ok(body) => control::answer(&world, &asked, &body.to_bytes()),
        Err(e) => Reply::failure(&asked, StatusCode::BAD_REQUEST, "INVALID", &e.to_string()),
    };
    // An entry nobody sees: control requests are not part of the record.
    let entry = Arc::new(super::counts::Entry::default());
    response(&asked, reply, Delivery::default(), entry)
}
