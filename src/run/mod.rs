//! A run of a verb that changes a cluster: who may have one (lease and fence, decision 29), what it does and did (journal,
//! decision 30), and which runs there were. Must not change anything of a platform, nor know how that is done.

mod chronicle;
pub mod journal;
pub mod lease;
mod sight;
mod stamp;
mod undertaking;

pub use chronicle::{Run, chronicle};
pub use stamp::run_stamp;
pub use undertaking::{End, Moved, NotBegun, Stop, Undertaking};
