//! Releases' steps that failed, and runs that ended early.

use super::cluster::call;
use super::definition::{closed_world, guarded};
use super::guard::rendered_live;
use super::interruption::{kept_out, killed, left, moved, stopped};
use super::runbook::place;
use super::{Code, Failure, Kind};
use crate::definition::Definition;
use crate::execute::{Cause, Reason, ReleaseError};
use crate::plan::Fixed;
use crate::render::culprits;
use crate::tools::{CallError, ScriptError, Transient, denied, immutable, transient, without_value};

/// A release's step that failed; the definition knows who set what the cluster or the chart refuses.
pub fn release(definition: &Definition, error: &ReleaseError) -> Vec<Failure> {
    let title = error.to_string();
    let mut failure = match &error.cause {
        Cause::Images(violations) => return closed_world(violations),
        Cause::Otherwise(differences) => return vec![rendered_live(differences)],
        Cause::Left { status, deployed, error: source } => left(&error.release, status, *deployed, source),
        Cause::Killed(source) => killed(&error.release, source),
        Cause::Fenced(why) => kept_out(&error.release, why),
        Cause::Moved(to) => moved(&error.release, to),
        Cause::Stopped(stop) => stopped(stop),
        Cause::Observed(source) => call(title, Code::Cluster, source),
        Cause::Namespaces(source) | Cause::Secrets(source) | Cause::Crds(source) => {
            webhook(&title, source).unwrap_or_else(|| call(title, Code::Prepare, source))
        }
        Cause::ForeignSecrets(_, source) => {
            let mut failure = Failure::new(Code::Foreign, Kind::Yours, title).word(source.stderr());
            failure.ran = Some(source.to_string());
            failure.help("remove it, if nobody needs it; or give the release's Secret another name in its release.yaml")
        }
        Cause::Recreate(source) => call(title, Code::Immutable, source)
            .help("something may still use it, or have a finalizer on it; it is being deleted"),
        Cause::Forget(source) | Cause::Finish(source) => {
            call(title, Code::Cluster, source).help("run the same command again")
        }
        Cause::Hook(source) => hook(&error.release, source),
        Cause::Helm(source) => helm(definition, error, source),
        Cause::NotReady(source, reason) => not_ready(&error.release, source, reason),
    };
    failure.details.extend(match error.tries {
        0 => None,
        1 => Some("tried again once".to_owned()),
        n => Some(format!("tried again {n} times")),
    });
    vec![failure]
}

fn helm(definition: &Definition, error: &ReleaseError, source: &CallError) -> Failure {
    if let Some(failure) = webhook(&error.release, source).or_else(|| unforeseen(&error.release, source)) {
        return failure;
    }
    let release = definition.releases.iter().find(|release| release.name == error.release);
    let culprits = release.map(|release| culprits(definition, release, source.stderr())).unwrap_or_default();
    let mut failure = call(error.release.clone(), Code::Helm, source).culprits(&culprits);
    if failure.code == Code::Helm && failure.help.is_empty() {
        failure = failure.help(place(Code::Helm));
    }
    let mut failure = guarded(failure, &error.release, source.stderr());
    if !culprits.is_empty() {
        failure.kind = Kind::Yours;
    }
    failure
}

/// A webhook that said no, or nothing.
fn webhook(title: &str, source: &CallError) -> Option<Failure> {
    if source.interrupted() {
        return None;
    }
    let mut failure = match (denied(source.stderr()), transient(source.stderr())) {
        (Some((name, why)), _) => {
            let failure = Failure::new(Code::WebhookDenied, Kind::Yours, format!("{title}: webhook {name} denied it"));
            let failure = if why.is_empty() { failure } else { failure.detail(format!("it says: {why}")) };
            failure.help("change what it objects to in the release's values, or ask whoever runs the webhook")
        }
        (None, Some(Transient::Webhook { name, why })) => {
            let title = format!("{title}: webhook {name} does not answer");
            let failure = Failure::new(Code::WebhookSilent, Kind::Transient, title).detail(why);
            failure
                .help("see whether the pods behind its Service are ready; run the same command again when they are")
                .help("what needs that webhook should name its release in `needs`")
        }
        _ => return None,
    };
    failure = failure.word(source.stderr());
    failure.ran = Some(source.to_string());
    Some(failure)
}

