//! Owns the way of an answer onto the connection: in pieces, counted, and with the faults of its delivery.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::{Method, Response, StatusCode, header};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};

use super::counts::Entry;
use super::faults::Delivery;
use super::hash::Noise;
use super::reply::{Asked, Content, Reply};

pub type Body = UnsyncBoxBody<Bytes, io::Error>;

const PIECE: u64 = 256 * 1024;
const SLOW_PIECE: u64 = 16 * 1024;

/// Time for what was written to leave the process before a connection is cut.
const BEFORE_CUT: Duration = Duration::from_millis(50);

pub fn response(asked: &Asked, reply: Reply, delivery: Delivery, entry: Arc<Entry>) -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    if reply.status != StatusCode::NOT_MODIFIED {
        response.headers_mut().insert(header::CONTENT_LENGTH, delivery.said.unwrap_or(reply.length).into());
    }
    if asked.method != Method::HEAD && reply.length > 0 {
        *response.body_mut() = body(reply.content, reply.start, reply.length, delivery, entry);
    }
    response
}

fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

fn body(content: Content, start: u64, length: u64, delivery: Delivery, entry: Arc<Entry>) -> Body {
    let source = match content {
        Content::Bytes(bytes) => Source::Bytes(bytes),
        Content::File(file) => Source::File(File::from_std(file)),
        Content::Noise(seed) => Source::Noise(seed),
    };
    let feed = Feed { source, start, position: start, end: start + length, delivery, entry };
    StreamBody::new(stream::try_unfold(feed, Feed::next)).boxed_unsync()
}

enum Source {
    Bytes(Bytes),
    File(File),
    Noise(u64),
}

/// What is still to be sent. Positions are offsets in the whole content.
struct Feed {
    source: Source,
    start: u64,
    position: u64,
    end: u64,
    delivery: Delivery,
    entry: Arc<Entry>,
}

impl Feed {
    async fn next(mut self) -> io::Result<Option<(Frame<Bytes>, Feed)>> {
        if self.delivery.cut == Some(self.position) {
            tokio::time::sleep(BEFORE_CUT).await;
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "cut by a fault"));
        }
        if let Some((_, pause)) = self.delivery.stall.filter(|(at, _)| *at == self.position) {
            tokio::time::sleep(pause).await;
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "stalled by a fault"));
        }
        if self.position == self.end {
            return Ok(None);
        }
        if let Some(pause) = self.delivery.slow {
            tokio::time::sleep(pause).await;
        }
        let piece = self.piece().await?;
        let piece = self.altered(piece);
        self.position += piece.len() as u64;
        self.entry.add(piece.len() as u64);
        Ok(Some((Frame::data(piece), self)))
    }

    async fn piece(&mut self) -> io::Result<Bytes> {
        let ends = [self.delivery.cut, self.delivery.stall.map(|(at, _)| at)];
        let stop = ends.into_iter().flatten().fold(self.end, u64::min);
        let length = (stop - self.position).min(if self.delivery.slow.is_some() { SLOW_PIECE } else { PIECE });
        match &mut self.source {
            Source::Noise(seed) => {
                let mut buffer = vec![0; length as usize];
                Noise::new(*seed, self.end).from(self.position).read_exact(&mut buffer)?;
                Ok(buffer.into())
            }
            Source::Bytes(bytes) => Ok(bytes.slice(self.position as usize..(self.position + length) as usize)),
            Source::File(file) => {
                if self.position == self.start {
                    file.seek(SeekFrom::Start(self.start)).await?;
                }
                let mut buffer = vec![0; length as usize];
                file.read_exact(&mut buffer).await?;
                Ok(buffer.into())
            }
        }
    }

    fn altered(&self, piece: Bytes) -> Bytes {
        let inside = |at: &u64| (self.position..self.position + piece.len() as u64).contains(at);
        let Some(at) = self.delivery.flip.filter(inside) else {
            return piece;
        };
        let mut bytes = piece.to_vec();
        let at = (at - self.position) as usize;
        bytes[at] = !bytes[at];
        bytes.into()
    }
}
