//! Uploading blobs: mounting from another repository, or one POST and one PUT with a body that is read while it is
//! sent. An upload that broke goes on where the registry says it ended. Must not believe the registry more than that:
//! it never has more than was sent, and the digest decides.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, LOCATION, RANGE};
use reqwest::{Method, Response, StatusCode};
use url::Url;

use super::Repository;
use super::manifest::promised;
use super::streamed::{Progress, streamed, watched};
use crate::digest::Digest;
use crate::net::client::{Ask, refusal};
use crate::net::error::Failure;
use crate::net::mirrors::authority;
use crate::net::retry::Tries;
use crate::net::{Error, Kind, Reason};

/// With less than this at the registry an upload is begun anew: that costs no more than asking.
const WORTH_ASKING: u64 = 1 << 20;
/// How often a registry may want another login for one blob without having kept more of it.
const MOST_LOGINS: u32 = 2;
/// How often a registry may have forgotten an upload that it began.
const MOST_LOST: u32 = 3;
/// How long taking back an upload may take; a registry forgets it by itself.
const TAKING_BACK: Duration = Duration::from_secs(5);

/// A blob on its way into a repository.
struct Upload<'a, F> {
    repository: &'a Repository,
    /// How an upload is begun.
    begin: Ask,
    digest: &'a Digest,
    size: u64,
    open: F,
    /// The upload that the registry began last.
    place: Option<Url>,
    /// The most that the registry can have of it.
    reached: u64,
    /// What the registry said that it keeps.
    kept: u64,
    told: Told<'a>,
}

/// Who hears how many bytes were sent, each counted once.
struct Told<'a> {
    bytes: u64,
    sent: &'a (dyn Fn(u64) + Send + Sync),
}

impl Told<'_> {
    fn up_to(&mut self, now: u64) {
        if now > self.bytes {
            (self.sent)(now - self.bytes);
            self.bytes = now;
        }
    }
}

/// Why a try did not bring the blob there.
enum Broken {
    /// The registry wanted another login, and there is one now.
    LoggedIn,
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for Broken {
    fn from(failure: E) -> Broken {
        Broken::Failed(failure.into())
    }
}

impl Repository {
    /// Takes a blob over from another repository of the same registry; false when the registry would not.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn mount_blob(&self, digest: &Digest, from: &Repository) -> Result<bool, Error> {
        let below = format!("blobs/uploads/?mount={digest}&from={}", from.path);
        let mut ask = self.change(Method::POST, &below, self.shown(&digest.to_string()))?;
        ask.scope = ask.scope.map(|scope| scope.and_mount(&from.path));
        let mut tries = Tries::of(&self.client);
        loop {
            match self.client.send_any(&ask).await {
                Ok(response) if response.status() == StatusCode::CREATED => return Ok(true),
                Ok(response) if response.status() == StatusCode::ACCEPTED => {
                    self.cancel(&ask, &response).await;
                    return Ok(false);
                }
                // No leave to read the other repository is no reason to give up: the blob can be sent.
                Ok(response) if matches!(response.status().as_u16(), 400..=405) => return Ok(false),
                Err(failure) if matches!(failure.reason.status(), Some(400..=405)) => return Ok(false),
                Ok(response) => tries.failed(&ask, refusal(response).await).await?,
                Err(failure) => tries.failed(&ask, failure).await?,
            }
        }
    }

    /// Begins an upload and takes it back: whether blobs may be sent here.
    ///
    /// # Errors
    /// [`Error`] as a first upload would have it.
    pub async fn takes_uploads(&self) -> Result<(), Error> {
        let ask = self.change(Method::POST, "blobs/uploads/", self.name.clone())?;
        let mut tries = Tries::of(&self.client);
        loop {
            match self.client.send(&ask).await {
                Ok(response) => {
                    self.cancel(&ask, &response).await;
                    return Ok(());
                }
                Err(failure) => tries.failed(&ask, failure).await?,
            }
        }
    }

