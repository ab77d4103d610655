//! The bundle: an OCI image layout in one plain tar that depends on nothing but its contents. Written in one go with
//! blobs at known places, and read in place. Must not know what an environment means or reach the cluster.

mod artifacts;
mod assemble;
mod beside;
mod blobs;
mod contents;
mod damage;
mod difference;
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
mod places;
mod read;
mod referrers;
mod resume;
mod several;
mod shared;
mod sign;
#[cfg(test)]
mod tests;
mod transfer;
mod trust;
mod verify;
mod walk;
mod write;

pub use assemble::{Layout, Totals};
pub use beside::lay_beside;
pub use blobs::BlobReader;
pub use contents::{Chart, Contents, Extra, Image, Tool};
pub use damage::Damage;
pub use difference::{Change, Difference};
pub use error::Error;
pub use event::Event;
pub use gather::gather;
pub use info::{ChartInfo, ExtraInfo, ImageInfo, ManifestInfo, ToolInfo};
pub use places::{NeededAt, Places};
pub use read::Bundle;
pub use referrers::{Proof, Referrer, Referrers, referrers};
pub use shared::{SharedLayer, shared};
pub use sign::{KeyFile, SignError, SigningKey};
pub use trust::{Signed, Trust, TrustError};
pub use verify::Verified;
pub use write::{Written, write};
