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
    /// Repositories that take no images; nothing was sent.
    #[error("the registry takes no images into {}", crowd(.0))]
    Refused(Vec<Refused>),
    /// A manifest of the bundle can't be read.
    #[error(transparent)]
    Bundle(#[from] crate::bundle::Error),
}

/// A repository that takes no images.
#[derive(Debug)]
pub struct Refused {
    /// The repository at the site, with the registry's address.
    pub repository: String,
    /// The images that would go there.
    pub images: Vec<String>,
    /// What it comes down to.
    pub refusal: Refusal,
    /// The failure, with URL, status and tries.
    pub source: net::Error,
}

fn crowd(refused: &[Refused]) -> String {
    match refused {
        [one] => one.repository.clone(),
        [first, rest @ ..] => format!("{} and {} more repositories", first.repository, rest.len()),
        [] => String::new(),
    }
}

/// What a registry's refusal comes down to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody answers.
    Unreachable,
    /// Nothing comes from it any more.
    Silent,
    /// The connection broke in the middle of a layer.
    Broken,
    /// It wants fewer requests (429).
    Busy,
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
    /// It takes no uploads at all (405).
    ReadOnly,
    /// It has no room left, or nothing is left of a quota.
    Full,
    /// The tag is another image's, and can't be moved.
    TagFixed,
    /// It does not know an upload that it began itself.
    LostUpload,
    /// Anything else; the source says what.
    Failed,
}

impl Error {
    /// Who can do something about it.
    pub fn kind(&self) -> Kind {
        match self {
            Error::Registry { refusal, .. } if refusal.is_yours() => Kind::Yours,
            Error::Refused(_) => Kind::Yours,
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
    /// Whether somebody has to change something, whatever the status was.
    fn is_yours(self) -> bool {
        matches!(self, Refusal::NoProject | Refusal::ReadOnly | Refusal::Full | Refusal::TagFixed)
    }

    pub(super) fn of(reason: &Reason) -> Refusal {
        match (reason.status(), reason) {
            (_, Reason::Status { message: Some(message), .. }) if tells_of_no_room(message) => Refusal::Full,
            (_, Reason::Status { message: Some(message), .. }) if message.starts_with("BLOB_UPLOAD_") => {
                Refusal::LostUpload
            }
            (Some(401), _) => Refusal::LogIn,
            (Some(403), _) => Refusal::Forbidden,
            (Some(404), _) => Refusal::NoProject,
            (Some(405), _) => Refusal::ReadOnly,
            (Some(413), _) => Refusal::TooLarge,
            (Some(429), _) => Refusal::Busy,
            (Some(507), _) => Refusal::Full,
            (_, Reason::Certificate { .. } | Reason::NoAuthorities { .. } | Reason::Authority { .. }) => {
                Refusal::Untrusted
            }
            (_, Reason::Connect { .. }) => Refusal::Unreachable,
            (_, Reason::Timeout(_)) => Refusal::Silent,
            (_, Reason::Interrupted { .. }) => Refusal::Broken,
            _ => Refusal::Failed,
        }
    }
}

/// What file systems, object stores and quotas say, as registries hand it on.
fn tells_of_no_room(message: &str) -> bool {
    let message = message.to_lowercase();
    ["no space left", "disk quota exceeded", "exceed the configured upper limit", "quota exceeded", "storage full"]
        .iter()
        .any(|words| message.contains(words))
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Unreachable => "the registry can't be reached",
            Refusal::Silent => "the registry does not answer",
            Refusal::Broken => "the connection to the registry broke",
            Refusal::Busy => "the registry wants fewer requests",
            Refusal::Untrusted => "the registry's certificate is not trusted",
            Refusal::LogIn => "the registry wants a login",
            Refusal::Forbidden => "the login may not push there",
            Refusal::NoProject => "there is no such project in the registry",
            Refusal::TooLarge => "a layer is larger than the registry takes",
            Refusal::ReadOnly => "the registry takes no uploads: it is read-only, or a cache of another one",
            Refusal::Full => "the registry has no room left",
            Refusal::TagFixed => "the tag is another image's, and the registry does not let it be moved",
            Refusal::LostUpload => "the registry does not know an upload that it began itself",
            Refusal::Failed => "the registry failed",
        })
    }
}
