//! The images of releases by what the lock says of them. Must not decide what is installed.

use std::collections::BTreeMap;

use crate::definition::{Definition, Release};
use crate::digest::Digest;
use crate::image::Reference;
use crate::lock::{Lock, LockedImage};

/// The images a release is given, with the digest its pods get.
pub fn image_digests(
    lock: &Lock,
    definition: &Definition,
    release: &Release,
    tops: &BTreeMap<String, Digest>,
) -> BTreeMap<String, Digest> {
    let place = definition.place(release);
    let platforms = &definition.environment.platforms;
    let digest = |(image, locked): (&Reference, &LockedImage)| {
        let name = image.to_string();
        let own = match platforms.as_slice() {
            [platform] => locked.platforms.get(platform).copied(),
            _ => tops.get(&name).copied(),
        };
        Some((name, own?))
    };
    lock.images_of(&place).filter_map(digest).collect()
}
