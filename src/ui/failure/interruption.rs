//! Errors of runs that get in each other's way, or that something ended in the middle.

use super::{Code, Failure, Failures, Kind, cluster, exit};
use crate::files::FileError;
use crate::run::lease::{self, Claim, Fenced, LeaseError, Lost};
use crate::run::{Moved, Stop};
use crate::tools::CallError;

/// The environment's lease could not be had.
pub fn lease(claim: &Claim<'_>, error: &LeaseError) -> Failures {
    let name = lease::name(claim.platform, claim.environment);
    let delete = format!("kubectl delete lease {name} --namespace {}", claim.namespace);
    match error {
        LeaseError::Held(holder, since) => {
            let title = format!("another run is at work on environment {}", claim.environment);
            let failure = Failure::new(Code::LeaseHeld, Kind::Transient, title)
                .detail(format!("{} by {holder}, since {since}", holder.verb))
                .help("wait until it has ended, then run the same command again")
                .help(format!(
                    "a run that is gone is followed by itself; only if this one is known to be dead: {delete}"
                ));
            Failures::from(failure).exit(exit::REFUSED)
        }
        LeaseError::Busy => {
            let failure = Failure::new(Code::LeaseHeld, Kind::Transient, format!("{error}: {name}"));
            Failures::from(failure.help("others begin runs at the same moment; run the same command again"))
                .exit(exit::REFUSED)
        }
        LeaseError::Unreadable(path, reason) => {
            let title = format!("the Lease {name} in {} is not platctl's", claim.namespace);
            let failure = Failure::new(Code::LeaseHeld, Kind::Yours, title).detail(format!("{path}: {reason}"));
            Failures::from(failure.help(format!("if nobody needs it: {delete}"))).exit(exit::REFUSED)
        }
        LeaseError::Interrupted => Failure::new(Code::Interrupted, Kind::Transient, error.to_string()).into(),
        LeaseError::Call(doing, call) => {
            let mut failures = cluster(&format!("cannot {doing}"), call);
            if call.is_forbidden() {
                let help = format!(
                    "it needs get, create and update of Leases and ConfigMaps in namespace {}; --state-namespace names another one",
                    claim.namespace
                );
                failures.failures.iter_mut().for_each(|failure| failure.help.push(help.clone()));
            }
            failures
        }
    }
}

/// The journal can't be begun.
pub fn not_recorded(error: &FileError) -> Failures {
    let title = format!("the run can't be recorded: {error}");
    let failure = Failure::new(Code::NotRecorded, Kind::Yours, title).detail(error.source.to_string());
    failure.help(ROOM).help("nothing was begun").into()
}

const ROOM: &str = "make room there, or move the cache with PLATCTL_CACHE_DIR; what can't be recorded is not begun";

/// Why a run began nothing more.
pub fn stopped(stop: &Stop) -> Failure {
    match stop {
        Stop::Lost(lost) => {
            let why = match lost {
                Lost::Taken(by) => format!("it was taken by {by}"),
                Lost::NotRenewed(word) => format!("it could not be renewed for {} s: {word}", lease::TERM.as_secs()),
            };
            Failure::new(Code::LeaseLost, Kind::Transient, "the run has lost its lease, and began nothing more")
                .detail(why)
                .help("when the cluster answers and no other run is at work: the same command with --resume")
        }
        Stop::NotRecorded(path, why) => {
            let title = format!("the run can't be recorded any more: cannot write {}", path.display());
            Failure::new(Code::NotRecorded, Kind::Yours, title)
                .detail(why.clone())
                .detail("what was at work was waited for; nothing more was begun")
                .help(ROOM)
        }
    }
}

/// A helm that did not end by itself, or could not write how it ended.
pub(super) fn left(release: &str, status: &str, deployed: bool, error: &CallError) -> Failure {
    let killed = matches!(error, CallError::Failed { code: None, .. });
    let (how, kind) = match killed {
        true => ("helm was killed", Kind::Yours),
        false => ("helm lost the API server", Kind::Transient),
    };
    let back = if deployed { "rollback" } else { "uninstall" };
    let mut failure = Failure::new(Code::LeftPending, kind, format!("{release}: {how}, and left it in `{status}`"))
        .word(error.stderr())
        .help("the same command with --resume marks that operation as failed and goes on")
        .help(format!("or with --recover {back}"));
    if killed {
        failure = failure.detail(WHO);
    }
    failure.ran = Some(error.to_string());
    failure
}

/// A helm that was killed before it had begun, or after it had ended what it did.
pub(super) fn killed(release: &str, error: &CallError) -> Failure {
    let mut failure = Failure::new(Code::LeftPending, Kind::Transient, format!("{release}: helm was killed"))
        .detail("the release is in the middle of nothing")
        .detail(WHO)
        .word(error.stderr())
        .help("run the same command again");
    failure.ran = Some(error.to_string());
    failure
}

/// Who kills a helm.
const WHO: &str = "somebody ended it, or the system did, for want of memory: see `dmesg`";

/// Somebody else changed a release since it was planned.
pub(super) fn moved(release: &str, moved: &Moved) -> Failure {
    let revision = |revision: Option<u64>| revision.map_or("not installed".to_owned(), |n| format!("revision {n}"));
    let by =
        moved.run.as_ref().map_or("its labels name no run of platctl".to_owned(), |run| format!("made by run {run}"));
    Failure::new(Code::Moved, Kind::Yours, format!("{release}: somebody else changed it since it was planned"))
        .detail(format!("planned: {}", revision(moved.planned)))
        .detail(format!("found:   {}, {}; {by}", revision(moved.found), moved.status))
        .help("nothing of it was overwritten; see what differs (`platctl plan`, `platctl diff`), then run the same command again")
}

/// helm was kept from writing.
pub(super) fn kept_out(release: &str, why: &str) -> Failure {
    Failure::new(Code::Fenced, Kind::Transient, format!("{release}: helm was kept from writing"))
        .detail(why.to_owned())
        .help("nothing of it was changed; when no other run is at work: the same command with --resume")
}

/// What a post-renderer says; helm swallows it.
pub fn fenced(error: &Fenced) -> Failures {
    Failure::new(Code::Fenced, Kind::Transient, error.to_string()).into()
}
