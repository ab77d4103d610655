//! One repository of a registry: where it is, and the requests to it.

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use url::Url;

use super::Scope;
use crate::image::Reference;
use crate::net::client::Ask;
use crate::net::settings::is_loopback;
use crate::net::{Client, Error, Reason, Settings};

/// Docker Hub's registry is at another address than its name.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");
const LONGEST_MESSAGE: usize = 300;

/// One repository of a registry.
#[derive(Clone)]
pub struct Repository {
    pub(super) client: Client,
    /// What the user knows it as.
    pub(super) name: String,
    /// A host may be legal in a reference and yet none, as one with port 99999; requests say so.
    base: Result<Url, String>,
    pub(super) path: String,
}

impl Client {
    /// A repository, by registry host and path (`docker.io`, `library/busybox`), through the mirrors.
    pub fn repository(&self, host: &str, path: &str) -> Repository {
        let address = self.settings().mirrors.repository(host, path);
        let base = address.base.map_or_else(|| own_base(host, self.settings()), Ok);
        Repository { client: self.clone(), name: format!("{host}/{path}"), base, path: address.path }
    }

    /// The repository of a reference.
    pub fn repository_of(&self, reference: &Reference) -> Repository {
        self.repository(&reference.host, &reference.path)
    }
}

impl Repository {
    /// What the user knows it as: `quay.io/minio/minio`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A request below `/v2/PATH/`; `shown` is what it is about.
    pub(super) fn ask(&self, method: Method, below: &str, shown: String) -> Result<Ask, Error> {
        let wrong = |message: &String| Error {
            url: shown.clone(),
            via: None,
            tries: 0,
            reason: Reason::Address(message.clone()),
        };
        let base = self.base.as_ref().map_err(wrong)?;
        let mut url = base.clone();
        let (below, query) = below.split_once('?').map_or((below, None), |(path, query)| (path, Some(query)));
        url.set_path(&format!("/v2/{}/{below}", self.path));
        url.set_query(query);
        let scope = Scope::pull(base, &self.path);
        Ok(Ask { method, url, shown, headers: HeaderMap::new(), scope: Some(scope), repository: None })
    }

    /// A request that changes the repository.
    pub(super) fn change(&self, method: Method, below: &str, shown: String) -> Result<Ask, Error> {
        let ask = self.ask(method, below, shown)?;
        Ok(Ask { scope: ask.scope.map(Scope::and_push), ..ask })
    }

    /// `wanted` is a tag or a digest.
    pub(super) fn shown(&self, wanted: &str) -> String {
        let separator = if wanted.contains(':') { '@' } else { ':' };
        format!("{}{separator}{wanted}", self.name)
    }
}

fn own_base(host: &str, settings: &Settings) -> Result<Url, String> {
    let plain = settings.plain_http.contains(host) || is_loopback(host) && !settings.secure.contains(host);
    let scheme = if plain { "http" } else { "https" };
    let host = if host == DOCKER_HUB.0 { DOCKER_HUB.1 } else { host };
    Url::parse(&format!("{scheme}://{host}")).map_err(|error| error.to_string())
}

/// What a server says about its refusal: the registry's JSON, or a short plain text.
pub(in crate::net) fn said(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        code: Option<String>,
        message: Option<String>,
        /// Where some put what really happened.
        detail: Option<serde_json::Value>,
    }
    let text = match serde_json::from_slice::<Errors>(body) {
        Ok(Errors { errors }) => {
            let first = errors.into_iter().next()?;
            // Words there are a cause; names and digests only repeat what was asked.
            let words = |value: &serde_json::Value| value.as_str().filter(|text| text.contains(' ')).map(str::to_owned);
            let detail = first.detail.and_then(|detail| match &detail {
                serde_json::Value::Object(map) => map.values().find_map(words),
                other => words(other),
            });
            [first.code, first.message, detail]
                .into_iter()
                .flatten()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(": ")
        }
        Err(_) => String::from_utf8(body.to_vec()).ok().filter(|text| !text.trim_start().starts_with('<'))?,
    };
    let text: String =
        text.trim().chars().take(LONGEST_MESSAGE).map(|c| if c.is_control() { ' ' } else { c }).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Mirrors, Settings};

    #[test]
    fn addresses() {
        let plain_http = ["r.internal:5000".to_owned()].into();
        let settings =
            Settings { plain_http, mirrors: Mirrors::parse(["q.io=http://m:1/q"]).unwrap(), ..Settings::default() };
        let client = Client::new(settings);
        for (host, path, expected) in [
            ("docker.io", "library/x", "https://registry-1.docker.io/v2/library/x/manifests/1"),
            ("ghcr.io", "a/b", "https://ghcr.io/v2/a/b/manifests/1"),
            ("q.io", "a/b", "http://m:1/v2/q/a/b/manifests/1"),
            ("r.internal:5000", "a", "http://r.internal:5000/v2/a/manifests/1"),
            ("127.0.0.1:5000", "a", "http://127.0.0.1:5000/v2/a/manifests/1"),
        ] {
            let ask = client.repository(host, path).ask(Method::GET, "manifests/1", String::new()).unwrap();
            assert_eq!(ask.url.as_str(), expected);
        }
    }

    #[test]
    fn what_servers_say_is_shortened_and_harmless() {
        let json = br#"{"errors":[{"code":"DENIED","message":"no"}]}"#;
        assert_eq!(said(json), Some("DENIED: no".to_owned()));
        let full = br#"{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":"write x: no space left"}]}"#;
        assert_eq!(said(full), Some("UNKNOWN: unknown error: write x: no space left".to_owned()));
        let inner = br#"{"errors":[{"code":"UNKNOWN","detail":{"driver":"fs","detail":"no space left"}}]}"#;
        assert_eq!(said(inner), Some("UNKNOWN: no space left".to_owned()));
        assert_eq!(said(b"too\x1b[31m much\n"), Some("too [31m much".to_owned()));
        assert_eq!(said(b"<html>"), None);
        assert_eq!(said(&b"x".repeat(1000)).unwrap().len(), LONGEST_MESSAGE);
    }
}
