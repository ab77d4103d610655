//! The site's registry: what it lacks of a bundle's images, and pushing that from the bundle's file. Must not know
//! where images are used.

mod error;
mod look;
mod plan;
mod push;
#[cfg(test)]
mod tests;

pub use error::{Error, Refusal};
pub use look::missing;
pub use push::{Event, Pushed, push};
