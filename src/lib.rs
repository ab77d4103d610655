//! platctl
pub mod digest;
pub mod files;
pub mod yaml;
pub mod image;
pub mod layout;
