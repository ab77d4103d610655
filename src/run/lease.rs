//! The Lease that keeps two runs on one environment apart: taking it, renewing it while a run is at work, and letting
//! go of it. Who may take it over is `judge`'s to say (decision 29). Must not know what a run does.

mod clock;
mod fence;
mod judge;
mod object;
mod renew;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

pub use fence::{Fence, Fenced};
pub use judge::{Standing, standing};
pub use object::{Holder, LeaseObject};
pub use renew::{Lease, Lost};

use crate::plan::{Observation, label};
use crate::tools::{self, CallError, Host, Interrupt, Kubectl, Process, Write};

use super::journal::Journal;

/// How long the lease stands without being renewed.
pub const TERM: Duration = Duration::from_secs(30);
/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(10);
/// How often it is looked whether a helm has ended, or the lease of another host has changed.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));
/// How long a question about the lease may take, and how long it is asked again.
const ASK: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(15));
/// How long the helm of a run may be at work whose journal nobody can read.
const UNKNOWN: Duration = Duration::from_secs(3600);
/// How often somebody else may be first before it is given up.
const TRIES: usize = 5;

/// Who wants the lease of which environment.
#[derive(Debug, Clone)]
pub struct Claim<'a> {
    /// kubectl.
    pub kubectl: &'a Kubectl,
    /// The namespace of platctl's own state.
    pub namespace: &'a str,
    /// Name of the platform.
    pub platform: &'a str,
    /// Name of the environment.
    pub environment: &'a str,
    /// The run's name.
    pub run: &'a str,
    /// What it does: `apply`, `destroy`, …
    pub verb: &'a str,
    /// The run's folder, where the fence looks first.
    pub folder: &'a Path,
    /// The namespaces of the environment's releases.
    pub namespaces: &'a BTreeSet<String>,
    /// The folder of all runs on this host.
    pub runs: &'a Path,
    /// Hears when the user wants to stop waiting.
    pub interrupt: &'a Interrupt,
}

/// What is waited for before the lease is there.
#[derive(Debug, Clone)]
pub enum Notice<'a> {
    /// A run on another host has it; it is watched whether it renews it.
    Watching(&'a Holder),
    /// The holder is gone, and helms that it started on this host are still at work on these releases.
    Orphans(&'a Holder, &'a [String]),
    /// The holder, on another host, does not renew it; its helm may be at work on these for so long.
    MayWork(&'a Holder, &'a [String], Duration),
    /// It was taken over.
    TakenOver(&'a Holder),
}

/// Why the lease could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another run has it.
    #[error("{} of run {} is at work on it", .0.verb, .0.run)]
    Held(Box<Holder>, String),
    /// Others were first, several times.
    #[error("others took the lease first, {TRIES} times")]
    Busy,
    /// The lease was written by something else.
    #[error("Lease {0} can't be read: {1}")]
    Unreadable(String, String),
    /// The user wants to stop.
    #[error("interrupted while it waited for the lease")]
    Interrupted,
    /// The cluster refuses, or can't be reached.
    #[error("cannot {0}")]
    Call(&'static str, #[source] CallError),
}

/// Takes the lease, after what must be waited for.
///
/// # Errors
/// [`LeaseError`]; nothing has changed then.
pub async fn hold(claim: &Claim<'_>, notice: &(dyn Fn(Notice<'_>) + Send + Sync)) -> Result<Lease, LeaseError> {
    let kubectl = claim.kubectl.steadfast(ASK.0, ASK.1);
    let own = Process::own().unwrap_or(Process { pid: std::process::id(), started: 0 });
    let me = Holder { host: Host::here(), process: own, run: claim.run.to_owned(), verb: claim.verb.to_owned() };
    let mut told = false;
    for _ in 0..TRIES {
        let found = get(&kubectl, claim).await?;
        let before = match found {
            Some(found) => settled(&kubectl, claim, found, notice, &mut told).await?,
            None => None,
        };
        let since = clock::boot_clock();
        if let Some(object) = write(&kubectl, claim, before.as_ref(), &me).await? {
            if let Some(gone) = before.as_ref().and_then(LeaseObject::holder) {
                notice(Notice::TakenOver(&gone));
            }
            return Ok(Lease::held(kubectl, path(claim), me, object, claim.folder.join(fence::FILE), since));
        }
    }
    Err(LeaseError::Busy)
}

/// Its name.
pub fn name(platform: &str, environment: &str) -> String {
    format!("platctl-{platform}-{environment}")
}

fn collection(claim: &Claim<'_>) -> String {
    format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", claim.namespace)
}

fn path(claim: &Claim<'_>) -> String {
    format!("{}/{}", collection(claim), name(claim.platform, claim.environment))
}

async fn get(kubectl: &Kubectl, claim: &Claim<'_>) -> Result<Option<LeaseObject>, LeaseError> {
    let path = path(claim);
    let found = kubectl.object(&path).await.map_err(|e| LeaseError::Call("read the environment's Lease", e))?;
    let read = |text: String| LeaseObject::read(&text).map_err(|reason| LeaseError::Unreadable(path, reason));
    found.map(read).transpose()
}

