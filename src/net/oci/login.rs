//! The login for a registry: from the settings, else from Docker's configuration and its credential helpers, else from
//! helm's, which has the same form.

use std::fs::File;
use std::path::Path;

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};

use crate::net::{Client, Login, Reason};

/// Docker keeps the login of its own registry under this name.
const DOCKER_HUB: &[&str] = &["https://index.docker.io/v1/", "docker.io", "registry-1.docker.io"];

/// Who we are to a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Identity {
    Password(Login),
    /// To be exchanged for tokens.
    Refresh(String),
}

/// The login for a host, none when there is none.
pub(super) async fn login(client: &Client, host: &str) -> Result<Option<Identity>, Reason> {
    let settings = client.settings();
    if let Some(login) = settings.logins.get(host) {
        return Ok(Some(Identity::Password(login.clone())));
    }
    let files = [settings.docker_config.clone(), settings.helm_registry_config.clone()];
    let of = host.to_owned();
    let read_all = move || {
        let found = files.into_iter().flatten().map(|path| from_docker(&path, &of));
        found.filter_map(Result::transpose).next().transpose()
    };
    // A helper is a process, and may ask a key ring that takes its time.
    let read = tokio::task::spawn_blocking(read_all).await;
    read.map_err(|error| error.to_string())
        .flatten()
        .map_err(|message| Reason::Login { host: host.to_owned(), message })
}

fn from_docker(path: &Path, host: &str) -> Result<Option<Identity>, String> {
    let names = if host == "registry-1.docker.io" { DOCKER_HUB } else { &[host][..] };
    for name in names {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        match get_credential_from_reader(file, name) {
            Ok(DockerCredential::UsernamePassword(username, _)) if username.is_empty() => {}
            // How some helpers hand out a refresh token.
            Ok(DockerCredential::UsernamePassword(username, password)) if username == "<token>" => {
                return Ok(Some(Identity::Refresh(password)));
            }
            Ok(DockerCredential::UsernamePassword(username, password)) => {
                return Ok(Some(Identity::Password(Login { username, password })));
            }
            Ok(DockerCredential::IdentityToken(token)) => return Ok(Some(Identity::Refresh(token))),
            Err(CredentialRetrievalError::NoCredentialConfigured) => {}
            Err(CredentialRetrievalError::HelperFailure { stdout, .. }) if stdout.contains("not found") => {}
            // What a helper printed may hold what it knows.
            Err(CredentialRetrievalError::HelperFailure { helper, .. }) => {
                return Err(format!("{}: the credential helper `{helper}` failed", path.display()));
            }
            Err(error) => return Err(format!("{}: {error}", path.display()).to_lowercase()),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_logins() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        // me:pw
        std::fs::write(
            &path,
            r#"{"auths":{"https://index.docker.io/v1/":{"auth":"bWU6cHc="},"r.io:5000":{"auth":"bWU6cHc="},
                "t.io":{"identitytoken":"tok"},"e.io":{}}}"#,
        )
        .unwrap();
        let me = Some(Identity::Password(Login { username: "me".into(), password: "pw".into() }));
        assert_eq!(from_docker(&path, "r.io:5000"), Ok(me.clone()));
        assert_eq!(from_docker(&path, "registry-1.docker.io"), Ok(me));
        assert_eq!(from_docker(&path, "t.io"), Ok(Some(Identity::Refresh("tok".into()))));
        assert_eq!(from_docker(&path, "e.io"), Ok(None));
        assert_eq!(from_docker(&path, "other.io"), Ok(None));
        assert_eq!(from_docker(&dir.path().join("none"), "r.io"), Ok(None));
        std::fs::write(&path, "{").unwrap();
        assert!(from_docker(&path, "r.io").is_err());
    }
}
