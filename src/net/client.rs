//! The HTTP client: made on first use, because certificates take time to load and a run that changes nothing needs
//! none of it. One request with its redirects and its login; trying again is `retry.rs`' part.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Certificate, Method, Response, StatusCode};
use url::Url;

use super::broken::{broken, layers};
use super::chart_repositories::{ChartRepositories, ChartRepository};
use super::error::{Failure, shown};
use super::mirrors::authority;
use super::names::Names;
use super::oci::{Scope, Tokens};
use super::settings::is_loopback;
use super::{Budget, Error, Reason, Settings};

const CONNECT: Duration = Duration::from_secs(10);
const MOST_REDIRECTS: usize = 10;

/// Reaches servers. Cheap to make and to clone: sockets, certificates and logins are looked at on first use.
#[derive(Clone)]
pub struct Client {
    pub(super) inner: Arc<Inner>,
    pub(super) budget: Option<Arc<Budget>>,
    /// The chart repository that addresses come from.
    pub(super) repository: Option<Arc<ChartRepository>>,
}

pub(super) struct Inner {
    pub settings: Settings,
    pub tokens: Tokens,
    repositories: ChartRepositories,
    /// To other machines, by way of the proxies of the environment.
    far: Made,
    /// To this machine, by no proxy.
    near: Made,
}

/// Clients, made on first use. There are two, so that plain HTTP works where no authority is trusted.
#[derive(Default)]
struct Made {
    plain: OnceLock<Result<reqwest::Client, String>>,
    secure: OnceLock<Result<reqwest::Client, Reason>>,
}

/// One request, as often as it may have to be sent.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub method: Method,
    pub url: Url,
    /// What the user knows it as.
    pub shown: String,
    pub headers: HeaderMap,
    /// What a registry has to allow; none for servers that are no registry.
    pub scope: Option<Scope>,
    /// The chart repository it belongs to, for servers that are no registry.
    pub repository: Option<Arc<ChartRepository>>,
}

impl Client {
    /// A client that has done nothing yet.
    pub fn new(settings: Settings) -> Client {
        let tokens = Tokens::default();
        let repositories = ChartRepositories::default();
        let inner = Inner { settings, tokens, repositories, far: Made::default(), near: Made::default() };
        Client { inner: Arc::new(inner), budget: None, repository: None }
    }

    /// The same client, whose requests tell a budget when a server says it is too much (429, 503).
    pub fn within(&self, budget: &Arc<Budget>) -> Client {
        Client { budget: Some(budget.clone()), ..self.clone() }
    }

    /// A client of its own, whose servers may be silent for so long.
    pub fn patient(&self, timeout: Duration) -> Client {
        Client::new(Settings { timeout, ..self.settings().clone() })
    }

    /// The same client, for what the index of a chart repository names.
    pub fn of_repository(&self, url: &str) -> Client {
        let address = Url::parse(url).ok().map(|url| self.inner.settings.mirrors.web(&url));
        // A file that can't be read is told with the first request.
        let found = address.and_then(|url| self.repository_at(&url).ok().flatten());
        Client { repository: found, ..self.clone() }
    }

    /// The chart repository of an address: the one whose index named it, or the one it lies in.
    pub(super) fn repository_at(&self, url: &Url) -> Result<Option<Arc<ChartRepository>>, Reason> {
        if let Some(known) = self.repository.as_ref().filter(|known| known.reaches(url)) {
            return Ok(Some(known.clone()));
        }
        self.inner.repositories.of(self.inner.settings.helm_repositories.as_deref(), url)
    }

    /// What it was made with.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Sends a request once, logs in where a registry wants it, and follows redirects. Any status but a success is a
    /// failure.
    pub(super) async fn send(&self, ask: &Ask) -> Result<Response, Failure> {
        let response = self.send_any(ask).await?;
        if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
    }

    /// As `send`, with every status an answer.
    pub(super) async fn send_any(&self, ask: &Ask) -> Result<Response, Failure> {
        let Some(scope) = &ask.scope else {
            let login = ask.repository.as_ref().map(|repository| repository.authorization()).transpose()?.flatten();
            return self.follow(ask, login.as_ref()).await;
        };
        let tokens = &self.inner.tokens;
        let known = tokens.ready(self, scope).await?;
        let response = self.follow(ask, known.as_ref()).await?;
        // Somebody the registry sent us to gets no say in where its login goes.
        if response.status() != StatusCode::UNAUTHORIZED || authority(response.url()) != authority(&ask.url) {
            return Ok(response);
        }
        match tokens.answer(self, scope, response.headers(), known.as_ref()).await? {
            Some(authorization) => self.follow(ask, Some(&authorization)).await,
            None => Ok(response),
        }
    }

