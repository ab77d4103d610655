//! What refers to a manifest in a registry: signatures, SBOMs, attestations. Finds them; must not fetch or judge them.

use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, StatusCode};

use super::Repository;
use super::manifest::LARGEST;
use crate::digest::Digest;
use crate::layout::{Descriptor, Index, media};
use crate::net::client::refusal;
use crate::net::error::Failure;
use crate::net::retry::Tries;
use crate::net::{Error, Reason};

impl Repository {
    /// What refers to a manifest: by the registry's own list, or by the tag under which clients keep one where the
    /// registry has none.
    ///
    /// # Errors
    /// [`Error`] for any answer but a list and "not found".
    pub async fn referrers(&self, digest: &Digest) -> Result<Vec<Descriptor>, Error> {
        match self.list(&format!("referrers/{digest}"), digest).await? {
            Some(list) => Ok(list),
            None => Ok(self.list(&format!("manifests/sha256-{}", digest.hex()), digest).await?.unwrap_or_default()),
        }
    }

    async fn list(&self, below: &str, digest: &Digest) -> Result<Option<Vec<Descriptor>>, Error> {
        let mut ask = self.ask(Method::GET, below, self.shown(&digest.to_string()))?;
        ask.headers.insert(ACCEPT, HeaderValue::from_static(media::INDEX));
        let mut tries = Tries::of(&self.client);
        loop {
            let failure = match self.client.send_any(&ask).await {
                // What a registry says that knows no such list.
                Ok(response) if matches!(response.status().as_u16(), 400 | 404 | 405) => return Ok(None),
                Ok(response) if response.status() == StatusCode::OK => match self.client.whole(response, LARGEST).await
                {
                    Ok(bytes) => match serde_json::from_slice::<Index>(&bytes) {
                        Ok(index) => return Ok(Some(index.manifests)),
                        Err(error) => {
                            Failure::from(Reason::Protocol(format!("the list of referrers is none: {error}")))
                        }
                    },
                    Err(failure) => failure,
                },
                Ok(response) => refusal(response).await,
                Err(failure) => failure,
            };
            tries.failed(&ask, failure).await?;
        }
    }
}
