//! Errors of what comes after an installation: looking back, taking back, removing.

use super::cluster::call;
use std::collections::BTreeSet;

use super::exit;
use super::interruption::{moved, stopped};
use super::runbook::place;
use super::step::not_ready;
use super::{Code, Failure, Failures, Kind, cluster};
use crate::execute::{BackCause, BackError, Cause, Reason};
use crate::plan::Rollback;
use crate::tools::CallError;

/// How many runs are named to whoever names none that is known.
const RUNS_SHOWN: usize = 5;

/// helm's records of a namespace can't be listed.
pub fn records_hidden(namespace: &str, error: &CallError) -> Failures {
    let title = format!("cannot list helm's releases in namespace {namespace}");
    if !error.is_forbidden() {
        return cluster(&title, error);
    }
    let user = error.stderr().split("User \"").nth(1).and_then(|rest| rest.split('"').next());
    let who = user.map_or("the user of this kubeconfig".to_owned(), |user| format!("user {user}"));
    let mut failure = Failure::new(Code::RecordsHidden, Kind::Yours, title)
        .detail(format!("{who} may list Secrets neither in all namespaces nor in this one; helm's records are Secrets"))
        .word(error.stderr())
        .help(format!("give it get, list, watch, create, update, patch and delete of Secrets in {namespace}"))
        .help(format!("check it with: kubectl auth can-i list secrets --namespace {namespace}"));
    failure.ran = Some(error.to_string());
    failure.into()
}

/// A release that could not be taken away or back.
pub fn backwards(error: &BackError) -> Failure {
    let title = error.to_string();
    match &error.cause {
        BackCause::NotBegun(Cause::Stopped(stop)) => stopped(stop),
        BackCause::NotBegun(Cause::Moved(found)) => moved(&error.release, found),
        BackCause::NotBegun(Cause::Observed(source)) => call(title, Code::Cluster, source),
        BackCause::NotBegun(cause) => Failure::caused(Code::NotRemoved, Kind::Permanent, cause),
        BackCause::Keep(source) => call(title, Code::NotRemoved, source).help("nothing of it was removed"),
        BackCause::Remove(source) | BackCause::Leftovers(_, source) => call(title, Code::NotRemoved, source),
        BackCause::NotGone(source, reason) => not_gone(&error.release, source, reason),
        BackCause::Unreadable(source) => Failure::caused(Code::NotRemoved, Kind::Permanent, source)
            .help("nothing of it was removed; see what it has with `helm get manifest`, and remove it by hand"),
        BackCause::RollBack(source) => call(title, Code::NotRolledBack, source)
            .help("the same command goes on; `platctl apply` goes forward again"),
        BackCause::NotReady(source, reason) => not_ready(&error.release, source, reason),
        BackCause::Label(source) => call(title, Code::NotRolledBack, source),
    }
}

/// What helm waited for in vain, and what the cluster says of it.
fn not_gone(release: &str, source: &CallError, reason: &Reason) -> Failure {
    let title = reason.title.as_deref().unwrap_or("not everything of it went in time");
    let mut failure = Failure::new(Code::NotRemoved, Kind::Yours, format!("{release}: {title}")).word(&reason.rest);
    failure.details.extend(reason.lines.iter().cloned());
    failure.ran = Some(source.to_string());
    failure.help(place(Code::NotRemoved))
}

/// A run that nobody knows.
pub fn no_such_run(run: &str, known: &BTreeSet<&str>) -> Failures {
    let failure = Failure::new(Code::NoSuchRun, Kind::Yours, format!("no run of this environment is called `{run}`"));
    let newest: Vec<&str> = known.iter().rev().take(RUNS_SHOWN).copied().collect();
    let failure = match newest.is_empty() {
        true => failure.detail("no run of it is known"),
        false => failure.detail(format!("the newest are: {}", newest.join(", "))),
    };
    Failures::from(failure.help("`platctl history` lists them")).exit(exit::REFUSED)
}

/// helm no longer has what a rollback would need.
pub fn history_too_short(plan: &Rollback) -> Failures {
    let title = format!("helm's history does not reach back to run {}: nothing was changed", plan.to);
    let failure = Failure::new(Code::HistoryTooShort, Kind::Yours, title)
        .detail(format!("its revisions of that time are gone for: {}", plan.beyond.join(", ")))
        .help("helm keeps ten revisions of a release: `platctl history RELEASE` lists them")
        .help("roll back to a later run, leave these out with -l, or apply the definition of that time");
    Failures::from(failure).exit(exit::REFUSED)
}
