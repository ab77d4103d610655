//! A step that failed: why, and whether two failed in the same way. Must not know codes.

use super::readiness::Reason;
use crate::render::{Difference, Violation};
use crate::run::{Moved, NotBegun, Stop};
use crate::tools::{CallError, ScriptError};

/// A release's step that failed.
#[derive(Debug, thiserror::Error)]
#[error("{release}: {cause}")]
pub struct ReleaseError {
    /// The release, or `the namespaces`.
    pub release: String,
    /// Its namespace.
    pub namespace: String,
    /// Why.
    #[source]
    pub cause: Cause,
    /// How often it was tried again.
    pub tries: u32,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The namespaces of the releases could not be made.
    #[error("they can't be made")]
    Namespaces(#[source] CallError),
    /// The Kubernetes Secrets could not be applied.
    #[error("cannot apply its Secrets")]
    Secrets(#[source] CallError),
    /// Somebody else made Kubernetes Secrets of these names, and has set other fields in them.
    #[error("{} belongs to somebody else", .0.iter().map(|name| format!("Secret {name}")).collect::<Vec<_>>().join(", "))]
    ForeignSecrets(Vec<String>, #[source] CallError),
    /// The resource definitions could not be applied.
    #[error("cannot apply its custom resource definitions")]
    Crds(#[source] CallError),
    /// What helm rendered holds images that may not run; helm changed nothing.
    #[error("it rendered {} images that are not locked", .0.len())]
    Images(Vec<Violation>),
    /// What helm rendered live is not what was planned; helm changed nothing.
    #[error("it renders otherwise live than planned")]
    Otherwise(Vec<Difference>),
    /// helm failed.
    #[error("helm failed")]
    Helm(#[source] CallError),
    /// helm was killed, and left the release in the middle of nothing.
    #[error("helm was killed")]
    Killed(#[source] CallError),
    /// helm did not end by itself, or could not write how it ended, and left the release in the middle of an operation.
    #[error("helm left it in `{status}`")]
    Left {
        /// helm's status of it.
        status: String,
        /// Whether there is a revision to go back to.
        deployed: bool,
        /// How helm ended.
        #[source]
        error: CallError,
    },
    /// Another run has the lease; helm changed nothing.
    #[error("helm was kept from writing")]
    Fenced(String),
    /// Somebody else changed it since it was planned; nothing was done.
    #[error("somebody else changed it since it was planned")]
    Moved(Moved),
    /// The cluster could not be asked whether somebody else changed it; nothing was done.
    #[error("cannot look at helm's records")]
    Observed(#[source] CallError),
    /// Nothing more may be begun.
    #[error("nothing more is begun")]
    Stopped(Stop),
    /// A program of the definition, before or after it, failed.
    #[error("a hook failed")]
    Hook(#[source] ScriptError),
    /// What helm keeps of an earlier try could not be forgotten.
    #[error("cannot forget its failed installation")]
    Forget(#[source] CallError),
    /// An object that is to be made anew could not be deleted.
    #[error("cannot delete what is to be made anew")]
    Recreate(#[source] CallError),
    /// It could not be recorded that everything is done.
    #[error("cannot record that it is done")]
    Finish(#[source] CallError),
    /// helm gave up waiting, or a hook of the chart failed.
    #[error("it did not become ready")]
    NotReady(#[source] CallError, Reason),
}

impl From<NotBegun> for Cause {
    fn from(why: NotBegun) -> Cause {
        match why {
            NotBegun::Stopped(stop) => Cause::Stopped(stop),
            NotBegun::Moved(moved) => Cause::Moved(moved),
            NotBegun::Unseen(error) => Cause::Observed(error),
        }
    }
}

impl Cause {
    /// The error of a release, or of the namespaces of all.
    pub(super) fn of(self, release: &str, namespace: &str) -> ReleaseError {
        ReleaseError { release: release.to_owned(), namespace: namespace.to_owned(), cause: self, tries: 0 }
    }

    /// What it would be called if it happened to another release: words without names and numbers that are made up.
    fn likeness(&self, release: &str) -> String {
        let words = match self {
            Cause::Namespaces(error)
            | Cause::Secrets(error)
            | Cause::Crds(error)
            | Cause::Forget(error)
            | Cause::Finish(error)
            | Cause::Recreate(error)
            | Cause::Helm(error) => {
                let said = |line: &&str| !line.starts_with("level=") && !line.ends_with("Installing it now.");
                error.stderr().lines().filter(said).collect::<Vec<_>>().join("\n")
            }
            // Each of these has reasons of its own.
            Cause::Hook(_)
            | Cause::ForeignSecrets(..)
            | Cause::Otherwise(_)
            | Cause::Left { .. }
            | Cause::Fenced(_)
            | Cause::Killed(_)
            | Cause::Moved(_)
            | Cause::Observed(_)
            | Cause::Stopped(_) => return format!("{self}: {release}"),
            Cause::Images(violations) => format!("{} images", violations.len()),
            Cause::NotReady(_, reason) => {
                let lines: Vec<&String> = reason.lines.iter().filter(|line| !line.starts_with("  | ")).collect();
                // A program that ends badly has reasons of its own, and what nobody can explain is not known to be the same.
                if lines.is_empty() || lines.iter().any(|line| line.contains("exit ") || line.contains("not ready")) {
                    return format!("{self}: {release}");
                }
                lines.into_iter().cloned().collect::<Vec<_>>().join("\n")
            }
        };
        format!("{self}\n{}", plain(&words, release))
    }
}

/// Words without the release's name and without what differs from object to object: names with digits, and what stands
/// in quotes or between slashes.
fn plain(text: &str, release: &str) -> String {
    let made_up = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let numbered = bare.contains(|c: char| c.is_ascii_digit()) && bare.contains(['-', '.', ':']);
        let of_release = |part: &str| part == release || part.starts_with(&format!("{release}-"));
        numbered || bare.contains('/') || bare.split(['"', ':', '.']).any(of_release)
    };
    text.split_whitespace().map(|word| if made_up(word) { "…" } else { word }).collect::<Vec<_>>().join(" ")
}

/// The releases that failed in one way, if that happened as often as this.
pub(super) fn same(failed: &[ReleaseError], often: usize) -> Option<Vec<String>> {
    let last = failed.last()?;
    let wanted = last.cause.likeness(&last.release);
    let alike: Vec<String> =
        failed.iter().filter(|e| e.cause.likeness(&e.release) == wanted).map(|e| e.release.clone()).collect();
    (alike.len() >= often).then_some(alike)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(release: &str, stderr: &str) -> ReleaseError {
        let (command, status) = ("helm".to_owned(), "exit status 1".to_owned());
        let error = CallError::Failed { command, status, code: Some(1), stderr: stderr.to_owned(), interrupted: false };
        Cause::Helm(error).of(release, "n")
    }

    #[test]
    fn failures_are_the_same_but_for_names() {
        let webhook = |name: &str| {
            format!(
                "Error: failed calling webhook \"v.example.org\" for object n/{name}: no endpoints available for service \"hook\""
            )
        };
        let mut all: Vec<ReleaseError> = ["a1", "b2"].iter().map(|name| failed(name, &webhook(name))).collect();
        assert_eq!(same(&all, 3), None);
        all.push(failed("c", "Error: something else"));
        assert_eq!(same(&all, 2), None, "only what failed last counts");
        all.push(failed("d", &webhook("d")));
        assert_eq!(same(&all, 3), Some(vec!["a1".to_owned(), "b2".to_owned(), "d".to_owned()]));
    }

    #[test]
    fn pods_that_fail_alike_are_the_same_and_what_nobody_explains_is_not() {
        let not_ready = |release: &str, lines: &[String]| {
            let Cause::Helm(error) = failed(release, "").cause else { unreachable!() };
            let reason = Reason { lines: lines.to_vec(), ..Reason::default() };
            Cause::NotReady(error, reason).of(release, "n")
        };
        let pull = |name: &str| vec![format!("pod {name}-6d4f-x: container main: ImagePullBackOff: manifest unknown")];
        let all = ["web", "api", "db"].map(|name| not_ready(name, &pull(name)));
        assert!(same(&all, 3).is_some());
        assert_eq!(same(&["web", "api", "db"].map(|name| not_ready(name, &[])), 3), None);
    }
}
