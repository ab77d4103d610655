//! The one YAML reader: text becomes a tree of nodes that know their file, line and column, by the rules of the
//! reader inside Helm. Must not know what any document means; no other module parses YAML.

mod fields;
mod node;
mod print;
mod problem;
mod read;
mod scalar;
mod sources;

pub use fields::{Fields, nearest};
pub use node::{Entry, Map, Node, Span, Value};
pub use print::print;
pub use problem::{Excerpt, Problem};
pub use read::{Author, parse, parse_generated};
pub use scalar::{is_exact, plain_needs_quotes};
pub use sources::{SourceId, Sources};
