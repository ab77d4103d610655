//! Errors of the definition and of rendering.

use std::collections::BTreeSet;

use super::{Code, Failure, Failures, Kind};
use crate::definition::{Definition, Invalid, SecretUse, TreeError};
use crate::files::{FileError, StoreError};
use crate::image::InvalidPlatform;
use crate::net::InvalidMirror;
use crate::plan::InvalidSelector;
use crate::render::{RenderError, Rule, Violation};
use crate::secrets::NotRevealed;
use crate::tools::image_guard;

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
            RenderError::Helm { release, culprits, source } => {
                let failure = Failure::new(Code::Render, Kind::Yours, error.to_string());
                let mut failure = failure.word(source.stderr()).culprits(culprits);
                failure.ran = Some(source.to_string());
                guarded(failure, release, source.stderr())
                    .help(format!("look at the values.yaml of {release} and at what the chart says of them"))
                    .into()
            }
            RenderError::Lost { uses, .. } => Failures::new(uses.iter().map(|used| lost(&error, used)).collect()),
            RenderError::Secrets(missing) => missing.clone().into(),
            RenderError::Object { .. } => Failure::caused(Code::Render, Kind::Permanent, &error).into(),
        }
    }
}

/// The value that a chart needs which takes no image but those it knows.
pub(super) fn guarded(failure: Failure, release: &str, word: &str) -> Failure {
    let Some(guard) = image_guard(word) else { return failure };
    let keys: Vec<&str> = guard.switch.split('.').collect();
    let value = keys.iter().rev().fold("true".to_owned(), |value, key| format!("{{{key}: {value}}}"));
    failure.help(format!(
        "the chart guards the names of its images: write `{}` into the values.yaml of {release}, or take the names away \
         again: platctl rewrites images for the site without them",
        &value[1..value.len() - 1]
    ))
}

/// A secret that a chart ignored or changed.
fn lost(error: &RenderError, used: &SecretUse) -> Failure {
    let RenderError::Lost { release, .. } = error else { return Failure::caused(Code::Render, Kind::Yours, error) };
    let title = format!("{release}: secret `{}` does not come out of the chart", used.name);
    let mut failure = Failure::new(Code::Render, Kind::Yours, title);
    failure.at = Some(used.at.clone());
    failure.help("the chart has no such key, or has it switched off: take the line away").help(
        "or the chart makes something else of it: give it a text of the right shape to look at, secret(…, dummy=\"…\")",
    )
}

impl From<NotRevealed> for Failures {
    fn from(error: NotRevealed) -> Failures {
        let help = "secrets.yaml has a name for it, and no text: put one there";
        Failure::caused(Code::SecretMissing, Kind::Yours, &error).help(help).into()
    }
}

/// Secrets that are needed and not there.
pub fn missing_secrets(environment: &str, names: &BTreeSet<&str>) -> Failures {
    let (is, names) =
        (if names.len() == 1 { "is" } else { "are" }, names.iter().copied().collect::<Vec<_>>().join(", "));
    let title = format!("environment {environment}: {names} {is} not in secrets.yaml yet");
    Failures::from(
        Failure::new(Code::SecretMissing, Kind::Yours, title)
            .help(format!("run `platctl secrets generate -e {environment}`, and commit the file")),
    )
    .exit(super::exit::REFUSED)
}

/// A selector that matches no release.
pub fn nothing_selected(definition: &Definition) -> Failures {
    let known: Vec<&str> = definition.releases.iter().map(|release| release.name.as_str()).collect();
    let failure = Failure::new(Code::Usage, Kind::Yours, "the selector matches no release");
    let failure = failure.help(format!("releases of {}: {}", definition.environment.name, known.join(", ")));
    Failures::from(failure).exit(super::exit::NOTHING_SELECTED)
}

/// What may not be locked or run in a closed world, a failure each.
pub fn closed_world(violations: &[Violation]) -> Vec<Failure> {
    violations.iter().map(of_rule).collect()
}

/// A finding of a rule of the closed world.
pub fn of_rule(violation: &Violation) -> Failure {
    let Violation { rule, release, object, origin, path, what, reason } = violation;
    let noun = if *rule == Rule::Download { "" } else { "image " };
    let failure = Failure::new(Code::from(*rule), Kind::Yours, format!("{release}: {noun}`{what}`: {reason}"));
    let failure = failure.detail(format!("{object}, {path}"));
    let failure = match origin {
        Some(origin) => failure.detail(format!("from {origin}")),
        None => failure,
    };
    failure.help(way_out(*rule))
}

/// What to do about a finding of a rule.
fn way_out(rule: Rule) -> &'static str {
    match rule {
        Rule::NotLocked => {
            "run `platctl lock` online, and bundle again for sites without internet; or list it in `images.ignore` of its release.yaml with a reason"
        }
        Rule::Floating | Rule::NoReference => {
            "pin it in the release's values.yaml, or list it in `images.ignore` of its release.yaml with a reason"
        }
        Rule::Undecided => {
            "if it is an image, list it in `images.extra` of its release.yaml; if it is none or never pulled, or only a part of a name, list it in `images.ignore` with a reason"
        }
        Rule::Download => {
            "switch it off in the release's values.yaml, or take an image that has it; or list it in `lint.ignore` of its release.yaml: {rule: PL203, place: KIND/NAME, reason: …}"
        }
    }
}
