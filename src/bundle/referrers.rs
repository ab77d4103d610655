//! Signatures, SBOMs and attestations that registries have beside images: looked for so that it can be said that they
//! stay there. Must not fetch them; why they are not carried is in docs/decisions/0018.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt};

use super::Image;
use crate::digest::Digest;
use crate::image::Reference;
use crate::layout::{Descriptor, Index, media};
use crate::net::oci::Repository;
use crate::net::{self, Client};

/// What docker's builder says of a manifest that belongs to a platform of the same index.
const BESIDE: (&str, &str) = ("vnd.docker.reference.type", "attestation-manifest");
const BESIDE_WHAT: &str = "vnd.docker.reference.digest";
/// The endings of the tags under which cosign keeps what belongs to a digest.
const COSIGN: [(&str, Proof); 3] = [("sig", Proof::Signature), ("att", Proof::Attestation), ("sbom", Proof::Sbom)];

/// What something that refers to an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proof {
    /// Says who vouches for it.
    Signature,
    /// Says what is in it.
    Sbom,
    /// Says how it was made, or what somebody found out about it.
    Attestation,
    /// Something else.
    Other,
}

/// Something that refers to an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Referrer {
    /// What it is.
    pub proof: Proof,
    /// Its artifact type or tag, as the registry has it.
    pub named: String,
    /// Its digest.
    pub digest: Digest,
}

/// What refers to one image.
#[derive(Debug)]
pub struct Referrers {
    /// The image.
    pub image: Reference,
    /// What was found, sorted.
    pub found: Vec<Referrer>,
    /// Why it is not known whether there is more.
    pub unknown: Option<net::Error>,
}

/// Looks what refers to images, by their locked digests, with at most so many requests at once. In the order of the
/// references.
pub async fn referrers(images: &[Image], client: &Client, concurrency: usize) -> Vec<Referrers> {
    let all = stream::iter(images).map(|image| of_image(client, image)).buffer_unordered(concurrency.max(1));
    let mut all: Vec<Referrers> = all.collect().await;
    all.sort_by(|a, b| a.image.cmp(&b.image));
    all
}

async fn of_image(client: &Client, image: &Image) -> Referrers {
    let repository = client.repository_of(&image.reference);
    let mut found = BTreeSet::new();
    let looked = look(&repository, image, &mut found).await;
    Referrers { image: image.reference.clone(), found: found.into_iter().collect(), unknown: looked.err() }
}

async fn look(repository: &Repository, image: &Image, found: &mut BTreeSet<Referrer>) -> Result<(), net::Error> {
    for listed in repository.referrers(&image.digest).await? {
        let named = listed.artifact_type.clone().unwrap_or_else(|| listed.media_type.clone());
        found.insert(Referrer { proof: proof(&named, &listed.annotations), named, digest: listed.digest });
    }
    for (ending, proof) in COSIGN {
        let tag = format!("sha256-{}.{ending}", image.digest.hex());
        if let Some(digest) = repository.head_manifest(&tag).await? {
            found.insert(Referrer { proof, named: tag, digest });
        }
    }
    // An image of one platform, without an index, has nothing beside it.
    if image.platforms.values().any(|digest| *digest != image.digest) {
        found.extend(beside(repository, image).await?);
    }
    Ok(())
}

/// What stands in the image's own index beside the platforms that are carried.
async fn beside(repository: &Repository, image: &Image) -> Result<Vec<Referrer>, net::Error> {
    let document = repository.manifest(&image.digest.to_string()).await?;
    let index = media::is_index(&document.media_type).then(|| serde_json::from_slice::<Index>(&document.bytes).ok());
    let carried: BTreeSet<String> = image.platforms.values().map(Digest::to_string).collect();
    let of_ours = |child: &Descriptor| {
        let what = child.annotation(BESIDE_WHAT).is_some_and(|digest| carried.contains(digest));
        what && child.annotation(BESIDE.0) == Some(BESIDE.1)
    };
    let children = index.flatten().map(|index| index.manifests).unwrap_or_default();
    let found = children.into_iter().filter(of_ours).map(|child| Referrer {
        proof: Proof::Attestation,
        named: BESIDE.1.to_owned(),
        digest: child.digest,
    });
    Ok(found.collect())
}

/// What an artifact is, by the words of those who make them.
fn proof(named: &str, annotations: &BTreeMap<String, String>) -> Proof {
    let has = |words: &[&str]| words.iter().any(|word| named.contains(word));
    // A bundle of sigstore holds a signature, or an attestation that says of what kind.
    let predicate = annotations.keys().any(|key| key.contains("predicateType"));
    if has(&["spdx", "cyclonedx", "sbom"]) {
        Proof::Sbom
    } else if has(&["in-toto", "attestation", "slsa", "provenance"]) || predicate {
        Proof::Attestation
    } else if has(&["signature", "cosign", "sigstore"]) {
        Proof::Signature
    } else {
        Proof::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::fake::{Fake, Reply, client};

    #[test]
    fn artifacts_are_known_by_their_types() {
        for (named, expected) in [
            ("application/vnd.cncf.notary.signature", Proof::Signature),
            ("application/vnd.dev.cosign.artifact.sig.v1+json", Proof::Signature),
            ("application/vnd.dev.sigstore.bundle.v0.3+json", Proof::Signature),
            ("application/spdx+json", Proof::Sbom),
            ("application/vnd.cyclonedx+json", Proof::Sbom),
            ("application/vnd.in-toto+json", Proof::Attestation),
            ("application/vnd.example.scan", Proof::Other),
        ] {
            assert_eq!(proof(named, &BTreeMap::new()), expected, "{named}");
        }
        let predicate = [("dev.sigstore.bundle.predicateType".to_owned(), "https://slsa.dev".to_owned())].into();
        assert_eq!(proof("application/vnd.dev.sigstore.bundle.v0.3+json", &predicate), Proof::Attestation);
    }

    #[tokio::test]
    async fn a_registry_without_a_list_has_a_tag_for_it() {
        let digest = Digest::of("image");
        let listed = Descriptor {
            artifact_type: Some("application/spdx+json".into()),
            ..Descriptor::new(media::MANIFEST, Digest::of("sbom"), 4)
        };
        let index = Index { schema_version: 2, media_type: None, manifests: vec![listed], annotations: [].into() };
        let list = serde_json::to_vec(&index).unwrap();
        let tag = format!("/v2/a/b/manifests/sha256-{}", digest.hex());
        let server = Fake::start(move |request, _| match request.path == tag {
            true => Reply::body(list.clone()).header("content-type", media::INDEX),
            false => Reply::new(404),
        });
        let reference: Reference = format!("{}/a/b:1", server.address).parse().unwrap();
        let platforms = [("linux/amd64".parse().unwrap(), digest)].into();
        let images = [Image { reference, digest, platforms }];
        let looked = referrers(&images, &client(|_| {}), 4).await;
        assert!(looked[0].unknown.is_none(), "{:?}", looked[0]);
        let found: Vec<Proof> = looked[0].found.iter().map(|one| one.proof).collect();
        assert_eq!(found, [Proof::Sbom]);
    }

    #[tokio::test]
    async fn a_registry_that_fails_leaves_it_unknown() {
        let server = Fake::start(|_, _| Reply::new(403));
        let reference: Reference = format!("{}/a/b:1", server.address).parse().unwrap();
        let images = [Image { reference, digest: Digest::of("image"), platforms: BTreeMap::new() }];
        let looked = referrers(&images, &client(|_| {}), 4).await;
        assert_eq!(looked[0].unknown.as_ref().and_then(net::Error::status), Some(403));
    }
}
