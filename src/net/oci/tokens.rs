//! Leave to use a repository: passwords sent as such, or tokens fetched for a scope and kept until they run out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::Serializer;

use super::challenge::{Challenge, challenge};
use super::login::{Identity, login};
use crate::net::client::{Ask, refusal};
use crate::net::error::{Failure, shown};
use crate::net::mirrors::authority;
use crate::net::{Client, Login, Reason};

/// What the specification says a token lasts when nothing is said.
const USUAL_LIFE: u64 = 60;
/// A token is not used in its last moments.
const MARGIN: Duration = Duration::from_secs(10);
const LARGEST_ANSWER: usize = 1 << 20;

/// What a request needs leave for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::net) struct Scope {
    base: Url,
    path: String,
    push: bool,
    /// A repository that blobs are mounted from.
    from: Option<String>,
}

/// What is known about registries' wishes. Shared by all requests of a client.
#[derive(Default)]
pub(in crate::net) struct Tokens {
    /// By host.
    challenges: Mutex<HashMap<String, Challenge>>,
    /// By host, read once.
    logins: Mutex<HashMap<String, Arc<tokio::sync::OnceCell<Option<Identity>>>>>,
    /// By host and scope. A token is fetched by one request while the others wait for it.
    tokens: Mutex<HashMap<(String, Vec<String>), Kept>>,
}

type Kept = Arc<tokio::sync::Mutex<Option<Token>>>;

struct Token {
    value: HeaderValue,
    until: Instant,
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Scope {
    pub fn pull(base: &Url, path: &str) -> Scope {
        Scope { base: base.clone(), path: path.to_owned(), push: false, from: None }
    }

    pub fn and_push(self) -> Scope {
        Scope { push: true, ..self }
    }

    pub fn and_mount(self, from: &str) -> Scope {
        Scope { from: Some(from.to_owned()), ..self }
    }

    fn texts(&self) -> Vec<String> {
        let actions = if self.push { "pull,push" } else { "pull" };
        let own = format!("repository:{}:{actions}", self.path);
        std::iter::once(own).chain(self.from.iter().map(|from| format!("repository:{from}:pull"))).collect()
    }
}

impl Tokens {
    /// What to send with a request, as far as it is known that the registry wants something.
    pub async fn ready(&self, client: &Client, scope: &Scope) -> Result<Option<HeaderValue>, Failure> {
        let known = lock(&self.challenges).get(&authority(&scope.base)).cloned();
        match known {
            Some(challenge) => self.obtain(client, scope, &challenge, None).await,
            None => Ok(None),
        }
    }

