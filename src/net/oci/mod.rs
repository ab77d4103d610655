//! The registry protocol (OCI distribution specification) over the client: manifests, blobs, tags, uploads.
//! Must not know what an image is for.

mod blob;
mod challenge;
mod login;
mod manifest;
mod referrers;
mod repository;
mod streamed;
#[cfg(test)]
mod tests;
mod tokens;
mod upload;

pub use manifest::Document;
pub use repository::Repository;

pub(super) use repository::said;
pub(super) use tokens::{Scope, Tokens, basic};
