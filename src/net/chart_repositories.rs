//! helm's `repositories.yaml`: logins and certificates for web servers, as `helm repo add` keeps them. Must not send
//! anything; the file is read on first use, and a missing one is empty.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use reqwest::header::HeaderValue;
use reqwest::{Certificate, Identity};
use serde::Deserialize;
use url::Url;

use super::broken::layers;
use super::mirrors::authority;
use super::oci::basic;
use super::{Login, Reason};

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    repositories: Vec<Entry>,
}

/// In helm's own spelling.
#[derive(Deserialize)]
struct Entry {
    url: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default, rename = "certFile")]
    cert_file: PathBuf,
    #[serde(default, rename = "keyFile")]
    key_file: PathBuf,
    #[serde(default, rename = "caFile")]
    ca_file: PathBuf,
    #[serde(default)]
    insecure_skip_tls_verify: bool,
    #[serde(default)]
    pass_credentials_all: bool,
}

/// All repositories of the file.
#[derive(Default)]
pub(super) struct ChartRepositories {
    read: OnceLock<Result<Vec<Arc<ChartRepository>>, String>>,
}

/// How one repository is spoken to.
pub(super) struct ChartRepository {
    url: Url,
    entry: Entry,
    /// The client for it, where it takes one of its own.
    pub made: OnceLock<Result<reqwest::Client, String>>,
}

impl ChartRepositories {
    /// The repository that an address lies in: the one with the longest path.
    pub fn of(&self, file: Option<&Path>, url: &Url) -> Result<Option<Arc<ChartRepository>>, Reason> {
        let read = self.read.get_or_init(|| file.map_or(Ok(Vec::new()), read));
        let all = read.as_ref().map_err(|message| Reason::Login { host: authority(url), message: message.clone() })?;
        let holding = all.iter().filter(|repository| repository.holds(url));
        Ok(holding.max_by_key(|repository| repository.url.path().len()).cloned())
    }
}

impl ChartRepository {
    /// Whether an address lies below the repository's.
    fn holds(&self, url: &Url) -> bool {
        let base = self.url.path().trim_end_matches('/');
        let below = url.path().strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.is_at(url) && below
    }

    fn is_at(&self, url: &Url) -> bool {
        self.url.scheme() == url.scheme() && authority(&self.url) == authority(url)
    }

    /// Whether it has a say in how an archive is fetched that its index names, wherever that is: helm sends a login to
    /// other servers only where `pass_credentials_all` is set.
    pub fn reaches(&self, url: &Url) -> bool {
        self.is_at(url) || self.entry.pass_credentials_all
    }

    /// What is sent with every request.
    pub fn authorization(&self) -> Result<Option<HeaderValue>, Reason> {
        let Entry { username, password, .. } = &self.entry;
        if username.is_empty() && password.is_empty() {
            return Ok(None);
        }
        basic(&Login { username: username.clone(), password: password.clone() }).map(Some)
    }

    /// Whether it takes a client of its own.
    pub fn has_certificates(&self) -> bool {
        let Entry { ca_file, cert_file, insecure_skip_tls_verify, .. } = &self.entry;
        *insecure_skip_tls_verify || [ca_file, cert_file].iter().any(|file| !file.as_os_str().is_empty())
    }

    /// Its own authority's certificates.
    pub fn authorities(&self) -> Result<Vec<Certificate>, String> {
        let file = &self.entry.ca_file;
        if file.as_os_str().is_empty() {
            return Ok(Vec::new());
        }
        Certificate::from_pem_bundle(&bytes(file)?).map_err(|error| format!("{}: {}", file.display(), layers(&error)))
    }

    /// A client that shows its certificate and trusts as the repository says.
    pub fn apply(&self, builder: reqwest::ClientBuilder) -> Result<reqwest::ClientBuilder, String> {
        let Entry { cert_file, key_file, insecure_skip_tls_verify, .. } = &self.entry;
        let builder = if *insecure_skip_tls_verify { builder.tls_danger_accept_invalid_certs(true) } else { builder };
        if cert_file.as_os_str().is_empty() {
            return Ok(builder);
        }
        let pem = [bytes(cert_file)?, b"\n".to_vec(), bytes(key_file)?].concat();
        let identity = Identity::from_pem(&pem).map_err(|error| format!("{}: {}", cert_file.display(), layers(&error)));
        Ok(builder.identity(identity?))
    }
}