    /// Sends a blob. `open` gives a reader of all its bytes, once for each try; a reader that fails before its last
    /// bytes aborts the upload. `sent` hears how many bytes more were sent, each counted once.
    ///
    /// # Errors
    /// [`Error`]; what the reader failed with is in [`Reason::Source`].
    pub async fn upload_blob<R: Read + Send + 'static>(
        &self,
        digest: &Digest,
        size: u64,
        open: impl Fn() -> io::Result<R>,
        sent: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), Error> {
        let begin = self.change(Method::POST, "blobs/uploads/", self.shown(&digest.to_string()))?;
        let (place, reached, kept, told) = (None, 0, 0, Told { bytes: 0, sent });
        let mut upload = Upload { repository: self, begin, digest, size, open, place, reached, kept, told };
        let done = upload.run().await;
        if done.is_err() {
            // What came of it is of no use; but the failure is what matters.
            let _ = tokio::time::timeout(TAKING_BACK, upload.take_back()).await;
        }
        done
    }

    /// Gives up an upload that the registry began for us; if that fails, the registry forgets it by itself.
    async fn cancel(&self, ask: &Ask, response: &Response) {
        if let Ok(place) = upload_place(ask, response) {
            let _ = self.client.send_any(&at(ask, Method::DELETE, place)).await;
        }
    }
}

impl<R: Read + Send + 'static, F: Fn() -> io::Result<R>> Upload<'_, F> {
    async fn run(&mut self) -> Result<(), Error> {
        let mut tries = Tries::of(&self.repository.client);
        let (mut logins, mut lost, mut settled, mut may_go_on) = (0, 0, 0, true);
        loop {
            let from = self.kept;
            match self.once().await {
                Ok(()) => return Ok(()),
                Err(Broken::LoggedIn) if logins < MOST_LOGINS => logins += 1,
                Err(Broken::LoggedIn) => {
                    let reason = Reason::Status { status: 401, message: Some("again and again".to_owned()) };
                    return Err(self.repository.client.error(&self.begin, tries.made(), reason));
                }
                // A registry that would not go on may well take the whole; whoever may not push may not.
                Err(Broken::Failed(failure)) if from > 0 && is_about_parts(&failure) => may_go_on = false,
                // One of several registries behind the address has it, or had it.
                Err(Broken::Failed(failure)) if failure.reason.status() == Some(404) && lost < MOST_LOST => lost += 1,
                Err(Broken::Failed(failure)) => tries.failed(&self.begin, failure).await?,
            }
            // The answer may have been lost, not the blob.
            if self.repository.head_blob(self.digest).await?.is_some() {
                self.told.up_to(self.size);
                return Ok(());
            }
            self.kept = if may_go_on { self.ask_what_is_kept().await } else { 0 };
            if self.kept >= settled + WORTH_ASKING {
                (settled, logins) = (self.kept, 0);
                tries.progressed();
            }
        }
    }

    /// Sends what the registry does not have yet.
    async fn once(&mut self) -> Result<(), Broken> {
        let client = &self.repository.client;
        let place = match self.place.take().filter(|_| self.kept > 0) {
            Some(place) => place,
            None => upload_place(&self.begin, &client.send(&self.begin).await?)?,
        };
        self.place = Some(place.clone());
        let from = self.kept;
        self.reached = from;
        let reader = self.reader(from).await?;
        let put = self.put(place, from);
        let authorization = client.authorization(&put).await?;
        let progress = Arc::new(Progress::default());
        let answered = client.send_body(&put, authorization.clone(), streamed(reader, progress.clone()));
        let patience = client.settings().timeout;
        let rest = self.size - from;
        let told = &mut self.told;
        let answer = watched(answered, rest, &progress, patience, &mut |now| told.up_to(from + now)).await;
        self.reached = from + progress.sent();
        if let Some(error) = progress.unread() {
            return Err(Reason::Source(error).into());
        }
        let response = answer.map_err(|failure| self.broken_off(failure))?;
        match response.status() {
            StatusCode::CREATED | StatusCode::NO_CONTENT => self.stored(&response),
            StatusCode::UNAUTHORIZED => self.log_in(&put, response, authorization.as_ref()).await,
            _ => Err(refusal(response).await.into()),
        }
    }

    fn stored(&mut self, response: &Response) -> Result<(), Broken> {
        match promised(response.headers()).filter(|actual| actual != self.digest) {
            Some(actual) => Err(Reason::Mismatch { expected: *self.digest, actual }.into()),
            None => {
                self.told.up_to(self.size);
                Ok(())
            }
        }
    }

