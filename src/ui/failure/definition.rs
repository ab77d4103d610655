//! Errors of the definition and of rendering.

use super::{Code, Failure, Failures, Kind};
use crate::definition::{Invalid, TreeError};
use crate::files::{FileError, StoreError};
use crate::image::InvalidPlatform;
use crate::net::InvalidMirror;
use crate::plan::InvalidSelector;
use crate::render::{NOT_LOCKED, RenderError, Violation};

impl From<Invalid> for Failures {
    fn from(invalid: Invalid) -> Failures {
        Failures::new(invalid.problems.iter().map(|problem| Failure::problem(Code::Definition, problem)).collect())
    }
}

impl From<TreeError> for Failures {
    fn from(error: TreeError) -> Failures {
        match error {
            TreeError::File(error) => error.into(),
            TreeError::NoDefinition(_) => Failure::caused(Code::NoDefinition, Kind::Yours, &error)
                .help("give its folder with -C DIR, or a bundle with --bundle FILE")
                .into(),
            TreeError::Refused { .. } => Failure::caused(Code::Definition, Kind::Yours, &error).into(),
        }
    }
}

impl From<FileError> for Failures {
    fn from(error: FileError) -> Failures {
        let kind = match error.source.kind() {
            std::io::ErrorKind::Interrupted | std::io::ErrorKind::WouldBlock => Kind::Transient,
            _ => Kind::Yours,
        };
        let failure = Failure::caused(Code::File, kind, &error);
        let help = match error.source.kind() {
            std::io::ErrorKind::StorageFull => "make room there; PLATCTL_CACHE_DIR puts the cache on another disk",
            std::io::ErrorKind::PermissionDenied => "check who owns the path and its permissions",
            std::io::ErrorKind::NotFound => "check the path",
            _ => return failure.into(),
        };
        failure.help(help).into()
    }
}

impl From<StoreError> for Failures {
    fn from(error: StoreError) -> Failures {
        match error {
            StoreError::File(error) => error.into(),
            StoreError::Mismatch { .. } => Failure::caused(Code::Changed, Kind::Permanent, &error).into(),
            StoreError::Source { .. } => Failure::caused(Code::File, Kind::Permanent, &error).into(),
        }
    }
}

impl From<InvalidSelector> for Failures {
    fn from(error: InvalidSelector) -> Failures {
        Failures::from(Failure::caused(Code::Usage, Kind::Yours, &error)).exit(super::exit::USAGE)
    }
}

impl From<InvalidMirror> for Failures {
    fn from(error: InvalidMirror) -> Failures {
        Failures::from(Failure::caused(Code::Usage, Kind::Yours, &error)).exit(super::exit::USAGE)
    }
}

impl From<InvalidPlatform> for Failures {
    fn from(error: InvalidPlatform) -> Failures {
        Failures::from(Failure::caused(Code::Usage, Kind::Yours, &error)).exit(super::exit::USAGE)
    }
}

impl From<RenderError> for Failures {
    fn from(error: RenderError) -> Failures {
        match &error {
            RenderError::Helm { release, source } => {
                let failure = Failure::new(Code::Render, Kind::Yours, error.to_string());
                let mut failure = failure.word(source.stderr());
                failure.ran = Some(source.to_string());
                failure.help(format!("look at the values.yaml of {release} and at what the chart says of them")).into()
            }
            RenderError::Object { .. } => Failure::caused(Code::Render, Kind::Permanent, &error).into(),
        }
    }
}

/// Images that may not be locked or run, a failure each.
pub fn images(violations: &[Violation]) -> Vec<Failure> {
    violations.iter().map(image).collect()
}

fn image(violation: &Violation) -> Failure {
    let Violation { release, object, origin, path, image, reason } = violation;
    let failure = Failure::new(Code::Images, Kind::Yours, format!("{release}: image `{image}`: {reason}"));
    let failure = failure.detail(format!("{object}, {path}"));
    let failure = match origin {
        Some(origin) => failure.detail(format!("from {origin}")),
        None => failure,
    };
    failure.help(if reason.ends_with(NOT_LOCKED) {
        "run `platctl lock` online, and bundle again for sites without internet; or list it in `images.ignore` of its release.yaml with a reason"
    } else {
        "pin it in the release's values.yaml, or list it in `images.ignore` of its release.yaml with a reason"
    })
}
