//! The codes of failures. They are stable: a code keeps its meaning for ever, and new ones are added at the end of
//! their hundred.

use std::fmt;

use crate::render::Rule;

/// A failure's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// A file of the definition is wrong.
    Definition = 101,
    /// There is no definition, or no such environment.
    NoDefinition = 102,
    /// A secret is not there yet.
    SecretMissing = 103,
    /// No key to decrypt secrets is at hand.
    NoKey = 104,
    /// A file of secrets is damaged, or not encrypted.
    SecretsDamaged = 105,
    /// Nothing says to which keys a new file of secrets is encrypted.
    SecretRules = 106,
    /// A secret can't be generated or set.
    SecretNotMade = 107,
    /// The lock can't be read.
    LockUnreadable = 201,
    /// Something is not in the lock.
    NotLocked = 202,
    /// The lock is not what it would become.
    LockStale = 203,
    /// Something can't be looked up.
    Unresolved = 204,
    /// Bytes are not the ones that are locked.
    Changed = 205,
    /// The chart does not render.
    Render = 207,
    /// A bundle can't be made.
    BundleNotMade = 301,
    /// A bundle is damaged or is none.
    BundleDamaged = 302,
    /// A bundle lacks something.
    NotInBundle = 303,
    /// A bundle is by nobody who is trusted.
    Untrusted = 331,
    /// A key to trust can't be read.
    TrustKey = 332,
    /// A bundle can't be signed.
    NotSigned = 333,
    /// The cluster is not the one declared.
    WrongCluster = 401,
    /// The cluster can't be reached or refuses.
    Cluster = 402,
    /// A release is in the middle of an operation.
    Pending = 403,
    /// A release belongs to somebody else.
    Foreign = 404,
    /// A release that is needed is not there.
    NeedMissing = 405,
    /// A namespace or resource definition can't be applied.
    Prepare = 410,
    /// helm failed.
    Helm = 411,
    /// A release did not become ready.
    NotReady = 412,
    /// The run was interrupted.
    Interrupted = 413,
    /// helm's records can't be listed.
    RecordsHidden = 461,
    /// The network failed.
    Network = 501,
    /// A registry refused images.
    Push = 502,
    /// The file system refused.
    File = 601,
    /// A tool can't be run.
    Tool = 602,
    /// The command line is wrong.
    Usage = 701,
    /// An image is not in the lock (PL201).
    ImageNotLocked = 1201,
    /// An image floats (PL202).
    ImageFloats = 1202,
    /// Something is fetched while it runs (PL203).
    Download = 1203,
    /// Nobody has decided whether something is an image (PL204).
    ImageUndecided = 1204,
    /// The place of an image holds none (PL205).
    NoReference = 1205,
}

/// Codes of `lint`'s rules are counted from here.
const RULES: u16 = 1000;

impl From<Rule> for Code {
    fn from(rule: Rule) -> Code {
        match rule {
            Rule::NotLocked => Code::ImageNotLocked,
            Rule::Floating => Code::ImageFloats,
            Rule::Download => Code::Download,
            Rule::Undecided => Code::ImageUndecided,
            Rule::NoReference => Code::NoReference,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self as u16 {
            code @ ..RULES => write!(f, "E{code:04}"),
            rule => write!(f, "PL{}", rule - RULES),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_have_one_code_everywhere() {
        for rule in [Rule::NotLocked, Rule::Floating, Rule::Download, Rule::Undecided, Rule::NoReference] {
            assert_eq!(Code::from(rule).to_string(), rule.code());
        }
        assert_eq!(Code::Definition.to_string(), "E0101");
    }
}
