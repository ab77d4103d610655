//! Which blob is lacking in which repository of the site, and from where it could be mounted.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::Error;
use super::look::{QUESTIONS, at, has};
use crate::bundle::ImageInfo;
use crate::digest::Digest;
use crate::image::{Reference, Site};
use crate::layout::Descriptor;
use crate::net::Client;
use crate::net::oci::Repository;

/// What is to be done.
pub(super) struct Plan<'a> {
    /// Images the registry lacks, each with its repository.
    pub new: Vec<(&'a ImageInfo, Repository)>,
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

/// Asks the registry what it has.
pub(super) async fn plan<'a>(images: &[&'a ImageInfo], site: &Site, client: &Client) -> Result<Plan<'a>, Error> {
    let ask = async |image: &'a ImageInfo| {
        let repository = at(image, site, client);
        Ok::<_, Error>((image, has(image, &repository).await?, repository))
    };
    let all: Vec<_> = stream::iter(images.iter().copied()).map(ask).buffered(QUESTIONS).try_collect().await?;
    let (present, new): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, has, _)| *has);
    let mut needed = needed(&new);
    let mut blobs_present = 0;
    // What a manifest names lies beside it: no question is needed.
    for (image, _, repository) in &present {
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
    let new = new.into_iter().map(|(image, _, repository)| (image, repository)).collect();
    Ok(Plan { new, images_present: present.len(), blobs, blobs_present })
}

fn needed<'a>(new: &[(&'a ImageInfo, bool, Repository)]) -> BTreeMap<Digest, Needed<'a>> {
    let mut all: BTreeMap<Digest, Needed> = BTreeMap::new();
    for (image, _, repository) in new {
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
