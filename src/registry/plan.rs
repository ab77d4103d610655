//! Which blob is lacking in which repository of the site, and from where it could be mounted.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::Error;
use super::look::{Has, QUESTIONS, Seen, look};
use super::preflight::preflight;
use super::tags::Tags;
use crate::bundle::{Bundle, ImageInfo};
use crate::digest::Digest;
use crate::image::{Reference, Site};
use crate::layout::Descriptor;
use crate::net::Client;
use crate::net::oci::Repository;

/// What is to be done.
pub(super) struct Plan<'a> {
    /// Images that the registry lacks, or whose tag is not right there.
    pub wanting: Vec<Seen<'a>>,
    pub images_present: usize,
    /// Blobs that are lacking somewhere, the largest first.
    pub blobs: Vec<Blob<'a>>,
    /// How often a blob was found where it is needed.
    pub blobs_present: usize,
}

/// A blob that is lacking.
pub(super) struct Blob<'a> {
    pub descriptor: &'a Descriptor,
    pub lacking: Vec<Place<'a>>,
    /// A repository that has it.
    pub lies: Option<Repository>,
}

/// A repository, and an image there that needs a blob.
#[derive(Clone)]
pub(super) struct Place<'a> {
    pub repository: Repository,
    pub image: &'a Reference,
}

/// What a push would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// Images that would be pushed, each with its repository and tag at the site.
    pub images_new: Vec<(String, String)>,
    /// Images whose tag alone would be set, the same way.
    pub images_tagged: Vec<(String, String)>,
    /// Images that are there.
    pub images_present: usize,
    /// Bytes of blobs that would be sent, if the registry mounts what it has.
    pub bytes: u64,
}

/// A blob and the places that need it, by the repository's name.
struct Needed<'a> {
    descriptor: &'a Descriptor,
    places: BTreeMap<String, Place<'a>>,
    lies: Option<Repository>,
}

impl Blob<'_> {
    /// Bytes to send, if mounting works wherever it may.
    pub fn bytes(&self) -> u64 {
        if self.lies.is_none() { self.descriptor.size } else { 0 }
    }
}

impl Plan<'_> {
    /// Bytes to send, if mounting works wherever it may.
    pub fn bytes(&self) -> u64 {
        self.blobs.iter().map(Blob::bytes).sum()
    }

    /// How many images the registry lacks.
    pub fn images_new(&self) -> usize {
        self.wanting.iter().filter(|seen| seen.is_new()).count()
    }
}

/// Asks what a push would do, and changes nothing: not even whether it may is tried.
///
/// # Errors
/// [`Error`] naming image and registry.
pub async fn outlook(bundle: &Bundle, images: &[&ImageInfo], site: &Site, client: &Client) -> Result<Outlook, Error> {
    let seen = look(images, &Tags::of(bundle.images()), site, client).await?;
    let plan = plan(refuse_closed(seen)?).await?;
    let named = |seen: &Seen| (seen.image.reference.to_string(), format!("{}:{}", seen.repository.name(), seen.tag));
    let (new, tagged): (Vec<_>, Vec<_>) = plan.wanting.iter().partition(|seen| seen.is_new());
    Ok(Outlook {
        images_new: new.into_iter().map(named).collect(),
        images_tagged: tagged.into_iter().map(named).collect(),
        images_present: plan.images_present,
        bytes: plan.bytes(),
    })
}

/// Which images the registry has not by the digest that pods refer to. Only asks.
///
/// # Errors
/// [`Error`] naming image and registry.
pub async fn lacking(images: &BTreeMap<String, Digest>, site: &Site, client: &Client) -> Result<Vec<String>, Error> {
    let known = images.iter().filter_map(|(name, digest)| Some((name.parse::<Reference>().ok()?, digest)));
    let ask = async |(image, digest): (Reference, &Digest)| {
        let repository = client.repository(&site.address, &site.path(&image));
        let found = repository.head_manifest(&digest.to_string()).await;
        let found = found.map_err(|source| Error::of(&image, repository.name(), source))?;
        Ok::<_, Error>(found.is_none().then(|| image.to_string()))
    };
    let answers: Vec<Option<String>> = stream::iter(known).map(ask).buffered(QUESTIONS).try_collect().await?;
    Ok(answers.into_iter().flatten().collect())
}

