//! The HTTP client: built on first use, with mirrors, authorities and retries.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Budget, Error, Mirrors};
use crate::digest::Digest;
use crate::files::Store;

/// Certificates of an authority that is trusted besides those of the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Where they are from, for errors.
    pub name: String,
    /// One or more certificates as PEM.
    pub pem: Vec<u8>,
}

/// A user name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// User name.
    pub username: String,
    /// Password or token.
    pub password: String,
}

/// All that decides how the network is reached.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where sources are found instead.
    pub mirrors: Mirrors,
    /// Authorities trusted besides those of the system.
    pub authorities: Vec<Authority>,
    /// Registry hosts (`host` or `host:port`) that are spoken to without TLS.
    pub plain_http: BTreeSet<String>,
    /// Logins by registry host; they come before those of Docker's configuration.
    pub logins: BTreeMap<String, Login>,
    /// Docker's `config.json`, for the logins of registries; a missing file is none.
    pub docker_config: Option<PathBuf>,
    /// How long a server may be silent.
    pub timeout: Duration,
    /// How often something transient is tried.
    pub tries: u32,
    /// The first pause between two tries; it doubles.
    pub pause: Duration,
}

/// Reaches servers. Cheap to make and to clone: sockets, certificates and logins are looked at on first use.
#[derive(Clone)]
pub struct Client {
    _inner: Arc<Settings>,
}

impl Client {
    /// A client that has done nothing yet.
    pub fn new(settings: Settings) -> Client {
        Client { _inner: Arc::new(settings) }
    }

    /// The same client whose requests report a server's overload (429, 503) to a budget.
    pub fn within(&self, budget: &Arc<Budget>) -> Client {
        let _ = budget;
        self.clone()
    }

    /// Gets a document of at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error`] with the URL, why and after how many tries.
    pub async fn get_bytes(&self, url: &str, limit: u64) -> Result<Vec<u8>, Error> {
        let _ = (url, limit);
        todo!()
    }

    /// Downloads into the store, hashing on the way; with a digest, what is there already is not fetched.
    ///
    /// # Errors
    /// [`Error`]; a digest that differs is [`super::Reason::Mismatch`] and nothing is kept.
    pub async fn download(&self, url: &str, expected: Option<&Digest>, store: &Store) -> Result<(Digest, PathBuf), Error> {
        let _ = (url, expected, store);
        todo!()
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            mirrors: Mirrors::default(),
            authorities: Vec::new(),
            plain_http: BTreeSet::new(),
            logins: BTreeMap::new(),
            docker_config: None,
            timeout: Duration::from_secs(60),
            tries: 5,
            pause: Duration::from_millis(500),
        }
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({}, …)", self.username)
    }
}