/// A field that never changes, where nobody foresaw it.
fn unforeseen(title: &str, source: &CallError) -> Option<Failure> {
    if source.interrupted() || !immutable(source.stderr()) {
        return None;
    }
    let title = format!("{title}: a field of one of its objects can't be changed in place");
    let mut failure = Failure::new(Code::Immutable, Kind::Yours, title).word(source.stderr());
    failure.ran = Some(source.to_string());
    Some(failure.help("undo the change, or let the object that is named be made anew: --recreate KIND/NAME"))
}

/// A field that never changes, found before anything was changed.
pub fn fixed(release: &str, found: &Fixed, word: &str) -> Failure {
    let Fixed { title, name, field, .. } = found;
    let said = format!("{release}: {title}: `{field}` can't be changed in place");
    let failure =
        Failure::new(Code::Immutable, Kind::Yours, said).word(&without_value(word)).detail("nothing was changed");
    let claim = name.starts_with("PersistentVolume");
    let cost = match name.split('/').next().unwrap_or_default() {
        "PersistentVolumeClaim" | "PersistentVolume" => "its data is lost then",
        "StatefulSet" => "its pods and claims stay and are taken over",
        "Deployment" | "DaemonSet" | "ReplicaSet" | "Job" => "its pods stop for that time",
        _ => "it is gone for a moment",
    };
    let allowed = if claim { name.as_str() } else { release };
    failure
        .help("undo the change in the release's values or its chart")
        .help(format!("or let it be deleted and made anew with --recreate {allowed}: {cost}"))
}

/// A program of the definition.
fn hook(release: &str, source: &ScriptError) -> Failure {
    let title = format!("{release}: {source}");
    match source {
        ScriptError::NotRun { source, .. } => Failure::new(Code::Tool, Kind::Yours, title).detail(source.to_string()),
        ScriptError::Interrupted { .. } => Failure::new(Code::Interrupted, Kind::Transient, title),
        ScriptError::Failed { output, .. } => Failure::new(Code::Hook, Kind::Yours, title).word(&end_of(output)),
        ScriptError::TimedOut { output, .. } => Failure::new(Code::Hook, Kind::Yours, title)
            .word(&end_of(output))
            .help("it was ended with everything it had started; give it a longer `timeout` if it only is slow"),
    }
}

/// The last lines of what a program said.
fn end_of(output: &str) -> String {
    const LINES: usize = 20;
    let lines: Vec<&str> = output.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

pub(super) fn not_ready(release: &str, source: &CallError, reason: &Reason) -> Failure {
    let (code, title) = match (&reason.title, reason.hook) {
        (Some(title), true) => (Code::ChartHook, format!("{release}: {title}")),
        (Some(title), false) => (Code::NotReady, format!("{release}: {title}")),
        (None, _) => (Code::NotReady, format!("{release}: not ready in time")),
    };
    let mut failure = Failure::new(code, Kind::Yours, title).word(&reason.rest);
    failure.details.clone_from(&reason.lines);
    failure.ran = Some(source.to_string());
    if reason.lines.is_empty() && reason.title.is_none() {
        failure = failure.help("look at its pods and their events; if it is only slow, give it a longer `timeout`");
    }
    failure.help(place(code))
}

/// A run that ended because releases fail for a reason that is not theirs.
pub fn same(releases: &[String]) -> Failure {
    let title = format!("stopped: {} releases failed in the same way", releases.len());
    let failure = Failure::new(Code::SameFailure, Kind::Yours, title).detail(releases.join(", "));
    failure.help("mend what they have in common; nothing else was begun")
}