fn refuse_closed(seen: Vec<Seen<'_>>) -> Result<Vec<Seen<'_>>, Error> {
    let open = |seen| match seen {
        Seen { has: Has::Refused(error), image, repository, .. } => {
            Err(Error::of(&image.reference, repository.name(), error))
        }
        seen => Ok(seen),
    };
    seen.into_iter().map(open).collect()
}

/// Asks the registry what it has and whether it takes the rest.
pub(super) async fn checked_plan<'a>(
    bundle: &Bundle,
    images: &[&'a ImageInfo],
    site: &Site,
    client: &Client,
) -> Result<Plan<'a>, Error> {
    let seen = look(images, &Tags::of(bundle.images()), site, client).await?;
    plan(preflight(seen).await?).await
}

async fn plan(seen: Vec<Seen<'_>>) -> Result<Plan<'_>, Error> {
    let (wanting, present): (Vec<_>, Vec<_>) = seen.into_iter().partition(|seen| !matches!(seen.has, Has::All));
    let images_present = present.len();
    let (new, there): (Vec<_>, Vec<_>) = wanting.iter().partition(|seen| seen.is_new());
    let mut needed = needed(&new);
    let mut blobs_present = 0;
    // What a manifest names lies beside it: no question is needed.
    for Seen { image, repository, .. } in present.iter().chain(there) {
        for blob in image.blobs() {
            if let Some(needed) = needed.get_mut(&blob.digest) {
                blobs_present += usize::from(needed.places.remove(repository.name()).is_some());
                needed.lies.get_or_insert_with(|| repository.clone());
            }
        }
    }
    blobs_present += remove_present(&mut needed).await?;
    let mut blobs: Vec<Blob> = needed
        .into_values()
        .filter(|needed| !needed.places.is_empty())
        .map(|needed| Blob {
            descriptor: needed.descriptor,
            lacking: needed.places.into_values().collect(),
            lies: needed.lies,
        })
        .collect();
    blobs.sort_by_key(|blob| (std::cmp::Reverse(blob.descriptor.size), blob.descriptor.digest));
    Ok(Plan { wanting, images_present, blobs, blobs_present })
}

fn needed<'a>(new: &[&Seen<'a>]) -> BTreeMap<Digest, Needed<'a>> {
    let mut all: BTreeMap<Digest, Needed> = BTreeMap::new();
    for Seen { image, repository, .. } in new {
        for descriptor in image.blobs() {
            let fresh = || Needed { descriptor, places: BTreeMap::new(), lies: None };
            let place = Place { repository: repository.clone(), image: &image.reference };
            let needed = all.entry(descriptor.digest).or_insert_with(fresh);
            needed.places.entry(repository.name().to_owned()).or_insert(place);
        }
    }
    all
}

/// Takes out the places that have their blob already; how many those were.
async fn remove_present(needed: &mut BTreeMap<Digest, Needed<'_>>) -> Result<usize, Error> {
    let questions: Vec<(Digest, Place)> = needed
        .iter()
        .flat_map(|(digest, needed)| needed.places.values().map(|place| (*digest, place.clone())))
        .collect();
    let ask = async |(digest, place): &(Digest, Place<'_>)| {
        let found = place.repository.head_blob(digest).await;
        let found = found.map_err(|source| Error::of(place.image, place.repository.name(), source))?;
        Ok::<_, Error>(found.is_some())
    };
    let answers: Vec<bool> = stream::iter(&questions).map(ask).buffered(QUESTIONS).try_collect().await?;
    let found: BTreeSet<usize> = answers.iter().enumerate().filter(|(_, there)| **there).map(|(at, _)| at).collect();
    for at in &found {
        let (digest, place) = &questions[*at];
        if let Some(needed) = needed.get_mut(digest) {
            needed.places.remove(place.repository.name());
            needed.lies.get_or_insert_with(|| place.repository.clone());
        }
    }
    Ok(found.len())
}
