//! A download as a stream of chunks that goes on where it broke off. Must not know where the chunks go.

use bytes::Bytes;
use reqwest::header::{CONTENT_RANGE, ETAG, HeaderValue, IF_RANGE, RANGE};
use reqwest::{Response, StatusCode};

use super::client::Ask;
use super::error::Failure;
use super::retry::Tries;
use super::{Client, Error, Reason};
use crate::digest::Digest;

/// So much has to come between two interruptions for the tries to be counted anew.
const PROGRESS: u64 = 1 << 20;

/// A download under way.
pub struct Body<'a> {
    client: &'a Client,
    ask: Ask,
    tries: Tries<'a>,
    response: Option<Response>,
    /// Bytes handed out.
    offset: u64,
    /// Bytes of the current answer that were handed out from an earlier one.
    skip: u64,
    /// Where it began.
    begun: u64,
    /// Bytes handed out when the last interruption came.
    settled: u64,
    size: Option<u64>,
    etag: Option<HeaderValue>,
    resumes: Resumes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resumes {
    /// The caller has no digest: two halves might not belong together.
    Never,
    /// The server does not send parts, or sent wrong ones: it starts over and we skip.
    BySkipping,
    ByRange,
}

impl<'a> Body<'a> {
    /// A download of what has a digest; the caller checks it. With a size, more bytes are refused and fewer are an
    /// interruption.
    pub(super) fn known(client: &'a Client, ask: Ask, size: Option<u64>) -> Body<'a> {
        Body::new(client, ask, size, Resumes::ByRange)
    }

    /// The same from a place inside on.
    pub(super) fn from(self, offset: u64) -> Body<'a> {
        Body { offset, settled: offset, begun: offset, ..self }
    }

    /// A download of what may have changed since: it is never put together from two answers.
    pub(super) fn unknown(client: &'a Client, ask: Ask) -> Body<'a> {
        Body::new(client, ask, None, Resumes::Never)
    }

    fn new(client: &'a Client, ask: Ask, size: Option<u64>, resumes: Resumes) -> Body<'a> {
        let tries = Tries::of(client);
        Body { client, ask, tries, response: None, offset: 0, begun: 0, skip: 0, settled: 0, size, etag: None, resumes }
    }

    /// The next bytes, none at the end.
    ///
    /// # Errors
    /// [`Error`] when it can't go on, after as many tries as the settings allow.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let failure = match self.step().await {
                Ok(Step::Chunk(chunk)) => return Ok(Some(chunk)),
                Ok(Step::End) => return Ok(None),
                Ok(Step::Again) => continue,
                Err(failure) => failure,
            };
            self.response = None;
            if self.resumes == Resumes::Never && self.offset > 0 {
                return Err(self.client.error(&self.ask, self.tries.made(), failure.reason));
            }
            if self.offset - self.settled >= PROGRESS {
                self.settled = self.offset;
                self.tries.progressed();
            }
            self.tries.failed(&self.ask, failure).await?;
        }
    }

    /// The error for bytes that turned out to be others than expected.
    pub fn mismatch(&self, expected: Digest, actual: Digest) -> Error {
        self.failed(Reason::Mismatch { expected, actual })
    }

    /// The error for bytes that could not be used.
    pub(super) fn failed(&self, reason: Reason) -> Error {
        self.client.error(&self.ask, self.tries.made(), reason)
    }

    async fn step(&mut self) -> Result<Step, Failure> {
        if self.response.is_none() {
            self.open().await?;
        }
        let Some(response) = &mut self.response else { return Ok(Step::Again) };
        let patience = self.client.inner.settings.timeout;
        let read = tokio::time::timeout(patience, response.chunk()).await;
        let interrupted = Reason::Interrupted { received: self.offset, expected: self.size };
        match read {
            Err(_) => Err(Reason::Timeout(patience).into()),
            Ok(Err(_)) => Err(interrupted.into()),
            Ok(Ok(None)) if self.size.is_some_and(|size| self.offset < size) => Err(interrupted.into()),
            Ok(Ok(None)) => Ok(Step::End),
            Ok(Ok(Some(chunk))) => self.hand_out(chunk),
        }
    }

    fn hand_out(&mut self, mut chunk: Bytes) -> Result<Step, Failure> {
        let skipped = self.skip.min(chunk.len() as u64);
        self.skip -= skipped;
        let rest = chunk.split_off(skipped as usize);
        if rest.is_empty() {
            return Ok(Step::Again);
        }
        let offset = self.offset + rest.len() as u64;
        if let Some(limit) = self.size.filter(|size| offset > *size) {
            return Err(Reason::TooLarge { limit }.into());
        }
        self.offset = offset;
        Ok(Step::Chunk(rest))
    }

    async fn open(&mut self) -> Result<(), Failure> {
        let by_range = self.offset > 0 && self.resumes == Resumes::ByRange;
        let mut ask = self.ask.clone();
        if by_range {
            let range = HeaderValue::try_from(format!("bytes={}-", self.offset));
            ask.headers.insert(RANGE, range.map_err(|_| Reason::Protocol("a range".to_owned()))?);
            ask.headers.extend(self.etag.clone().map(|etag| (IF_RANGE, etag)));
        }
        let response = match self.client.send(&ask).await {
            // A server that refuses the range may well send the whole.
            Err(failure) if by_range && failure.reason.status() == Some(416) => return Err(self.without_ranges()),
            other => other?,
        };
        self.skip = self.offset;
        if by_range && response.status() == StatusCode::PARTIAL_CONTENT {
            if starts_at(&response) != Some(self.offset) {
                return Err(self.without_ranges());
            }
            self.skip = 0;
        }
        if self.offset == self.begun {
            self.etag = response.headers().get(ETAG).filter(|etag| etag.as_bytes().starts_with(b"\"")).cloned();
            self.size = self.size.or(response.content_length());
        }
        self.response = Some(response);
        Ok(())
    }

    fn without_ranges(&mut self) -> Failure {
        self.resumes = Resumes::BySkipping;
        Reason::Interrupted { received: self.offset, expected: self.size }.into()
    }
}

enum Step {
    Chunk(Bytes),
    Again,
    End,
}

/// `bytes 100-199/200` starts at 100.
fn starts_at(response: &Response) -> Option<u64> {
    let text = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    text.strip_prefix("bytes ")?.split_once('-')?.0.trim().parse().ok()
}
