//! From contents to a layout: the manifests and configurations of all images fetched and checked. Must not fetch
//! layers.

use std::fs::File;
use std::path::Path;

use futures_util::stream::{self, StreamExt};

use super::assemble::{Binary, Blobs, Layout, Source, Totals, json, no_twins};
use super::several::every;
use super::{Contents, Error, Event, Extra, Image, ImageInfo, ManifestInfo, artifacts};
use crate::digest::Digest;
use crate::files::FileError;
use crate::image::Platform;
use crate::layout::{Descriptor, Index, Manifest, annotation, media};
use crate::net::Client;
use crate::net::oci::{Document, Repository};

/// A configuration that is longer is streamed like a layer.
const SMALL: u64 = 4 << 20;

/// What was fetched of one platform of an image.
struct Fetched {
    info: ManifestInfo,
    document: Document,
    config: Option<Vec<u8>>,
}

/// Fetches the manifests and configurations of all images and lays the bundle out.
///
/// # Errors
/// [`Error`] naming the image.
pub async fn gather(
    contents: Contents,
    client: &Client,
    concurrency: usize,
    events: &(dyn Fn(Event) + Send + Sync),
) -> Result<Layout, Error> {
    let mut images = contents.images.clone();
    images.sort_by(|a, b| a.reference.cmp(&b.reference));
    no_twins(images.iter().map(|image| image.reference.to_string()))?;
    let (total, mut done) = (images.len(), 0);
    let all = stream::iter(&images).map(|image| fetch(client, image)).buffered(concurrency.max(1));
    let all = all.map(|fetched| {
        let (reference, fetched) = fetched?;
        done += 1;
        events(Event::Gathered { done, total, reference });
        Ok(fetched)
    });
    let fetched: Vec<Vec<Fetched>> = every(all).await?;
    let mut extras: Vec<&Extra> = contents.extras.iter().collect();
    extras.sort_by(|a, b| a.name.cmp(&b.name));
    no_twins(extras.iter().map(|extra| format!("extra {}", extra.name)))?;
    let sizes = stream::iter(&extras).map(|extra| size_of(client, extra)).buffered(concurrency.max(1));
    let sizes: Vec<u64> = every(sizes).await?;
    let mut blobs = Blobs::default();
    let platctl = binary(&contents.platctl)?;
    let mut top = artifacts::add(&contents, &platctl, &mut blobs)?;
    for (extra, size) in extras.into_iter().zip(sizes) {
        top.push(artifacts::add_extra(extra, size, &mut blobs)?);
    }
    let mut infos = Vec::new();
    for (image, fetched) in images.iter().zip(fetched) {
        let (listed, info) = add_image(image, fetched, &mut blobs)?;
        top.push(listed);
        infos.push(info);
    }
    blobs.lay_out(top, &platctl, Totals::of(contents.charts.len(), &infos))
}

async fn size_of(client: &Client, extra: &Extra) -> Result<u64, Error> {
    let what = format!("extra {}", extra.name);
    match client.size(&extra.url).await {
        Ok(Some(size)) => Ok(size),
        Ok(None) => {
            Err(Error::Unsupported { image: what, problem: "its server does not say how long it is".to_owned() })
        }
        Err(source) => Err(Error::Fetch { what, source }),
    }
}

async fn fetch(client: &Client, image: &Image) -> Result<(String, Vec<Fetched>), Error> {
    let name = image.reference.to_string();
    let repository = client.repository_of(&image.reference);
    let mut all = Vec::new();
    for (platform, digest) in &image.platforms {
        all.push(fetch_platform(&repository, &name, platform, digest).await?);
    }
    if all.is_empty() {
        return Err(Error::Unsupported { image: name, problem: "it is locked for no platform".to_owned() });
    }
    Ok((name, all))
}

