//! Names of container images: references as users and charts write them, platforms, and the name an image has at
//! the site. Must not know registries' protocols or where a reference was found.

mod platform;
mod reference;
mod site;

pub use platform::{InvalidPlatform, Platform};
pub use reference::{InvalidReference, Reference, legal_path};
pub use site::Site;
