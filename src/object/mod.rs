//! Kubernetes objects as a stream of YAML documents, with their text kept: splitting, identity, and the one walk
//! over an object's values. Must not know why somebody walks.

mod stream;
mod walk;

pub use stream::{Edit, Hook, InvalidObject, Object, Stream};
pub use walk::{Path, Step, walk};
