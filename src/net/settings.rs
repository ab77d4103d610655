//! All that decides how the network is reached. Data only; comes from flags, files and the environment by way of the
//! caller.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::Mirrors;
use super::mirrors::authority;

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

/// How the network is reached.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where sources are found instead.
    pub mirrors: Mirrors,
    /// Authorities trusted besides those of the system.
    pub authorities: Vec<Authority>,
    /// Registry hosts (`host` or `host:port`) that are spoken to without TLS.
    pub plain_http: BTreeSet<String>,
    /// Registry hosts that are spoken to with TLS although they are this machine, where plain HTTP is usual.
    pub secure: BTreeSet<String>,
    /// Logins by registry host; they come before those of Docker's configuration.
    pub logins: BTreeMap<String, Login>,
    /// Docker's `config.json`, for the logins of registries; a missing file is none.
    pub docker_config: Option<PathBuf>,
    /// helm's `registry/config.json`, of the same form, for what Docker's has no login; a missing file is none.
    pub helm_registry_config: Option<PathBuf>,
    /// helm's `repositories.yaml`, for chart repositories and other files of the web; a missing file is none.
    pub helm_repositories: Option<PathBuf>,
    /// How long a server may be silent.
    pub timeout: Duration,
    /// How often something transient is tried.
    pub tries: u32,
    /// The first pause between two tries; it doubles.
    pub pause: Duration,
}

impl Settings {
    /// Whether a server may be spoken to without TLS although nobody wrote `http://`.
    pub(super) fn is_plain(&self, url: &Url) -> bool {
        let authority = authority(url);
        self.plain_http.contains(&authority) || is_loopback(&authority) || self.mirrors.holds(url)
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            mirrors: Mirrors::default(),
            authorities: Vec::new(),
            plain_http: BTreeSet::new(),
            secure: BTreeSet::new(),
            logins: BTreeMap::new(),
            docker_config: None,
            helm_registry_config: None,
            helm_repositories: None,
            timeout: Duration::from_secs(60),
            tries: 5,
            pause: Duration::from_millis(500),
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({}, …)", self.username)
    }
}

/// Whether a host, with or without port, is this machine.
pub(super) fn is_loopback(authority: &str) -> bool {
    if authority.starts_with("[::1]") {
        return true;
    }
    let host = authority.split(':').next().unwrap_or_default();
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::Ipv4Addr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_known() {
        for (host, expected) in
            [("localhost:5000", true), ("127.0.0.1", true), ("127.0.0.1.evil.io", false), ("10.0.0.1:5000", false)]
        {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let login = Login { username: "me".into(), password: "pw".into() };
        assert_eq!(format!("{login:?}"), "Login(me, …)");
    }
}
