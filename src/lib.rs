//! platctl
pub mod definition;
pub mod digest;
pub mod files;
pub mod image;
pub mod layout;
pub mod lock;
pub mod object;
pub mod yaml;