async fn fetch_platform(
    repository: &Repository,
    image: &str,
    platform: &Platform,
    digest: &Digest,
) -> Result<Fetched, Error> {
    let failed = |source| Error::Fetch { what: image.to_owned(), source };
    let document = repository.manifest(&digest.to_string()).await.map_err(failed)?;
    let manifest = checked(image, &document)?;
    let config = match manifest.config.size <= SMALL {
        true => Some(repository.blob_bytes(&manifest.config, SMALL).await.map_err(failed)?),
        false => None,
    };
    let mut own = Descriptor::of(&document.media_type, &document.bytes);
    own.platform = Some(platform.into());
    let info =
        ManifestInfo { platform: platform.clone(), manifest: own, config: manifest.config, layers: manifest.layers };
    Ok(Fetched { info, document, config })
}

/// Reads a manifest, refusing what can't be carried.
fn checked(image: &str, document: &Document) -> Result<Manifest, Error> {
    let unsupported = |problem: String| Error::Unsupported { image: image.to_owned(), problem };
    let kind = &document.media_type;
    if kind.contains("distribution.manifest.v1+") {
        return Err(unsupported(format!(
            "{} is of Docker's schema 1, which has no digests to rely on",
            document.digest
        )));
    }
    if !media::is_manifest(kind) {
        return Err(unsupported(format!("{} is a `{kind}`, not an image", document.digest)));
    }
    let manifest: Manifest = serde_json::from_slice(&document.bytes)
        .map_err(|error| unsupported(format!("its manifest {} can't be read: {error}", document.digest)))?;
    if manifest.schema_version != 2 {
        return Err(unsupported(format!("{} is of schema {}", document.digest, manifest.schema_version)));
    }
    let foreign = |layer: &&Descriptor| {
        !layer.urls.is_empty()
            || layer.media_type.contains(".foreign.")
            || layer.media_type.contains("nondistributable")
    };
    if let Some(layer) = manifest.layers.iter().find(foreign) {
        return Err(unsupported(format!("layer {} is not in the registry but at its vendor's", layer.digest)));
    }
    Ok(manifest)
}

/// Adds an image's blobs; what the index lists, and what it is.
fn add_image(image: &Image, fetched: Vec<Fetched>, blobs: &mut Blobs) -> Result<(Descriptor, ImageInfo), Error> {
    let name = image.reference.to_string();
    let from = || Source::Repository(image.reference.host.clone(), image.reference.path.clone());
    let mut manifests = Vec::new();
    for Fetched { info, document, config } in fetched {
        blobs.metadata(&document.media_type, document.bytes, &name)?;
        match config {
            Some(bytes) => _ = blobs.metadata(&info.config.media_type, bytes, &name)?,
            None => blobs.large(&info.config, from(), &name)?,
        }
        for layer in &info.layers {
            blobs.large(layer, from(), &name)?;
        }
        manifests.push(info);
    }
    let top = match &manifests[..] {
        [one] => one.manifest.clone(),
        several => filtered(image, several, blobs)?,
    };
    // In a layout, skopeo finds OCI's documents only: one of Docker's gets an index around it.
    let listed = match top.media_type == media::DOCKER_MANIFEST {
        true => filtered(image, &manifests, blobs)?,
        false => top.clone(),
    };
    let listed = listed
        .annotated(annotation::REF_NAME, &name)
        .annotated(annotation::KIND, "image")
        .annotated(annotation::SOURCE_DIGEST, image.digest.to_string());
    let info = ImageInfo { reference: image.reference.clone(), source_digest: image.digest, top, manifests };
    Ok((listed, info))
}

/// An index of only the platforms that are carried: registries refuse one with absent children.
fn filtered(image: &Image, manifests: &[ManifestInfo], blobs: &mut Blobs) -> Result<Descriptor, Error> {
    let index = Index {
        schema_version: 2,
        media_type: Some(media::INDEX.to_owned()),
        manifests: manifests.iter().map(|one| one.manifest.clone()).collect(),
        annotations: [(annotation::SOURCE_DIGEST.to_owned(), image.digest.to_string())].into(),
    };
    let name = image.reference.to_string();
    blobs.metadata(media::INDEX, json(&name, &index)?, &name)
}

fn binary(path: &Path) -> Result<Binary, Error> {
    let hashed = File::open(path).and_then(Digest::of_reader);
    let (digest, size) = hashed.map_err(FileError::at("read", path))?;
    Ok(Binary { file: path.to_owned(), digest, size })
}