/// The lease as it may be replaced; none when it must be looked at again.
async fn settled(
    kubectl: &Kubectl,
    claim: &Claim<'_>,
    mut found: LeaseObject,
    notice: &(dyn Fn(Notice<'_>) + Send + Sync),
    told: &mut bool,
) -> Result<Option<LeaseObject>, LeaseError> {
    loop {
        let Some(holder) = found.holder() else { return Ok(Some(found)) };
        let children = children(claim, &holder);
        let alive = |process: &Process| process.is_alive();
        match standing(&holder, &Host::here(), &alive, !children.is_empty()) {
            Standing::AtWork => return Err(LeaseError::Held(Box::new(holder), found.since())),
            Standing::Gone => return Ok(Some(found)),
            Standing::Orphans => {
                if !*told {
                    notice(Notice::Orphans(&holder, &children));
                    *told = true;
                }
                pause(claim, LOOK_AGAIN.0).await?;
            }
            Standing::Elsewhere => return watched(kubectl, claim, found, &holder, notice).await,
        }
        // Somebody else may have been quicker.
        match get(kubectl, claim).await? {
            Some(now) => found = now,
            None => return Ok(None),
        }
    }
}

/// The releases on which helms of a holder on this host are at work: what its journal names, and every helm whose
/// command line has its run.
fn children(claim: &Claim<'_>, holder: &Holder) -> Vec<String> {
    let mut found: Vec<String> = tools::with_label(&format!("{}={}", label::RUN, holder.run)).into_iter().collect();
    let file = claim.runs.join(format!("run-{}", holder.run)).join(super::journal::FILE);
    let journal = std::fs::read_to_string(file).ok().and_then(|text| Journal::read(&holder.run, &text).ok());
    for entry in journal.iter().flat_map(|journal| &journal.releases) {
        if entry.process().is_some_and(|process| process.is_alive()) && !found.contains(&entry.release) {
            found.push(entry.release.clone());
        }
    }
    found
}

async fn pause(claim: &Claim<'_>, time: Duration) -> Result<(), LeaseError> {
    tokio::select! {
        () = tokio::time::sleep(time) => Ok(()),
        () = claim.interrupt.wait() => Err(LeaseError::Interrupted),
    }
}

/// Watches the lease of another host: whether it stands still for longer than its term, and after that until no helm of
/// its holder can be at work any more. What clocks say is not asked, only what was seen from here.
async fn watched(
    kubectl: &Kubectl,
    claim: &Claim<'_>,
    found: LeaseObject,
    holder: &Holder,
    notice: &(dyn Fn(Notice<'_>) + Send + Sync),
) -> Result<Option<LeaseObject>, LeaseError> {
    notice(Notice::Watching(holder));
    let begun = Instant::now();
    let mut at_most = None;
    loop {
        pause(claim, LOOK_AGAIN.1).await?;
        let Some(now) = get(kubectl, claim).await? else { return Ok(None) };
        if !now.is_same_as(&found) {
            let Some(holder) = now.holder() else { return Ok(Some(now)) };
            return Err(LeaseError::Held(Box::new(holder), now.since()));
        }
        if begun.elapsed() <= found.term() {
            continue;
        }
        let pending = pending(kubectl, claim).await?;
        if pending.is_empty() {
            return Ok(Some(now));
        }
        let limit = match at_most {
            Some(limit) => limit,
            None => {
                let limit = found.term() + longest(kubectl, claim, holder).await;
                notice(Notice::MayWork(holder, &pending, limit.saturating_sub(begun.elapsed())));
                *at_most.insert(limit)
            }
        };
        if begun.elapsed() > limit {
            return Ok(Some(now));
        }
    }
}

/// The platform's releases that are in the middle of an operation.
async fn pending(kubectl: &Kubectl, claim: &Claim<'_>) -> Result<Vec<String>, LeaseError> {
    let table = kubectl.release_records_of(claim.namespaces).await;
    let table = table.map_err(|e| LeaseError::Call("list helm's releases", e))?;
    Ok(judge::pending(&Observation::parse(&table), claim.platform, claim.environment))
}

/// How long a helm of this holder may be at work at most.
async fn longest(kubectl: &Kubectl, claim: &Claim<'_>, holder: &Holder) -> Duration {
    match super::journal::published(kubectl, claim.namespace, &holder.run).await {
        Ok(Some(journal)) => judge::longest(&journal),
        Ok(None) | Err(_) => UNKNOWN,
    }
}

/// Writes the lease with a new holder; none when somebody else was first.
async fn write(
    kubectl: &Kubectl,
    claim: &Claim<'_>,
    before: Option<&LeaseObject>,
    me: &Holder,
) -> Result<Option<String>, LeaseError> {
    let failed = |error| LeaseError::Call("take the environment's Lease", error);
    let labels = super::journal::labels(claim.platform, claim.environment);
    let name = name(claim.platform, claim.environment);
    let object = LeaseObject::taken(before, &name, claim.namespace, labels, me);
    let written = match before {
        Some(_) => kubectl.replace(&path(claim), &object).await.map_err(failed)?,
        None => match kubectl.create(&collection(claim), &object).await.map_err(failed)? {
            Write::Absent => {
                make_namespace(kubectl, claim.namespace).await?;
                kubectl.create(&collection(claim), &object).await.map_err(failed)?
            }
            written => written,
        },
    };
    Ok(match written {
        Write::Done(object) => Some(object),
        Write::Conflict | Write::Absent => None,
    })
}

async fn make_namespace(kubectl: &Kubectl, name: &str) -> Result<(), LeaseError> {
    let labels = serde_json::json!({"app.kubernetes.io/managed-by": "platctl"});
    let object =
        serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    let made = kubectl.create("/api/v1/namespaces", &object.to_string()).await;
    made.map(|_| ()).map_err(|e| LeaseError::Call("make the namespace of platctl's own state", e))
}
