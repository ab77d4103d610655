//! platctl
pub mod definition;
pub mod digest;
pub mod files;
pub mod image;
pub mod layout;
pub mod lock;
pub mod object;
pub mod render;
pub mod surroundings;
pub mod tools;
pub mod yaml;
pub mod net;
pub mod bundle;
pub mod registry;
