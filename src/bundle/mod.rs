//! The bundle: an OCI image layout in one plain tar that depends on nothing but its contents. Written in one go with
//! blobs at known places, and read in place. Must not know what an environment means or reach the cluster.

mod artifacts;
mod assemble;
mod contents;
mod damage;
mod entry;
mod error;
mod event;
mod export;
#[cfg(test)]
pub(crate) mod fixture;
mod gather;
mod index;
mod info;
mod open;
mod partial;
mod place;
mod read;
mod referrers;
mod resume;
mod several;
#[cfg(test)]
mod tests;
mod transfer;
mod verify;
mod walk;
mod write;

pub use assemble::{Layout, Totals};
pub use contents::{Chart, Contents, Extra, Image, Tool};
pub use damage::Damage;
pub use error::Error;
pub use event::Event;
pub use gather::gather;
pub use info::{ChartInfo, ExtraInfo, ImageInfo, ManifestInfo, ToolInfo};
pub use read::{BlobReader, Bundle};
pub use referrers::{Proof, Referrer, Referrers, referrers};
pub use verify::Verified;
pub use write::{Written, write};