    /// Sends one request with a body that can be sent only once. How long that may take is the caller's to say.
    pub(super) async fn send_body(
        &self,
        ask: &Ask,
        authorization: Option<HeaderValue>,
        body: reqwest::Body,
    ) -> Result<Response, Failure> {
        let mut request =
            self.http(&ask.url)?.request(ask.method.clone(), ask.url.clone()).headers(ask.headers.clone());
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        request.body(body).send().await.map_err(|error| broken(&ask.url, &error).into())
    }

    /// What is to be sent with a request, as far as it is known.
    pub(super) async fn authorization(&self, ask: &Ask) -> Result<Option<HeaderValue>, Failure> {
        match &ask.scope {
            Some(scope) => self.inner.tokens.ready(self, scope).await,
            None => Ok(None),
        }
    }

    /// Sends bytes that can be sent again, within the usual time.
    pub(super) async fn send_bytes(&self, ask: &Ask, bytes: &[u8]) -> Result<Response, Failure> {
        let known = self.authorization(ask).await?;
        let response = self.send_small(ask, known.clone(), bytes).await?;
        let Some(scope) = ask.scope.as_ref().filter(|_| response.status() == StatusCode::UNAUTHORIZED) else {
            return Ok(response);
        };
        match self.inner.tokens.answer(self, scope, response.headers(), known.as_ref()).await? {
            Some(better) => self.send_small(ask, Some(better), bytes).await,
            None => Ok(response),
        }
    }

    /// Sends a small body once, within the usual time.
    pub(super) async fn send_small(
        &self,
        ask: &Ask,
        authorization: Option<HeaderValue>,
        bytes: &[u8],
    ) -> Result<Response, Failure> {
        let patience = self.inner.settings.timeout;
        let sent = tokio::time::timeout(patience, self.send_body(ask, authorization, bytes.to_vec().into())).await;
        sent.map_err(|_| Failure::from(Reason::Timeout(patience)))?
    }

    /// Reads a body that fits into memory.
    pub(super) async fn whole(&self, mut response: Response, limit: u64) -> Result<Vec<u8>, Failure> {
        let (mut bytes, expected) = (Vec::new(), response.content_length());
        let patience = self.inner.settings.timeout;
        loop {
            let read = tokio::time::timeout(patience, response.chunk()).await.map_err(|_| Reason::Timeout(patience))?;
            let received = bytes.len() as u64;
            match read.map_err(|_| Reason::Interrupted { received, expected })? {
                Some(chunk) if received + chunk.len() as u64 > limit => return Err(Reason::TooLarge { limit }.into()),
                Some(chunk) => bytes.extend_from_slice(&chunk),
                None => return Ok(bytes),
            }
        }
    }

    pub(super) async fn follow(&self, ask: &Ask, authorization: Option<&HeaderValue>) -> Result<Response, Failure> {
        let mut url = ask.url.clone();
        for _ in 0..=MOST_REDIRECTS {
            // A login is for the server that was asked, not for the one it sends us to.
            let own = authority(&url) == authority(&ask.url) && url.scheme() == ask.url.scheme();
            let response = self.send_to(ask, &url, authorization.filter(|_| own)).await?;
            let Some(next) = redirect(&ask.method, &response, &url)? else { return Ok(response) };
            let next = self.inner.settings.mirrors.onward(next);
            if next.scheme() != "https" && url.scheme() == "https" && !self.inner.settings.is_plain(&next) {
                return Err(Reason::Protocol(format!("a redirect from https to {}", shown(&next))).into());
            }
            url = next;
        }
        Err(Reason::Protocol(format!("more than {MOST_REDIRECTS} redirects")).into())
    }

