//! Which tag each image of a bundle gets at the site. Pure.

use std::collections::BTreeMap;

use crate::bundle::ImageInfo;
use crate::digest::Digest;
use crate::image::{Reference, Site};

/// The tags of a bundle's images. Two images of one repository may claim the same tag, as `a:1` and
/// `a:1@sha256:…` do.
pub(super) struct Tags {
    /// By repository and tag: whose it is, none if that can't be said.
    owners: BTreeMap<(String, String), Option<Digest>>,
}

impl Tags {
    /// Of all images of a bundle, not only those that are pushed: a later push must come to the same.
    pub fn of(images: &[ImageInfo]) -> Tags {
        let mut owners: BTreeMap<(String, String), Option<Digest>> = BTreeMap::new();
        // Those without a digest last: operators that know an image by its tag alone mean them.
        let (plain, pinned): (Vec<_>, Vec<_>) = images.iter().partition(|image| image.reference.digest.is_none());
        for image in pinned {
            let claimed = Some(image.top.digest);
            owners
                .entry(key(&image.reference))
                .and_modify(|owner| *owner = owner.filter(|owner| Some(*owner) == claimed))
                .or_insert(claimed);
        }
        for image in plain {
            owners.insert(key(&image.reference), Some(image.top.digest));
        }
        Tags { owners }
    }

    /// An image's tag: its own, unless that is another's.
    pub fn get(&self, image: &ImageInfo) -> String {
        match self.owners.get(&key(&image.reference)) {
            Some(owner) if *owner != Some(image.top.digest) => Site::tag_of(&image.top.digest),
            _ => Site::tag(&image.reference),
        }
    }
}

fn key(reference: &Reference) -> (String, String) {
    (reference.repository().to_lowercase(), Site::tag(reference))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Descriptor;

    fn image(reference: &str, of: &str) -> ImageInfo {
        let top = Descriptor::of("x", of.as_bytes());
        ImageInfo { reference: reference.parse().unwrap(), source_digest: top.digest, top, manifests: Vec::new() }
    }

    fn tags(images: &[ImageInfo]) -> Vec<String> {
        let tags = Tags::of(images);
        images.iter().map(|image| tags.get(image)).collect()
    }

    #[test]
    fn a_tag_is_one_images() {
        let [x, y] = ["x", "y"].map(Digest::of);
        let pinned = |of: &str| Site::tag_of(&Digest::of(of));
        let all = [image("a:1", "x"), image("b:1", "y"), image(&format!("a@{y}"), "y")];
        assert_eq!(tags(&all), ["1".to_owned(), "1".to_owned(), pinned("y")]);
        // The one without a digest has it, wherever it stands.
        let both = [image(&format!("a:1@{y}"), "y"), image("a:1", "x"), image(&format!("a:1@{x}"), "x")];
        assert_eq!(tags(&both), [pinned("y"), "1".to_owned(), "1".to_owned()]);
        let alone = [image(&format!("a:1@{y}"), "y")];
        assert_eq!(tags(&alone), ["1"]);
        // Nobody knows which of the two is meant.
        let three =
            [image(&format!("a:1@{y}"), "y"), image(&format!("a:1@{x}"), "x"), image(&format!("A.io/a:1@{x}"), "x")];
        assert_eq!(tags(&three), [pinned("y"), pinned("x"), "1".to_owned()]);
    }
}
