//! What may not run in a closed world: which rule refuses it, where it stands, and why. Data only; who tells it, and what
//! to do about it, is not known here.

use serde::{Deserialize, Serialize};

use super::discover::Finding;
use crate::object::{Path, Stream};

/// A rule of the closed world. Its code is stable, and names it in `lint` and in `lint.ignore`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Rule {
    /// An image is not in the lock.
    NotLocked = 201,
    /// An image has neither a digest nor a tag other than `latest`.
    Floating = 202,
    /// Something is fetched while it runs.
    Download = 203,
    /// Nobody has decided whether a text is an image.
    Undecided = 204,
    /// A place of an image holds what no registry understands.
    NoReference = 205,
}

impl Rule {
    /// Its code: `PL203`.
    pub fn code(self) -> String {
        format!("PL{}", self as u16)
    }
}

/// Something that may not run. It crosses a process border on its way from the post-renderer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// The release.
    pub release: String,
    /// The object.
    pub object: String,
    /// The template it comes from.
    pub origin: Option<String>,
    /// Where in the object.
    pub path: String,
    /// The image or command as it was written.
    pub what: String,
    /// Why it is refused.
    pub reason: String,
}

impl Violation {
    /// Something of a stream that is refused.
    pub fn at(stream: &Stream, object: usize, path: &Path, what: &str, (rule, reason): (Rule, String)) -> Violation {
        let of = &stream.objects[object];
        Violation {
            rule,
            release: String::new(),
            object: of.title(),
            origin: of.origin.clone(),
            path: path.to_string(),
            what: what.to_owned(),
            reason,
        }
    }

    /// An image that is refused.
    pub fn of(stream: &Stream, finding: &Finding, why: (Rule, String)) -> Violation {
        Violation::at(stream, finding.object, &finding.path, &finding.text, why)
    }

    /// The same, of a release.
    pub fn of_release(self, release: &str) -> Violation {
        Violation { release: release.to_owned(), ..self }
    }
}
