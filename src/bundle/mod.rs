//! The bundle: an OCI image layout in one plain tar that depends on nothing but its contents. Written in one go with
//! blobs at known places, and read in place. Must not know what an environment means or reach the cluster.

mod contents;
mod error;
mod event;
mod gather;
mod info;
mod read;
mod write;

pub use contents::{Chart, Contents, Image, Tool};
pub use error::{Damage, Error};
pub use event::Event;
pub use gather::{Layout, Totals, gather};
pub use info::{ChartInfo, ImageInfo, ManifestInfo, ToolInfo};
pub use read::{BlobReader, Bundle, Verified};
pub use write::{Written, write};
