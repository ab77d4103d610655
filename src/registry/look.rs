//! What the site's registry has. Only asks.

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::Error;
use crate::bundle::ImageInfo;
use crate::image::Site;
use crate::net::Client;
use crate::net::oci::Repository;

/// Questions are small: more of them are asked at once than blobs are sent.
pub(super) const QUESTIONS: usize = 16;

/// The images that the site's registry lacks, in the order given: those it has not by the digest pods refer to.
///
/// # Errors
/// [`Error`] naming image and registry.
pub async fn missing<'a>(images: &[&'a ImageInfo], site: &Site, client: &Client) -> Result<Vec<&'a ImageInfo>, Error> {
    let ask = async |image: &'a ImageInfo| Ok::<_, Error>((image, has(image, &at(image, site, client)).await?));
    let all: Vec<_> = stream::iter(images.iter().copied()).map(ask).buffered(QUESTIONS).try_collect().await?;
    Ok(all.into_iter().filter(|(_, has)| !has).map(|(image, _)| image).collect())
}

/// Where an image is at the site.
pub(super) fn at(image: &ImageInfo, site: &Site, client: &Client) -> Repository {
    client.repository(&site.address, &site.path(&image.reference))
}

/// Whether the registry has what pods refer to.
pub(super) async fn has(image: &ImageInfo, repository: &Repository) -> Result<bool, Error> {
    let found = repository.head_manifest(&image.top.digest.to_string()).await;
    Ok(found.map_err(|source| Error::of(&image.reference, repository.name(), source))?.is_some())
}