    async fn send_to(&self, ask: &Ask, url: &Url, authorization: Option<&HeaderValue>) -> Result<Response, Failure> {
        let own = ask.repository.as_ref().filter(|own| own.has_certificates() && authority(url) == authority(&ask.url));
        let http = match own {
            Some(repository) if url.scheme() == "https" => self.http_of(repository, url)?,
            _ => self.http(url)?,
        };
        let mut request = http.request(ask.method.clone(), url.clone()).headers(ask.headers.clone());
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value.clone());
        }
        let patience = self.inner.settings.timeout;
        match tokio::time::timeout(patience, request.send()).await {
            Ok(answer) => answer.map_err(|error| broken(url, &error).into()),
            Err(_) => Err(Reason::Timeout(patience).into()),
        }
    }

    /// The client for a URL.
    pub(super) fn http(&self, url: &Url) -> Result<&reqwest::Client, Reason> {
        let near = is_loopback(&authority(url));
        let made = if near { &self.inner.near } else { &self.inner.far };
        if url.scheme() != "https" {
            let plain = || self.builder(near).tls_certs_only([]).build().map_err(|error| layers(&error));
            let made = made.plain.get_or_init(plain);
            return made.as_ref().map_err(|message| Reason::Protocol(message.clone()));
        }
        let made = made.secure.get_or_init(|| self.secure(near));
        made.as_ref().map_err(|reason| match reason {
            Reason::Authority { name, message } => Reason::Authority { name: name.clone(), message: message.clone() },
            _ => Reason::NoAuthorities { host: authority(url) },
        })
    }

    /// The client of a chart repository that has certificates of its own.
    fn http_of<'r>(&self, repository: &'r ChartRepository, url: &Url) -> Result<&'r reqwest::Client, Reason> {
        let near = is_loopback(&authority(url));
        let make = || {
            let mut own = repository.authorities()?;
            own.extend(self.authorities().map_err(|reason| reason.to_string())?);
            let builder = repository.apply(self.builder(near).tls_certs_merge(own))?;
            builder.build().map_err(|error| layers(&error))
        };
        let made = repository.made.get_or_init(make);
        made.as_ref().map_err(|message| Reason::Login { host: authority(url), message: message.clone() })
    }

    fn secure(&self, near: bool) -> Result<reqwest::Client, Reason> {
        // The one thing that fails here, once the own certificates were read, is a system that trusts nobody.
        let built = self.builder(near).tls_certs_merge(self.authorities()?).build();
        built.map_err(|_| Reason::NoAuthorities { host: String::new() })
    }

    fn authorities(&self) -> Result<Vec<Certificate>, Reason> {
        let mut own = Vec::new();
        for from in &self.inner.settings.authorities {
            let bad = |message: String| Reason::Authority { name: from.name.clone(), message };
            let found = Certificate::from_pem_bundle(&from.pem).map_err(|error| bad(layers(&error)))?;
            if found.is_empty() {
                return Err(bad("there is no certificate in it".to_owned()));
            }
            own.extend(found);
        }
        Ok(own)
    }

    #[allow(clippy::disallowed_methods)] // The one place that makes clients.
    fn builder(&self, near: bool) -> reqwest::ClientBuilder {
        let builder = reqwest::Client::builder();
        let builder = if near { builder.no_proxy() } else { builder };
        builder
            .user_agent(concat!("platctl/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .pool_idle_timeout(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none())
            // What is hashed must come as it is stored, also where a server declares an encoding.
            .no_gzip()
            // One connection a transfer: over HTTP/2 all would share one, and its congestion window.
            .http1_only()
            .dns_resolver(Arc::new(Names::default()))
    }

    /// An error for the user.
    pub(super) fn error(&self, ask: &Ask, tries: u32, reason: Reason) -> Error {
        let url = shown(&ask.url);
        let via = (url != ask.shown).then_some(url);
        Error { url: ask.shown.clone(), via, tries, reason }
    }
}

/// What a server said when it refused.
pub(super) async fn refusal(response: Response) -> Failure {
    let status = response.status().as_u16();
    let retry_after = super::answer::retry_after(response.headers());
    let patience = Duration::from_secs(5);
    let text = tokio::time::timeout(patience, super::answer::at_most(response, 16 * 1024)).await.unwrap_or_default();
    Failure { reason: Reason::Status { status, message: super::oci::said(&text) }, retry_after }
}

fn redirect(method: &Method, response: &Response, from: &Url) -> Result<Option<Url>, Reason> {
    let followed = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    if !followed || !matches!(*method, Method::GET | Method::HEAD) {
        return Ok(None);
    }
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let next = location.and_then(|location| from.join(location).ok());
    match next.filter(|next| matches!(next.scheme(), "http" | "https")) {
        Some(next) => Ok(Some(next)),
        None => Err(Reason::Protocol("a redirect without an address".to_owned())),
    }
}
