//! What happens while a bundle is made or checked, for whoever draws it. Data only.

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An image's manifests are known.
    Gathered {
        /// How many images are known now.
        done: usize,
        /// Of how many.
        total: usize,
        /// The image.
        reference: String,
    },
    /// What is to be written.
    Planned(super::Totals),
    /// So many bytes of blobs are right already, from a run that was interrupted.
    Resumed {
        /// The bytes.
        bytes: u64,
    },
    /// More bytes of a blob were fetched or read.
    Bytes {
        /// How many more.
        bytes: u64,
        /// The image, chart or tool it belongs to.
        of: String,
    },
    /// A blob is whole.
    BlobDone {
        /// The image, chart or tool it belongs to.
        of: String,
    },
    /// All blobs are there; the file is being put on the disk for good.
    Syncing,
}
