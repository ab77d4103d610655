//! Pushes images from a bundle's file: blobs first, the largest first, then manifests, each checked by its digest. No
//! manifest is put, and no tag moved, before every blob of every image is there.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::stream::{self, FuturesUnordered, StreamExt, TryStreamExt};

use super::Error;
use super::error::Refusal;
use super::look::Seen;
use super::plan::{Blob, Place, Plan, checked_plan};
use crate::bundle::{Bundle, ImageInfo};
use crate::digest::Digest;
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
    /// A tag that was another image's is now this one's.
    Moved {
        /// The repository at the site with the tag.
        tag: String,
        /// What it was.
        from: Digest,
        /// What it is.
        to: Digest,
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
    /// Images that were there and got their tag.
    pub images_tagged: usize,
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

/// What a push works with.
struct Work<'a> {
    bundle: &'a Bundle,
    budget: &'a Budget,
    uploads: usize,
    events: &'a (dyn Fn(Event) + Send + Sync),
}

/// A blob to bring to one place, mounted from another if it can be.
struct Errand<'p, 'a> {
    blob: &'p Blob<'a>,
    place: &'p Place<'a>,
    from: Option<&'p Repository>,
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
    let plan = checked_plan(bundle, images, site, &client).await?;
    let (images_new, images_present) = (plan.images_new(), plan.images_present);
    events(Event::Planned { images_new, images_present, bytes: plan.bytes() });
    let (images_tagged, blobs_present) = (plan.wanting.len() - images_new, plan.blobs_present);
    let mut pushed = Pushed { images_new, images_tagged, images_present, blobs_present, ..Pushed::default() };
    let work = Work { bundle, budget: &budget, uploads: uploads.max(1), events };
    work.bring_all(&plan, &mut pushed).await?;
    let finish = async |seen| work.finish(seen).await;
    stream::iter(&plan.wanting).map(finish).buffer_unordered(work.uploads).try_collect::<()>().await?;
    Ok(pushed)
}

impl Work<'_> {
    /// Brings every blob to every place that lacks it. One that lies nowhere is sent to one place; the others wait for
    /// that, because they may then mount it.
    async fn bring_all(&self, plan: &Plan<'_>, pushed: &mut Pushed) -> Result<(), Error> {
        let mut waiting: VecDeque<Errand> = VecDeque::new();
        for blob in &plan.blobs {
            let places = if blob.lies.is_some() { &blob.lacking[..] } else { &blob.lacking[..1] };
            waiting.extend(places.iter().map(|place| Errand { blob, place, from: blob.lies.as_ref() }));
        }
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < self.uploads
                && let Some(errand) = waiting.pop_front()
            {
                running.push(self.bring(errand));
            }
            let Some((done, mounted)) = running.try_next().await? else { return Ok(()) };
            if mounted {
                pushed.blobs_mounted += 1;
                continue;
            }
            pushed.blobs_uploaded += 1;
            pushed.bytes_sent += done.blob.descriptor.size;
            if done.from.is_none() {
                let (blob, from) = (done.blob, Some(&done.place.repository));
                let rest = blob.lacking[1..].iter().rev().map(|place| Errand { blob, place, from });
                rest.for_each(|errand| waiting.push_front(errand));
            }
        }
    }

    /// Brings a blob to a place; whether it was mounted.
    async fn bring<'p, 'a>(&self, errand: Errand<'p, 'a>) -> Result<(Errand<'p, 'a>, bool), Error> {
        let _permit = self.budget.permit().await;
        let Errand { blob, place, from } = &errand;
        if let Some(from) = from {
            let mounted = place.repository.mount_blob(&blob.descriptor.digest, from).await;
            if mounted.map_err(|source| Error::of(place.image, place.repository.name(), source))? {
                return Ok((errand, true));
            }
        }
        self.send(blob.descriptor, place).await?;
        Ok((errand, false))
    }

    async fn send(&self, blob: &Descriptor, place: &Place<'_>) -> Result<(), Error> {
        let open = || self.bundle.reader(blob).map_err(std::io::Error::other);
        let sent = |bytes| (self.events)(Event::Bytes { bytes, of: place.image.to_string() });
        let done = place.repository.upload_blob(&blob.digest, blob.size, open, &sent).await;
        done.map_err(|source| Error::of(place.image, place.repository.name(), source))
    }

    /// Puts an image's manifests: those of an index by digest, what pods refer to by tag, because registries collect
    /// what has none.
    async fn finish(&self, seen: &Seen<'_>) -> Result<(), Error> {
        let _permit = self.budget.permit().await;
        let Seen { image, repository, tag, .. } = seen;
        let children = image.manifests.iter().map(|one| &one.manifest).filter(|one| one.digest != image.top.digest);
        for child in children.filter(|_| seen.is_new()) {
            self.put(image, repository, &child.digest.to_string(), child).await?;
        }
        let put = self.put(image, repository, tag, &image.top).await;
        put.map_err(|error| if seen.moves().is_some() { may_not_move(error) } else { error })?;
        let there = repository.head_manifest(&image.top.digest.to_string()).await;
        if there.map_err(|source| Error::of(&image.reference, repository.name(), source))?.is_none() {
            let repository = format!("{}@{}", repository.name(), image.top.digest);
            return Err(Error::Vanished { image: image.reference.to_string(), repository });
        }
        if let Some(from) = seen.moves() {
            (self.events)(Event::Moved { tag: format!("{}:{tag}", repository.name()), from, to: image.top.digest });
        }
        (self.events)(Event::ImageDone { image: image.reference.to_string() });
        Ok(())
    }

    async fn put(
        &self,
        image: &ImageInfo,
        repository: &Repository,
        wanted: &str,
        manifest: &Descriptor,
    ) -> Result<(), Error> {
        let bytes = self.bundle.read(manifest).map_err(|error| match error {
            crate::bundle::Error::Damaged(damage) => Error::Damaged { image: image.reference.to_string(), damage },
            other => Error::Bundle(other),
        })?;
        let done = repository.put_manifest(wanted, &manifest.media_type, &bytes).await;
        done.map_err(|source| Error::of(&image.reference, repository.name(), source))
    }
}

/// A registry whose tags are fixed refuses in many words.
fn may_not_move(error: Error) -> Error {
    match error {
        Error::Registry { image, repository, source, .. }
            if matches!(source.status(), Some(400 | 403 | 405 | 409 | 412 | 422)) =>
        {
            Error::Registry { image, repository, refusal: Refusal::TagFixed, source }
        }
        other => other,
    }
}
