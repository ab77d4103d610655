//! Secrets: the encrypted files of a definition and what is generated into them; revealed texts, put where their
//! tokens stand, made into Kubernetes Secrets, and hidden wherever they would reappear. Values stand in memory only;
//! must not write any of them anywhere, nor hold one in an error or an argument.

mod alignments;
mod error;
mod file;
mod generate;
mod key;
mod lost;
mod mask;
mod objects;
mod percent;
mod random;
mod revealed;
mod substitute;
mod wanted;
mod write;

pub use alignments::base64_cores;
pub use error::SecretsError;
pub use file::{FILE, Layers, SealedFile};
pub use generate::{GenerateError, Made, make, missing_in_order};
pub use key::KeyId;
pub use lost::lost;
pub use mask::{MASK, Masker, SHORTEST};
pub use objects::objects;
pub use random::salt;
pub use revealed::Revealed;
pub use substitute::{NotRevealed, encoded, offline, text, values};
pub use wanted::Wanted;
pub use write::Draft;
