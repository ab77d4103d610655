//! Why the site's registry could not be asked or filled.

use std::fmt;

use crate::bundle::Damage;
use crate::image::Reference;
use crate::net::{self, Kind, Reason};

/// Why images could not be looked for or pushed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry did not do what was asked.
    #[error("{repository}: {refusal}, for {image}")]
    Registry {
        /// The image.
        image: String,
        /// The repository at the site, with the registry's address.
        repository: String,
        /// What it comes down to.
        refusal: Refusal,
        /// The failure, with URL, status and tries.
        #[source]
        source: net::Error,
    },
    /// The bundle is damaged; nothing damaged was sent whole.
    #[error("damaged bundle: cannot push {image}")]
    Damaged {
        /// The image.
        image: String,
        /// The entry.
        #[source]
        damage: Damage,
    },
    /// The registry took a manifest and then has it not.
    #[error("{repository} took {image} but does not have it by its digest")]
    Vanished {
        /// The image.
        image: String,
        /// The repository at the site, with the digest.
        repository: String,
    },
    /// A manifest of the bundle can't be read.
    #[error(transparent)]
    Bundle(#[from] crate::bundle::Error),
}

/// What a registry's refusal comes down to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody answers.
    Unreachable,
    /// Its certificate is not trusted.
    Untrusted,
    /// It wants a login, or another one (401).
    LogIn,
    /// The login may not push there (403).
    Forbidden,
    /// There is no such project, and it makes none by itself (404).
    NoProject,
    /// A layer is larger than it, or a proxy before it, takes (413).
    TooLarge,
    /// Anything else; the source says what.
    Failed,
}

impl Error {
    /// Who can do something about it.
    pub fn kind(&self) -> Kind {
        match self {
            Error::Registry { refusal: Refusal::NoProject, .. } => Kind::Yours,
            Error::Registry { source, .. } => source.kind(),
            Error::Bundle(error) => error.kind(),
            Error::Damaged { .. } | Error::Vanished { .. } => Kind::Permanent,
        }
    }

    pub(super) fn of(image: &Reference, repository: &str, source: net::Error) -> Error {
        let (image, repository) = (image.to_string(), repository.to_owned());
        let net::Error { url, via, tries, reason } = source;
        let reason = match reason {
            Reason::Source(error) => match error.downcast::<Damage>() {
                Ok(damage) => return Error::Damaged { image, damage },
                Err(error) => Reason::Source(error),
            },
            other => other,
        };
        let refusal = Refusal::of(&reason);
        Error::Registry { image, repository, refusal, source: net::Error { url, via, tries, reason } }
    }
}

impl Refusal {
    fn of(reason: &Reason) -> Refusal {
        match (reason.status(), reason) {
            (Some(401), _) => Refusal::LogIn,
            (Some(403), _) => Refusal::Forbidden,
            (Some(404), _) => Refusal::NoProject,
            (Some(413), _) => Refusal::TooLarge,
            (_, Reason::Certificate { .. } | Reason::NoAuthorities { .. } | Reason::Authority { .. }) => {
                Refusal::Untrusted
            }
            (_, Reason::Connect { .. } | Reason::Timeout(_)) => Refusal::Unreachable,
            _ => Refusal::Failed,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Unreachable => "the registry can't be reached",
            Refusal::Untrusted => "the registry's certificate is not trusted",
            Refusal::LogIn => "the registry wants a login",
            Refusal::Forbidden => "the login may not push there",
            Refusal::NoProject => "there is no such project in the registry",
            Refusal::TooLarge => "a layer is larger than the registry takes",
            Refusal::Failed => "the registry failed",
        })
    }
}
