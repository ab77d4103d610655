//! The only sockets in the program: HTTP with mirrors, retries and resuming, and the registry protocol on top of it.
//! Must not know what the bytes mean or print anything; environment variables and settings come from the caller.

mod budget;
mod client;
mod error;
mod mirrors;
pub mod oci;

pub use budget::{Budget, Permit};
pub use client::{Authority, Client, Login, Settings};
pub use error::{Error, Kind, Reason};
pub use mirrors::{InvalidMirror, Mirrors};
