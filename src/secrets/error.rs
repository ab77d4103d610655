//! Why secrets can't be read, made or written. No error holds a value: what sops says is taken only where it can't
//! quote the file.

use super::{GenerateError, KeyId};
use crate::files::FileError;
use crate::tools::{CallError, sops_exit};

/// Why secrets can't be read, made or written.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The file is no YAML. The line itself may hold a secret and is not shown.
    #[error("{path}:{line}: {message}")]
    Syntax {
        /// The file.
        path: String,
        /// The line.
        line: u32,
        /// What is wrong.
        message: String,
    },
    /// Nothing in the file is encrypted.
    #[error("{path} is not encrypted: it has no `sops` block")]
    NotEncrypted {
        /// The file.
        path: String,
    },
    /// A single value is not encrypted.
    #[error("{path}:{line}: the value of `{name}` is not encrypted")]
    PlainValue {
        /// The file.
        path: String,
        /// The line.
        line: u32,
        /// The value's name.
        name: String,
    },
    /// The file is set up to leave values in the clear.
    #[error("{path}: its `sops` block has `{setting}`, so that not every value would be encrypted")]
    PartlyEncrypted {
        /// The file.
        path: String,
        /// The setting of sops.
        setting: String,
    },
    /// There is no key that decrypts it.
    #[error("{path}: no key to decrypt it is at hand")]
    NoKey {
        /// The file.
        path: String,
        /// Those that would do.
        keys: Vec<KeyId>,
        /// sops' own word.
        word: String,
    },
    /// It was changed by something else than sops.
    #[error("{path} is damaged: its values and its seal do not belong together")]
    Damaged {
        /// The file.
        path: String,
        /// The sops that wrote it.
        written_by: String,
    },
    /// There is no rule that says to which keys a new file is encrypted.
    #[error("{path} can't be made: nothing says to which keys it is encrypted")]
    NoRules {
        /// The file.
        path: String,
        /// sops' own word.
        word: String,
    },
    /// sops failed otherwise; its word is left out, as it may quote the file.
    #[error("{path}: sops failed")]
    Sops {
        /// The file.
        path: String,
        /// The command.
        #[source]
        source: CallError,
    },
    /// A name stands where a map has to be, or the other way round.
    #[error("{path}: `{name}` can't be set: something else stands at `{at}`")]
    Blocked {
        /// The file.
        path: String,
        /// The name to be.
        name: String,
        /// What is in its way.
        at: String,
    },
    /// sops wrote something else than it was asked for.
    #[error("{path}: sops did not write `{name}`")]
    NotWritten {
        /// The file.
        path: String,
        /// The name.
        name: String,
    },
    /// A secret can't be made.
    #[error("secret `{name}` can't be generated: {source}")]
    Generate {
        /// Its name.
        name: String,
        /// Why.
        source: GenerateError,
    },
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

impl SecretsError {
    /// What a failed call says about the file at `path`, which these keys decrypt.
    pub(super) fn call(path: &str, keys: &[KeyId], written_by: &str, error: CallError) -> SecretsError {
        let path = path.to_owned();
        match error.code() {
            Some(sops_exit::NO_KEY) => {
                SecretsError::NoKey { path, keys: keys.to_vec(), word: without_keys(error.stderr()) }
            }
            Some(sops_exit::MAC_MISMATCH | sops_exit::MAC_NOT_FOUND | sops_exit::MAC | sops_exit::TREE) => {
                SecretsError::Damaged { path, written_by: written_by.to_owned() }
            }
            _ => SecretsError::Sops { path, source: error },
        }
    }
}

/// sops' word without a private key, should one of the places it looks at be quoted.
fn without_keys(word: &str) -> String {
    let mask = |part: &str| match part.find("AGE-SECRET-KEY-") {
        Some(at) => format!("{}AGE-SECRET-KEY-***", &part[..at]),
        None => part.to_owned(),
    };
    word.lines().map(|line| line.split(' ').map(mask).collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_in_sops_word_is_masked() {
        assert_eq!(without_keys("a 'AGE-SECRET-KEY-1XY' b\n  c"), "a 'AGE-SECRET-KEY-*** b\n  c");
    }
}
