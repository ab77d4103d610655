//! What the site's registry has of images. Only asks.

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::Error;
use super::tags::Tags;
use crate::bundle::ImageInfo;
use crate::digest::Digest;
use crate::image::Site;
use crate::net::oci::Repository;
use crate::net::{self, Client};

/// Questions are small: more of them are asked at once than blobs are sent.
pub(super) const QUESTIONS: usize = 16;

/// An image and its place at the site.
pub(super) struct Seen<'a> {
    pub image: &'a ImageInfo,
    pub repository: Repository,
    pub tag: String,
    pub has: Has,
}

impl Seen<'_> {
    /// Whether more than its tag is lacking.
    pub fn is_new(&self) -> bool {
        matches!(self.has, Has::Nothing(_) | Has::Refused(_))
    }

    /// Whose its tag is, where that is another image's.
    pub fn moves(&self) -> Option<Digest> {
        match self.has {
            Has::Untagged(tagged) | Has::Nothing(tagged) => tagged,
            Has::All | Has::Refused(_) => None,
        }
    }
}

/// What the registry has of an image.
pub(super) enum Has {
    /// What pods refer to, and its tag is where it should be.
    All,
    /// What pods refer to. Its tag is another image's, or is not there.
    Untagged(Option<Digest>),
    /// Not what pods refer to; whose its tag is.
    Nothing(Option<Digest>),
    /// It does not let us look.
    Refused(net::Error),
}

/// Looks for images, in the order given.
pub(super) async fn look<'a>(
    images: &[&'a ImageInfo],
    tags: &Tags,
    site: &Site,
    client: &Client,
) -> Result<Vec<Seen<'a>>, Error> {
    let ask = async |image: &'a ImageInfo| {
        let repository = client.repository(&site.address, &site.path(&image.reference));
        let tag = tags.get(image);
        let has = match has(image, &repository, &tag).await {
            Ok(has) => has,
            Err(error) if matches!(error.status(), Some(401 | 403)) => Has::Refused(error),
            Err(error) => return Err(Error::of(&image.reference, repository.name(), error)),
        };
        Ok(Seen { image, repository, tag, has })
    };
    stream::iter(images.iter().copied()).map(ask).buffered(QUESTIONS).try_collect().await
}

/// By its tag first: where that is right, so is everything.
async fn has(image: &ImageInfo, repository: &Repository, tag: &str) -> Result<Has, net::Error> {
    let tagged = repository.head_manifest(tag).await?;
    if tagged == Some(image.top.digest) {
        return Ok(Has::All);
    }
    let there = repository.head_manifest(&image.top.digest.to_string()).await?.is_some();
    Ok(if there { Has::Untagged(tagged) } else { Has::Nothing(tagged) })
}