    /// A token may run out while a blob is on its way.
    async fn log_in(&self, put: &Ask, response: Response, sent: Option<&HeaderValue>) -> Result<(), Broken> {
        let client = &self.repository.client;
        if let Some(scope) = &put.scope
            && client.inner.tokens.answer(client, scope, response.headers(), sent).await?.is_some()
        {
            return Err(Broken::LoggedIn);
        }
        Err(refusal(response).await.into())
    }

    /// A reader of what is left. What is left out is read too: it is part of what is hashed.
    async fn reader(&self, from: u64) -> Result<R, Reason> {
        let mut reader = (self.open)().map_err(Reason::Source)?;
        if from == 0 {
            return Ok(reader);
        }
        let skipping = tokio::task::spawn_blocking(move || {
            let skipped = io::copy(&mut reader.by_ref().take(from), &mut io::sink())?;
            if skipped == from { Ok(reader) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
        });
        skipping.await.map_err(io::Error::other).flatten().map_err(Reason::Source)
    }

    fn put(&self, mut place: Url, from: u64) -> Ask {
        place.query_pairs_mut().append_pair("digest", &self.digest.to_string());
        let mut put = at(&self.begin, Method::PUT, place);
        put.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        put.headers.insert(CONTENT_LENGTH, HeaderValue::from(self.size - from));
        if from > 0 && from < self.size {
            let range = HeaderValue::try_from(format!("{from}-{}", self.size - 1));
            put.headers.extend(range.ok().map(|range| (CONTENT_RANGE, range)));
        }
        put
    }

    /// What the registry has of an upload that broke; 0 when it does not say, or says more than can be.
    async fn ask_what_is_kept(&mut self) -> u64 {
        let Some(place) = self.place.clone().filter(|_| self.reached >= WORTH_ASKING) else { return 0 };
        let ask = at(&self.begin, Method::GET, place);
        let Ok(response) = self.repository.client.send(&ask).await else { return 0 };
        let kept = response.headers().get(RANGE).and_then(|value| value.to_str().ok()).and_then(kept);
        let Some(kept) = kept.filter(|kept| (WORTH_ASKING..=self.reached).contains(kept)) else { return 0 };
        if let Ok(place) = upload_place(&ask, &response) {
            self.place = Some(place);
        }
        kept
    }

    async fn take_back(&mut self) {
        let Some(place) = self.place.clone() else { return };
        let ask = at(&self.begin, Method::GET, place.clone());
        let place = match self.repository.client.send(&ask).await {
            Ok(response) => upload_place(&ask, &response).unwrap_or(place),
            Err(_) => place,
        };
        let _ = self.repository.client.send_any(&at(&self.begin, Method::DELETE, place)).await;
    }

    fn broken_off(&self, failure: Failure) -> Failure {
        match failure.reason {
            Reason::Connect { .. } if self.reached > 0 => {
                Reason::Interrupted { received: self.reached, expected: Some(self.size) }.into()
            }
            _ => failure,
        }
    }
}

/// Whether a refusal may be one of going on alone: not of who we are, and nothing that passes.
fn is_about_parts(failure: &Failure) -> bool {
    failure.reason.kind() == Kind::Permanent && failure.reason.status().is_some()
}

/// Another request of an upload. A place elsewhere gets no login.
fn at(begin: &Ask, method: Method, place: Url) -> Ask {
    let own = authority(&place) == authority(&begin.url);
    Ask { method, url: place, scope: begin.scope.clone().filter(|_| own), ..begin.clone() }
}

/// `0-99` are 100 bytes; `0-0` is how registries say that there are none.
fn kept(range: &str) -> Option<u64> {
    let last: u64 = range.trim().trim_start_matches("bytes=").strip_prefix("0-")?.parse().ok()?;
    Some(if last == 0 { 0 } else { last.checked_add(1)? })
}

/// Where the registry wants the bytes. Some say `http` behind a proxy that does TLS for them.
fn upload_place(ask: &Ask, response: &Response) -> Result<Url, Reason> {
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let place = location.and_then(|location| ask.url.join(location).ok());
    let mut place = place.ok_or_else(|| Reason::Protocol("an upload without an address".to_owned()))?;
    if place.host_str() == ask.url.host_str() && ask.url.scheme() == "https" && place.scheme() == "http" {
        // Fails for no URL that begins with http.
        let _ = place.set_scheme("https");
    }
    Ok(place)
}

#[cfg(test)]
mod tests;
