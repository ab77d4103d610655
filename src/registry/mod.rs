//! The site's registry: what it lacks of a bundle's images, whether it takes them, and pushing them from the bundle's
//! file. Must not know where images are used.

mod error;
mod look;
mod plan;
mod preflight;
mod push;
mod tags;
#[cfg(test)]
mod tests;

pub use error::{Error, Refusal, Refused};
pub use plan::{Outlook, lacking, outlook};
pub use push::{Event, Pushed, push};
