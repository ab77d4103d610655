//! Owns what goes wrong on request: which requests a fault is for, how often it strikes and what it does.
//!
//! A new kind of fault is a variant of [`What`]. One that answers in place of the server goes into `Faults::answer`;
//! one that changes how a good answer is sent becomes a field of [`Delivery`], which `send.rs` obeys.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::once::lock;
use super::reply::{Asked, Reply};

/// Something that goes wrong. As JSON: `{"path": "/blobs/", "times": 1, "what": "truncate", "after": 1000}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fault {
    /// Part of the path (and query) of the requests that are hit.
    pub path: String,
    /// The method they have; any if none is given.
    #[serde(default)]
    pub method: Option<String>,
    /// How often it strikes; always if not given. Only a request on which it had an effect counts.
    #[serde(default)]
    pub times: Option<u32>,
    #[serde(flatten)]
    pub what: What,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// One byte of the content is inverted: that at the offset (of the whole, whatever range is sent), or the middle.
    Alter {
        #[serde(default)]
        offset: Option<u64>,
    },
    /// Content-Length promises everything, the connection ends after so many bytes of the body.
    Truncate { after: u64 },
    /// So many bytes of the body come, then nothing for so many seconds, then the end of the connection.
    Stall { after: u64, seconds: u64 },
    /// Pieces of 16 KiB, with so many milliseconds before each.
    Slow { milliseconds: u64 },
    /// A range that is asked for is not heard: the whole is sent, with status 200.
    NoRange,
    /// Content-Length says so many bytes more than there are, or fewer.
    Length { more: i64 },
    /// Another document or blob is sent in its place, with this type and without saying its digest.
    Replace { kind: String, body: String },
    /// The server answers with this status and headers.
    Status {
        code: u16,
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
}

impl Fault {
    pub fn new(path: impl Into<String>, what: What) -> Fault {
        Fault { path: path.into(), method: None, times: None, what }
    }

    /// The middle byte is inverted.
    pub fn alter(path: impl Into<String>) -> Fault {
        Fault::new(path, What::Alter { offset: None })
    }

    pub fn truncate(path: impl Into<String>, after: u64) -> Fault {
        Fault::new(path, What::Truncate { after })
    }

    pub fn stall(path: impl Into<String>, after: u64, seconds: u64) -> Fault {
        Fault::new(path, What::Stall { after, seconds })
    }

    pub fn slow(path: impl Into<String>, milliseconds: u64) -> Fault {
        Fault::new(path, What::Slow { milliseconds })
    }

    pub fn no_range(path: impl Into<String>) -> Fault {
        Fault::new(path, What::NoRange)
    }

    pub fn length(path: impl Into<String>, more: i64) -> Fault {
        Fault::new(path, What::Length { more })
    }

    pub fn replace(path: impl Into<String>, kind: &str, body: impl Into<String>) -> Fault {
        Fault::new(path, What::Replace { kind: kind.to_owned(), body: body.into() })
    }

    pub fn status(path: impl Into<String>, code: u16) -> Fault {
        Fault::new(path, What::Status { code, headers: BTreeMap::new() })
    }

    /// Adds a header (`Retry-After`, `WWW-Authenticate`) to the answer of a status fault.
    pub fn header(mut self, name: &str, value: &str) -> Fault {
        if let What::Status { headers, .. } = &mut self.what {
            headers.insert(name.to_owned(), value.to_owned());
        }
        self
    }

    pub fn times(mut self, times: u32) -> Fault {
        self.times = Some(times);
        self
    }

    pub fn method(mut self, method: &str) -> Fault {
        self.method = Some(method.to_owned());
        self
    }

    fn hits(&self, asked: &Asked) -> bool {
        let method = self.method.as_deref().is_none_or(|method| method.eq_ignore_ascii_case(asked.method.as_str()));
        method && self.times != Some(0) && asked.raw.contains(&self.path)
    }
}