fn bytes(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| format!("{}: {error}", file.display()))
}

fn read(file: &Path) -> Result<Vec<Arc<ChartRepository>>, String> {
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("{}: {error}", file.display())),
    };
    // What the parser says may quote the file, and passwords stand in it.
    let parsed: File = serde_yaml::from_slice(&text)
        .map_err(|_| format!("{}: it is not as `helm repo add` writes it", file.display()))?;
    let known = parsed.repositories.into_iter().filter_map(|entry| {
        let url = Url::parse(&entry.url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        Some(Arc::new(ChartRepository { url, entry, made: OnceLock::new() }))
    });
    Ok(known.collect())
}

impl std::fmt::Debug for ChartRepository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChartRepository({})", authority(&self.url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Store;
    use crate::net::fake::{Fake, Reply, client};

    fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("repositories.yaml");
        fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn the_longest_path_counts() {
        let entry = |url: &str, name: &str| format!("- {{name: x, url: \"{url}\", username: {name}, password: pw}}\n");
        let text = format!(
            "apiVersion: \"\"\ngenerated: \"0001-01-01T00:00:00Z\"\nrepositories:\n{}{}{}",
            entry("https://h.io", "all"),
            entry("https://h.io/team/", "team"),
            entry("oci://h.io", "oci")
        );
        let (_dir, path) = written(&text);
        let repositories = ChartRepositories::default();
        for (url, expected) in [
            ("https://h.io/index.yaml", Some("all")),
            ("https://h.io/team/index.yaml", Some("team")),
            ("https://h.io/teams/index.yaml", Some("all")),
            ("http://h.io/index.yaml", None),
            ("https://h.io:444/index.yaml", None),
            ("https://h.io.evil/index.yaml", None),
        ] {
            let found = repositories.of(Some(&path), &Url::parse(url).unwrap()).unwrap();
            assert_eq!(found.as_ref().map(|one| one.entry.username.as_str()), expected, "{url}");
        }
    }

    #[test]
    fn a_broken_file_is_an_error_that_shows_no_password() {
        let (_dir, path) = written("repositories: [{url: 1, password: {hunter2: }}]");
        let url = Url::parse("https://h.io").unwrap();
        let error = ChartRepositories::default().of(Some(&path), &url).unwrap_err();
        assert!(error.to_string().contains("cannot read the login for h.io"), "{error}");
        assert!(!error.to_string().contains("hunter2"));
        assert!(ChartRepositories::default().of(Some(Path::new("/nowhere")), &url).unwrap().is_none());
        assert!(ChartRepositories::default().of(None, &url).unwrap().is_none());
    }

    /// Charts of one server, named by the index of another: who gets the login.
    #[tokio::test]
    async fn a_login_stays_at_its_server_unless_it_is_passed_on() {
        for passed in [false, true] {
            let other = Fake::start(|_, _| Reply::body("chart"));
            let own = Fake::start(|_, _| Reply::body("index"));
            let text = format!(
                "repositories:\n- {{name: x, url: \"{}\", username: me, password: pw, pass_credentials_all: {passed}}}\n",
                own.url("charts")
            );
            let (dir, path) = written(&text);
            let client = client(|settings| settings.helm_repositories = Some(path.clone()));
            let client = client.of_repository(&own.url("charts"));
            client.get_bytes(&own.url("charts/index.yaml"), 100).await.unwrap();
            let store = Store::open(&dir.path().join("store")).unwrap();
            client.download(&other.url("a.tgz"), None, &store).await.unwrap();
            client.download(&own.url("elsewhere/a.tgz"), None, &store).await.unwrap();
            let sent = |server: &Fake| {
                let seen = server.seen.lock().unwrap();
                seen.iter().map(|request| request.header("authorization").map(str::to_owned)).collect::<Vec<_>>()
            };
            let login = Some("Basic bWU6cHc=".to_owned());
            assert_eq!(sent(&own), [login.clone(), login.clone()]);
            assert_eq!(sent(&other), [login.filter(|_| passed)]);
        }
    }
}
