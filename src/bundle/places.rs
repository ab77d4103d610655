//! Where images stand: which object of which release needs them, as they were found when the bundle was made. A document
//! of the bundle; must not find anything itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Bundle, Error};

/// A place that needs an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeededAt {
    /// The release: `prod/applications/minio`.
    pub release: String,
    /// The object: `Deployment minio`.
    pub object: String,
    /// The path to the place in it.
    pub path: String,
    /// How sure it is that an image stands there: `certain` or `probable`.
    pub confidence: String,
}

/// The places of images, by reference.
pub type Places = BTreeMap<String, Vec<NeededAt>>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    images: Places,
}

/// The document's bytes.
pub(super) fn write(places: &Places) -> Result<Vec<u8>, Error> {
    let mut images = places.clone();
    images.values_mut().for_each(|all| all.sort());
    serde_json::to_vec(&Document { images }).map_err(|error| wrong(&error))
}

/// Reads the document.
pub(super) fn read(bytes: &[u8]) -> Result<Places, Error> {
    serde_json::from_slice::<Document>(bytes).map(|document| document.images).map_err(|error| wrong(&error))
}

impl Bundle {
    /// Which objects need which image.
    ///
    /// # Errors
    /// [`Error::Damaged`], or that the document is none.
    pub fn places(&self) -> Result<Places, Error> {
        read(&self.read(&self.places)?)
    }
}

fn wrong(error: &serde_json::Error) -> Error {
    Error::Document { what: "the places of images".to_owned(), problem: error.to_string() }
}
