//! Manifests, indexes and tags of a repository.

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, LINK};
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::Repository;
use crate::digest::Digest;
use crate::image::Reference;
use crate::layout::media;
use crate::net::client::{Ask, refusal};
use crate::net::error::Failure;
use crate::net::mirrors::authority;
use crate::net::retry::Tries;
use crate::net::{Client, Error, Reason};

/// What registries themselves bear.
pub(super) const LARGEST: u64 = 4 << 20;
const LARGEST_TAG_LIST: u64 = 16 << 20;
const MOST_TAG_PAGES: usize = 1000;
const DIGEST: &str = "docker-content-digest";

/// A manifest or index as the registry has it; the bytes were hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Digest of the bytes.
    pub digest: Digest,
    /// Media type, from the document itself where it says so.
    pub media_type: String,
    /// The document.
    pub bytes: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Typed {
    media_type: Option<String>,
}

#[derive(Deserialize)]
struct TagList {
    tags: Option<Vec<String>>,
}

impl Client {
    /// The manifest or index that a reference stands for: by its digest where it has one, else by its tag.
    ///
    /// # Errors
    /// As [`Repository::manifest`].
    pub async fn resolve(&self, reference: &Reference) -> Result<Document, Error> {
        self.repository_of(reference).manifest(&reference.wanted()).await
    }
}

impl Repository {
    /// A manifest or index by tag or digest.
    ///
    /// # Errors
    /// [`Error`]; bytes that are not what the digest promised are [`Reason::Mismatch`].
    pub async fn manifest(&self, wanted: &str) -> Result<Document, Error> {
        let ask = self.about(Method::GET, wanted)?;
        let mut tries = Tries::of(&self.client);
        loop {
            match self.document(&ask, wanted).await {
                Ok(document) => return Ok(document),
                Err(failure) => tries.failed(&ask, failure).await?,
            }
        }
    }

    /// The digest of a manifest by tag or digest, none when the registry has it not.
    ///
    /// # Errors
    /// [`Error`] for any answer but "here it is" and "not found".
    pub async fn head_manifest(&self, wanted: &str) -> Result<Option<Digest>, Error> {
        let ask = self.about(Method::HEAD, wanted)?;
        let mut tries = Tries::of(&self.client);
        let headers = loop {
            match self.client.send_any(&ask).await {
                Ok(response) if response.status() == StatusCode::NOT_FOUND => return Ok(None),
                Ok(response) if response.status().is_success() => break response.headers().clone(),
                Ok(response) => tries.failed(&ask, refusal(response).await).await?,
                Err(failure) => tries.failed(&ask, failure).await?,
            }
        };
        match (promised(&headers), wanted.parse()) {
            (Some(actual), Ok(expected)) if actual != expected => {
                Err(self.client.error(&ask, tries.made(), Reason::Mismatch { expected, actual }))
            }
            (Some(digest), _) | (None, Ok(digest)) => Ok(Some(digest)),
            // A registry that does not say the digest of a tag has to be asked for the bytes.
            (None, Err(_)) => Ok(Some(self.manifest(wanted).await?.digest)),
        }
    }

    /// Stores a manifest or index under a tag or its digest.
    ///
    /// # Errors
    /// [`Error`]; a registry that says another digest than ours is [`Reason::Mismatch`].
    pub async fn put_manifest(&self, wanted: &str, media_type: &str, bytes: &[u8]) -> Result<(), Error> {
        let mut ask = self.change(Method::PUT, &format!("manifests/{wanted}"), self.shown(wanted))?;
        let kind = HeaderValue::try_from(media_type).map_err(|_| Reason::Protocol(media_type.to_owned()));
        ask.headers.insert(CONTENT_TYPE, kind.map_err(|reason| self.client.error(&ask, 0, reason))?);
        let mut tries = Tries::of(&self.client);
        loop {
            match self.put(&ask, bytes).await {
                Ok(()) => return Ok(()),
                Err(failure) => tries.failed(&ask, failure).await?,
            }
        }
    }

    /// All tags, in the registry's order.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn tags(&self) -> Result<Vec<String>, Error> {
        let mut ask = self.ask(Method::GET, "tags/list", self.name.clone())?;
        let mut all = Vec::new();
        let mut tries = Tries::of(&self.client);
        for _ in 0..MOST_TAG_PAGES {
            let (tags, next) = loop {
                match self.tag_page(&ask).await {
                    Ok(page) => break page,
                    Err(failure) => tries.failed(&ask, failure).await?,
                }
            };
            all.extend(tags);
            let Some(next) = next.and_then(|next| ask.url.join(&next).ok()) else { return Ok(all) };
            tries.progressed();
            let next = self.client.settings().mirrors.onward(next);
            // The login is for this registry alone.
            ask.scope = ask.scope.filter(|_| authority(&next) == authority(&ask.url));
            ask.url = next;
        }
        let reason = Reason::Protocol("the list of tags has no end".to_owned());
        Err(self.client.error(&ask, tries.made(), reason))
    }

    fn about(&self, method: Method, wanted: &str) -> Result<Ask, Error> {
        let mut ask = self.ask(method, &format!("manifests/{wanted}"), self.shown(wanted))?;
        for kind in [media::INDEX, media::MANIFEST, media::DOCKER_INDEX, media::DOCKER_MANIFEST] {
            ask.headers.append(ACCEPT, HeaderValue::from_static(kind));
        }
        Ok(ask)
    }

    async fn document(&self, ask: &Ask, wanted: &str) -> Result<Document, Failure> {
        let response = self.client.send(ask).await?;
        let headers = response.headers().clone();
        let bytes = self.client.whole(response, LARGEST).await?;
        let digest = Digest::of(&bytes);
        let expected = wanted.parse().ok().or(promised(&headers));
        if let Some(expected) = expected.filter(|expected| *expected != digest) {
            return Err(Reason::Mismatch { expected, actual: digest }.into());
        }
        let typed: Typed = serde_json::from_slice(&bytes)
            .map_err(|error| Reason::Protocol(format!("the manifest is no JSON: {error}")))?;
        let header = || Some(headers.get(CONTENT_TYPE)?.to_str().ok()?.split(';').next()?.trim().to_owned());
        let media_type = typed.media_type.or_else(header);
        let media_type = media_type.ok_or_else(|| Reason::Protocol("a manifest without a media type".to_owned()))?;
        Ok(Document { digest, media_type, bytes })
    }

    async fn put(&self, ask: &Ask, bytes: &[u8]) -> Result<(), Failure> {
        let response = self.client.send_bytes(ask, bytes).await?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let digest = Digest::of(bytes);
        match promised(response.headers()) {
            Some(actual) if actual != digest => Err(Reason::Mismatch { expected: digest, actual }.into()),
            _ => Ok(()),
        }
    }

    async fn tag_page(&self, ask: &Ask) -> Result<(Vec<String>, Option<String>), Failure> {
        let response = self.client.send(ask).await?;
        let next = response.headers().get(LINK).and_then(|value| value.to_str().ok()).and_then(next_page);
        let bytes = self.client.whole(response, LARGEST_TAG_LIST).await?;
        let list: TagList = serde_json::from_slice(&bytes)
            .map_err(|error| Reason::Protocol(format!("the list of tags is no JSON: {error}")))?;
        Ok((list.tags.unwrap_or_default(), next))
    }
}

/// `</v2/a/tags/list?last=x>; rel="next"`
fn next_page(link: &str) -> Option<String> {
    let (url, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then(|| url.to_owned())
}

pub(super) fn promised(headers: &HeaderMap) -> Option<Digest> {
    headers.get(DIGEST)?.to_str().ok()?.parse().ok()
}
