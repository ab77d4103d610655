//! Owns what a script may ask of the server by hand, under `/_control/`: the record of requests, faults, charts.
//! None of it is recorded or hit by faults.

use std::path::PathBuf;

use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::Result;
use super::faults::Fault;
use super::reply::{Asked, Reply};
use super::server::World;

pub const PREFIX: &str = "/_control/";

/// A chart to put into a repository.
#[derive(Deserialize)]
struct Put {
    repository: String,
    folder: PathBuf,
}

pub fn answer(world: &World, asked: &Asked, body: &[u8]) -> Reply {
    let done = || Reply::json(&json!({"done": true}));
    let what = asked.path.strip_prefix(PREFIX).unwrap_or_default();
    let result = match (&asked.method, what) {
        (&Method::GET, "requests") => Ok(Reply::json(&world.counts.all())),
        (&Method::DELETE, "requests") => {
            world.counts.reset();
            Ok(done())
        }
        (&Method::GET, "faults") => Ok(Reply::json(&world.faults.all())),
        (&Method::POST, "faults") => set_faults(world, body).map(|()| done()),
        (&Method::DELETE, "faults") => {
            world.faults.clear();
            Ok(done())
        }
        (&Method::POST, "charts") => put_chart(world, body),
        _ => Ok(Reply::not_found(asked)),
    };
    result.unwrap_or_else(|e| Reply::failure(asked, StatusCode::BAD_REQUEST, "INVALID", &e.to_string()))
}

fn set_faults(world: &World, body: &[u8]) -> Result<()> {
    let many = body.trim_ascii_start().starts_with(b"[");
    let faults: Vec<Fault> = if many { serde_json::from_slice(body)? } else { vec![serde_json::from_slice(body)?] };
    faults.into_iter().for_each(|fault| world.faults.add(fault));
    Ok(())
}

fn put_chart(world: &World, body: &[u8]) -> Result<Reply> {
    let put: Put = serde_json::from_slice(body)?;
    let chart = world.charts.put(&put.repository, &put.folder)?;
    Ok(Reply::json(&json!({"name": chart.name, "version": chart.version, "digest": chart.digest})))
}
