//! Kubernetes objects as a stream of YAML documents, with their text kept: splitting, identity, the one walk over an
//! object's values, and edits of its text. Must not know why somebody walks.

mod stream;
mod text;
mod walk;

pub use stream::{Hook, InvalidObject, Object, Stream};
pub use text::{Conflict, Edit, Encoding, Text, decoded};
pub use walk::{Path, Step, descend, walk};
