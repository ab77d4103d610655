//! What went wrong on the network: where, after how many tries, and whether trying again helps. Never holds a
//! password or token.

use std::fmt;
use std::io;
use std::time::Duration;

use url::Url;

use crate::digest::Digest;
use crate::files::StoreError;

/// Who can do something about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It may work later.
    Transient,
    /// It will not work by itself.
    Permanent,
    /// The user has to change something: a login, a certificate, an address.
    Yours,
}

/// A request that failed.
#[derive(Debug)]
pub struct Error {
    /// What was asked for, as the user knows it: a URL or an image reference.
    pub url: String,
    /// The URL that was really asked, when that is another.
    pub via: Option<String>,
    /// How often it was tried.
    pub tries: u32,
    /// Why it failed.
    pub reason: Reason,
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// No connection, or it broke before an answer came.
    #[error("cannot reach {host}: {message}")]
    Connect {
        /// Host and port.
        host: String,
        /// What the layers below say.
        message: String,
    },
    /// The proxy before a server wants a login, or another one.
    #[error("cannot reach {host}: the proxy refuses: it wants a login")]
    Proxy {
        /// Host and port of the server.
        host: String,
    },
    /// The server's certificate is not trusted.
    #[error("the certificate of {host} is not trusted: {message}")]
    Certificate {
        /// Host and port.
        host: String,
        /// What is wrong with it.
        message: String,
    },
    /// TLS is wanted, but neither the system nor the settings have an authority to trust.
    #[error("cannot check the certificate of {host}: this host trusts no certificate authority")]
    NoAuthorities {
        /// Host and port.
        host: String,
    },
    /// An authority's file holds no certificates.
    #[error("{name} holds no usable certificate: {message}")]
    Authority {
        /// The file.
        name: String,
        /// What is wrong with it.
        message: String,
    },
    /// Nothing came for too long.
    #[error("no answer within {} seconds", .0.as_secs_f32())]
    Timeout(Duration),
    /// The body broke off.
    #[error("the connection broke after {received} bytes{}", expected.map(|e| format!(" of {e}")).unwrap_or_default())]
    Interrupted {
        /// Bytes that came.
        received: u64,
        /// Bytes that were to come, if known.
        expected: Option<u64>,
    },
    /// The server answered with a failure.
    #[error("the server answered {status}{}", message.as_ref().map(|m| format!(": {m}")).unwrap_or_default())]
    Status {
        /// The HTTP status.
        status: u16,
        /// What the server said, shortened.
        message: Option<String>,
    },
    /// No token to be had for a registry.
    #[error("no token from {realm}: {reason}")]
    Token {
        /// The server that gives out tokens.
        realm: String,
        /// Why not.
        reason: Box<Reason>,
    },
    /// A login could not be read.
    #[error("cannot read the login for {host}: {message}")]
    Login {
        /// The registry.
        host: String,
        /// What is wrong.
        message: String,
    },
    /// The bytes are not the ones asked for.
    #[error("expected {expected}, got {actual}")]
    Mismatch {
        /// The digest asked for.
        expected: Digest,
        /// The digest of what came.
        actual: Digest,
    },
    /// More bytes than there may be.
    #[error("more than the expected {limit} bytes")]
    TooLarge {
        /// The most there may be.
        limit: u64,
    },
    /// A text that is no address.
    #[error("not an address: {0}")]
    Address(String),
    /// The server does not keep to the protocol.
    #[error("unexpected answer: {0}")]
    Protocol(String),
    /// What came could not be kept.
    #[error(transparent)]
    Store(StoreError),
    /// What was to be sent could not be read.
    #[error("cannot read what is to be sent: {0}")]
    Source(io::Error),
}

impl Error {
    /// Who can do something about it.
    pub fn kind(&self) -> Kind {
        self.reason.kind()
    }

    /// The HTTP status, if the server answered with a failure.
    pub fn status(&self) -> Option<u16> {
        self.reason.status()
    }
}

impl Reason {
    /// Who can do something about it.
    pub fn kind(&self) -> Kind {
        match self {
            Reason::Connect { .. } | Reason::Timeout(_) | Reason::Interrupted { .. } => Kind::Transient,
            Reason::Status { status: 408 | 425 | 429 | 500 | 502 | 503 | 504, .. } => Kind::Transient,
            Reason::Status { status: 401 | 403 | 407 | 413, .. } => Kind::Yours,
            Reason::Token { reason, .. } => reason.kind(),
            Reason::Proxy { .. }
            | Reason::Certificate { .. }
            | Reason::NoAuthorities { .. }
            | Reason::Authority { .. }
            | Reason::Login { .. }
            | Reason::Address(_) => Kind::Yours,
            Reason::Status { .. }
            | Reason::Mismatch { .. }
            | Reason::TooLarge { .. }
            | Reason::Protocol(_)
            | Reason::Store(_)
            | Reason::Source(_) => Kind::Permanent,
        }
    }

    /// The HTTP status, if a server answered with a failure.
    pub fn status(&self) -> Option<u16> {
        match self {
            Reason::Status { status, .. } => Some(*status),
            Reason::Token { reason, .. } => reason.status(),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.url, self.reason)?;
        match (&self.via, self.tries) {
            (None, 0 | 1) => Ok(()),
            (Some(via), 0 | 1) => write!(f, " (at {via})"),
            (None, tries) => write!(f, " (tried {tries} times)"),
            (Some(via), tries) => write!(f, " (at {via}, tried {tries} times)"),
        }
    }
}

impl std::error::Error for Error {
    // The reason is in the message already; what lies below it is not.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.reason)
    }
}

/// One try that failed, and how long the server asks us to wait.
#[derive(Debug)]
pub(super) struct Failure {
    pub reason: Reason,
    pub retry_after: Option<Duration>,
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Failure {
        Failure { reason, retry_after: None }
    }
}

/// A URL for people: without login, and without a query, which may hold a signature.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // These fail for URLs that cannot have a login, which then have none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    if url.query().is_some() {
        url.set_query(None);
        return format!("{url}?…");
    }
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        let url = Url::parse("https://me:pw@h.io/a?X-Signature=s#f").unwrap();
        assert_eq!(shown(&url), "https://h.io/a?…");
    }

    #[test]
    fn the_message_says_where_and_how_often() {
        let reason = Reason::Status { status: 503, message: None };
        let error = Error { url: "quay.io/a:1".into(), via: Some("http://m/v2/".into()), tries: 5, reason };
        assert_eq!(error.to_string(), "quay.io/a:1: the server answered 503 (at http://m/v2/, tried 5 times)");
        assert_eq!(error.kind(), Kind::Transient);
    }
}
