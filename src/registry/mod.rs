//! The site's registry: what it lacks of a bundle's images, and pushing that from the bundle's file. Must not know
//! where images are used.

use crate::bundle::{Bundle, ImageInfo};
use crate::image::Site;
use crate::net::{self, Client};

/// Why images could not be looked for or pushed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The network failed.
    #[error("cannot push {image}")]
    Net {
        /// The image.
        image: String,
        /// The failure.
        #[source]
        source: net::Error,
    },
}

/// One thing that happened during a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// What is to be sent at most.
    Planned {
        /// Images the registry lacks.
        images_new: usize,
        /// Images it has.
        images_present: usize,
        /// Bytes of blobs to send.
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

/// The images that the site's registry lacks. Only asks.
///
/// # Errors
/// [`Error`] naming image and registry.
pub async fn missing<'a>(images: &[&'a ImageInfo], site: &Site, client: &Client) -> Result<Vec<&'a ImageInfo>, Error> {
    let _ = (images, site, client);
    todo!()
}

/// Pushes images from the bundle's file into the site's registry; what is there is left alone.
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
    let _ = (bundle, images, site, client, uploads, events);
    todo!()
}
