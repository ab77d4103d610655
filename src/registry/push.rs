//! Pushes images from a bundle's file: blobs first, the largest first, then manifests, each checked by its digest.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::Error;
use super::look::has;
use super::plan::{Blob, Place, plan};
use crate::bundle::{Bundle, ImageInfo};
use crate::image::Site;
use crate::layout::Descriptor;
use crate::net::oci::Repository;
use crate::net::{Budget, Client};

/// One thing that happened during a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// What is to be sent.
    Planned {
        /// Images the registry lacks.
        images_new: usize,
        /// Images it has.
        images_present: usize,
        /// Bytes of blobs to send, if the registry mounts what it has.
        bytes: u64,
    },
    /// More bytes were sent.
    Bytes {
        /// How many more.
        bytes: u64,
        /// The image they belong to.
        of: String,
    },
    /// An image is in the registry, checked by digest.
    ImageDone {
        /// The image.
        image: String,
    },
}

/// What a push did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Images that were pushed.
    pub images_new: usize,
    /// Images that were there.
    pub images_present: usize,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Blobs uploaded.
    pub blobs_uploaded: usize,
    /// Blobs mounted from another repository.
    pub blobs_mounted: usize,
    /// Blobs that were there.
    pub blobs_present: usize,
}

/// Pushes images from the bundle's file into the site's registry, with at most `uploads` connections; what is there
/// is left alone.
///
/// # Errors
/// [`Error`] naming the image, and for damage the entry of the bundle.
pub async fn push(
    bundle: &Bundle,
    images: &[&ImageInfo],
    site: &Site,
    client: &Client,
    uploads: usize,
    events: &(dyn Fn(Event) + Send + Sync),
) -> Result<Pushed, Error> {
    let budget = Arc::new(Budget::new(uploads));
    let client = client.within(&budget);
    let plan = plan(images, site, &client).await?;
    let (images_new, images_present) = (plan.new.len(), plan.images_present);
    events(Event::Planned { images_new, images_present, bytes: plan.blobs.iter().map(Blob::bytes).sum() });

    let blobs_present = plan.blobs_present;
    let mut pushed = Pushed { images_new, images_present, blobs_present, ..Pushed::default() };
    let mut sent =
        stream::iter(&plan.blobs).map(|blob| place(bundle, blob, &budget, events)).buffer_unordered(uploads.max(1));
    while let Some((uploaded, mounted, bytes)) = sent.try_next().await? {
        pushed.blobs_uploaded += uploaded;
        pushed.blobs_mounted += mounted;
        pushed.bytes_sent += bytes;
    }
    drop(sent);
    let finish = async |(image, repository): &(&ImageInfo, Repository)| {
        let _permit = budget.permit().await;
        finish(bundle, image, repository).await?;
        events(Event::ImageDone { image: image.reference.to_string() });
        Ok::<_, Error>(())
    };
    stream::iter(&plan.new).map(finish).buffer_unordered(uploads.max(1)).try_collect::<()>().await?;
    Ok(pushed)
}

/// Brings a blob to every repository that lacks it: mounted where it can be, sent where it can't. How often each was
/// done, and the bytes sent.
async fn place(
    bundle: &Bundle,
    blob: &Blob<'_>,
    budget: &Budget,
    events: &(dyn Fn(Event) + Send + Sync),
) -> Result<(usize, usize, u64), Error> {
    let _permit = budget.permit().await;
    let (mut uploaded, mut mounted) = (0, 0);
    let mut lies = blob.lies.clone();
    for place in &blob.lacking {
        let failed = |source| Error::of(place.image, place.repository.name(), source);
        if let Some(from) = &lies
            && place.repository.mount_blob(&blob.descriptor.digest, from).await.map_err(failed)?
        {
            mounted += 1;
            continue;
        }
        send(bundle, blob.descriptor, place, events).await?;
        uploaded += 1;
        lies = Some(place.repository.clone());
    }
    Ok((uploaded, mounted, uploaded as u64 * blob.descriptor.size))
}

async fn send(
    bundle: &Bundle,
    blob: &Descriptor,
    place: &Place<'_>,
    events: &(dyn Fn(Event) + Send + Sync),
) -> Result<(), Error> {
    let open = || bundle.reader(blob).map_err(std::io::Error::other);
    let sent = |bytes| events(Event::Bytes { bytes, of: place.image.to_string() });
    let done = place.repository.upload_blob(&blob.digest, blob.size, open, &sent).await;
    done.map_err(|source| Error::of(place.image, place.repository.name(), source))
}

/// Puts an image's manifests: those of an index by digest, what pods refer to by tag, because registries collect what
/// has none.
async fn finish(bundle: &Bundle, image: &ImageInfo, repository: &Repository) -> Result<(), Error> {
    let children = image.manifests.iter().map(|one| &one.manifest).filter(|one| one.digest != image.top.digest);
    for child in children {
        put(bundle, image, repository, &child.digest.to_string(), child).await?;
    }
    put(bundle, image, repository, &Site::tag(&image.reference), &image.top).await?;
    if has(image, repository).await? {
        return Ok(());
    }
    let repository = format!("{}@{}", repository.name(), image.top.digest);
    Err(Error::Vanished { image: image.reference.to_string(), repository })
}

async fn put(
    bundle: &Bundle,
    image: &ImageInfo,
    repository: &Repository,
    wanted: &str,
    manifest: &Descriptor,
) -> Result<(), Error> {
    let bytes = bundle.read(manifest).map_err(|error| match error {
        crate::bundle::Error::Damaged(damage) => Error::Damaged { image: image.reference.to_string(), damage },
        other => Error::Bundle(other),
    })?;
    let done = repository.put_manifest(wanted, &manifest.media_type, &bytes).await;
    done.map_err(|source| Error::of(&image.reference, repository.name(), source))
}