    /// What to send after a registry refused a request with `sent`; none when there is nothing better to send.
    pub async fn answer(
        &self,
        client: &Client,
        scope: &Scope,
        headers: &HeaderMap,
        sent: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, Failure> {
        let Some(challenge) = challenge(headers) else { return Ok(None) };
        // Without its scope: that is of this one request.
        let known = match &challenge {
            Challenge::Bearer { realm, service, .. } => {
                Challenge::Bearer { realm: realm.clone(), service: service.clone(), scope: None }
            }
            Challenge::Basic => Challenge::Basic,
        };
        lock(&self.challenges).insert(authority(&scope.base), known);
        let better = self.obtain(client, scope, &challenge, sent).await?;
        Ok(better.filter(|better| Some(better) != sent))
    }

    async fn obtain(
        &self,
        client: &Client,
        scope: &Scope,
        challenge: &Challenge,
        refused: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, Failure> {
        let identity = self.login(client, &authority(&scope.base)).await?;
        let Challenge::Bearer { realm, service, scope: asked } = challenge else {
            return Ok(match &identity {
                Some(Identity::Password(login)) => Some(basic(login)?),
                _ => None,
            });
        };
        let key = (authority(&scope.base), scope.texts());
        let cell = lock(&self.tokens).entry(key).or_default().clone();
        let mut token = cell.lock().await;
        let good = token.as_ref().filter(|token| token.until > Instant::now() && Some(&token.value) != refused);
        if let Some(good) = good {
            return Ok(Some(good.value.clone()));
        }
        let mut scopes = scope.texts();
        scopes.extend(asked.clone().filter(|asked| !scopes.contains(asked)));
        let realm = realm_url(client, scope, realm)?;
        let fetched = fetch(client, &realm, service.as_deref(), &scopes, identity.as_ref()).await;
        let fetched = fetched.map_err(|failure| Failure {
            reason: Reason::Token { realm: shown(&realm), reason: Box::new(failure.reason) },
            ..failure
        })?;
        let value = fetched.value.clone();
        *token = Some(fetched);
        Ok(Some(value))
    }

    async fn login(&self, client: &Client, host: &str) -> Result<Option<Identity>, Reason> {
        let cell = lock(&self.logins).entry(host.to_owned()).or_default().clone();
        cell.get_or_try_init(|| login(client, host)).await.cloned()
    }
}

/// Where tokens are fetched: the registry says, but nothing leaves a sealed place, and no login goes unencrypted
/// where the registry itself is encrypted.
fn realm_url(client: &Client, scope: &Scope, realm: &str) -> Result<Url, Reason> {
    let url = scope.base.join(realm).map_err(|_| Reason::Protocol("the token's realm is no address".to_owned()))?;
    let url = client.settings().mirrors.onward(url);
    match url.scheme() {
        "https" => Ok(url),
        "http" if scope.base.scheme() == "http" || client.settings().is_plain(&url) => Ok(url),
        _ => Err(Reason::Protocol(format!("the token's realm {} is not encrypted", shown(&url)))),
    }
}

async fn fetch(
    client: &Client,
    realm: &Url,
    service: Option<&str>,
    scopes: &[String],
    identity: Option<&Identity>,
) -> Result<Token, Failure> {
    let mut url = realm.clone();
    let mut ask = Ask {
        method: Method::GET,
        shown: shown(realm),
        url: url.clone(),
        headers: HeaderMap::new(),
        scope: None,
        repository: None,
    };
    let response = if let Some(Identity::Refresh(token)) = identity {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token").append_pair("client_id", "platctl");
        form.append_pair("refresh_token", token).append_pair("scope", &scopes.join(" "));
        form.extend_pairs(service.map(|service| ("service", service)));
        ask.method = Method::POST;
        ask.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        client.send_small(&ask, None, form.finish().as_bytes()).await?
    } else {
        url.query_pairs_mut().extend_pairs(service.map(|service| ("service", service)));
        url.query_pairs_mut().extend_pairs(scopes.iter().map(|scope| ("scope", scope)));
        ask.url = url;
        let login = match identity {
            Some(Identity::Password(login)) => Some(basic(login)?),
            _ => None,
        };
        client.follow(&ask, login.as_ref()).await?
    };
    if !response.status().is_success() {
        return Err(refusal(response).await);
    }
    let body = crate::net::answer::at_most(response, LARGEST_ANSWER).await;
    token(&body).ok_or_else(|| Reason::Protocol("there is no token in the answer".to_owned()).into())
}

fn token(body: &[u8]) -> Option<Token> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let text = answer.token.or(answer.access_token).filter(|text| !text.is_empty())?;
    let mut value = HeaderValue::try_from(format!("Bearer {text}")).ok()?;
    value.set_sensitive(true);
    let life = Duration::from_secs(answer.expires_in.unwrap_or(USUAL_LIFE).min(24 * 3600));
    Some(Token { value, until: Instant::now() + life.saturating_sub(MARGIN).max(life / 2) })
}

/// A name and password as a header has them.
pub(in crate::net) fn basic(login: &Login) -> Result<HeaderValue, Reason> {
    let encoded = STANDARD.encode(format!("{}:{}", login.username, login.password));
    let value = HeaderValue::try_from(format!("Basic {encoded}"));
    let mut value = value.map_err(|_| Reason::Protocol("a login that no header can carry".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