/// How a good answer is sent. Positions are offsets in the whole content.
#[derive(Debug, Default)]
pub struct Delivery {
    pub flip: Option<u64>,
    pub cut: Option<u64>,
    /// Where nothing more comes, and for how long.
    pub stall: Option<(u64, Duration)>,
    /// The time before each small piece.
    pub slow: Option<Duration>,
    /// What Content-Length says in place of the truth.
    pub said: Option<u64>,
}

#[derive(Default)]
pub struct Faults {
    armed: Mutex<Vec<Fault>>,
}

impl Faults {
    pub fn add(&self, fault: Fault) {
        lock(&self.armed).push(fault);
    }

    pub fn clear(&self) {
        lock(&self.armed).clear();
    }

    /// The faults that are set, with the strikes that are left.
    pub fn all(&self) -> Vec<Fault> {
        lock(&self.armed).clone()
    }

    /// What a fault answers in the server's place.
    pub fn answer(&self, asked: &Asked) -> Option<Reply> {
        self.strike(asked, |what| match what {
            What::Status { code, headers } => Some(status_reply(asked, *code, headers)),
            What::Replace { kind, body } => Some(Reply::bytes(kind, body.clone().into())),
            _ => None,
        })
    }

    /// Whether the range that is asked for is not heard.
    pub fn deaf_to_ranges(&self, asked: &Asked) -> bool {
        asked.range.is_some() && self.strike(asked, |what| matches!(what, What::NoRange).then_some(())).is_some()
    }

    /// What faults do to an answer that is about to be sent with a body.
    pub fn delivery(&self, asked: &Asked, reply: &Reply) -> Delivery {
        if !reply.status.is_success() || asked.method == Method::HEAD {
            return Delivery::default();
        }
        Delivery {
            flip: self.strike(asked, |what| match what {
                What::Alter { offset } => {
                    let at = offset.unwrap_or(reply.whole / 2);
                    (reply.start..reply.start + reply.length).contains(&at).then_some(at)
                }
                _ => None,
            }),
            cut: self.strike(asked, |what| match what {
                What::Truncate { after } => (*after < reply.length).then_some(reply.start + after),
                _ => None,
            }),
            stall: self.strike(asked, |what| match what {
                What::Stall { after, seconds } => {
                    (*after < reply.length).then_some((reply.start + after, Duration::from_secs(*seconds)))
                }
                _ => None,
            }),
            slow: self.strike(asked, |what| match what {
                What::Slow { milliseconds } => Some(Duration::from_millis(*milliseconds)),
                _ => None,
            }),
            said: self.strike(asked, |what| match what {
                What::Length { more } => Some(reply.length.saturating_add_signed(*more)),
                _ => None,
            }),
        }
    }

    /// The effect of the first fault that is meant for this request and has one; that fault has one strike less.
    fn strike<T>(&self, asked: &Asked, effect: impl Fn(&What) -> Option<T>) -> Option<T> {
        let mut armed = lock(&self.armed);
        for fault in armed.iter_mut().filter(|fault| fault.hits(asked)) {
            if let Some(effect) = effect(&fault.what) {
                fault.times = fault.times.map(|times| times - 1);
                return Some(effect);
            }
        }
        None
    }
}

fn status_reply(asked: &Asked, code: u16, headers: &BTreeMap<String, String>) -> Reply {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let word = match status {
        StatusCode::UNAUTHORIZED => "UNAUTHORIZED",
        StatusCode::FORBIDDEN => "DENIED",
        StatusCode::NOT_FOUND => "MANIFEST_UNKNOWN",
        StatusCode::TOO_MANY_REQUESTS => "TOOMANYREQUESTS",
        _ => "UNAVAILABLE",
    };
    let reply = Reply::failure(asked, status, word, "a fault that was asked for");
    headers.iter().fold(reply, |reply, (name, value)| reply.header(name, value))
}
