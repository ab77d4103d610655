//! The only sockets in the program: HTTP with mirrors, retries and resuming, and the registry protocol on top of it.
//! Must not know what the bytes mean or print anything; environment variables and settings come from the caller.

mod answer;
mod body;
mod broken;
mod budget;
mod chart_repositories;
mod client;
mod download;
mod error;
#[cfg(test)]
pub(crate) mod fake;
mod mirrors;
mod names;
pub mod oci;
mod retry;
mod settings;
#[cfg(test)]
mod tests;

pub use body::Body;
pub use budget::{Budget, Permit};
pub use client::Client;
pub use error::{Error, Kind, Reason};
pub use mirrors::{Address, InvalidMirror, Mirrors};
pub use settings::{Authority, Login, Settings};
