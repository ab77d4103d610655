//! The one loop that changes a cluster: tiers in order, needs inside a tier, bounded concurrency. It does what the
//! plan says and decides nothing; it tells what happens as events.

mod backwards;
mod budget;
mod failed;
mod hooks;
mod own_secrets;
mod readiness;
mod recreation;
mod release;
mod retry;
mod settle;
mod watched;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::plan::{Action, Plan, Step};
use crate::run::journal::State;
use crate::run::lease::Fence;
use crate::run::{Stop, Undertaking};
use crate::tools::{Helm, Kubectl};

pub use backwards::{BackCause, BackError, BackEvent, BackReport, BackWork, backwards};
pub use budget::Budget;
use budget::{Crew, Place, Turn};

pub use failed::{Cause, ReleaseError};
pub use hooks::Scripts;
pub use readiness::{Reason, Unready, workloads};
pub use recreation::Recreation;
pub use release::only_helm_conflicts;
use retry::Patience;
pub use settle::{UnlockError, at_most, unlock};

/// How many releases that fail in the same way end a run: what is wrong then is not theirs.
const SAME_FAILURES: usize = 3;

/// What is needed to do one release's step. It can't be printed: secrets are in it.
#[derive(Clone)]
pub struct Work {
    /// The chart's archive.
    pub chart: PathBuf,
    /// The values, as JSON, with secrets in the clear: for helm's standard input alone.
    pub values: Zeroizing<Vec<u8>>,
    /// Its Kubernetes Secrets, in the clear too: for kubectl's standard input alone.
    pub secrets: Option<Zeroizing<String>>,
    /// Labels of helm's record.
    pub labels: Vec<(String, String)>,
    /// Objects that others made become the release's.
    pub take_ownership: bool,
    /// Fields that others set become what they should be.
    pub force_conflicts: bool,
    /// Wait until it is ready.
    pub wait: bool,
    /// How long at most.
    pub timeout: Duration,
    /// The longest that one helm may be at work on it, hooks included.
    pub at_most: Duration,
    /// What keeps helm from writing when another run has the lease.
    pub fence: Fence,
    /// The post-renderer's task.
    pub task: PathBuf,
    /// Where the post-renderer leaves what it refused.
    pub findings: PathBuf,
    /// What it runs, hooks left out: asked about when helm gives up without naming anything.
    pub runs: Vec<Unready>,
    /// Objects that are made anew, because a field of theirs never changes.
    pub recreate: Vec<Recreation>,
    /// Programs around it.
    pub hooks: Scripts,
    /// The label of its record, and its value, that say that everything is done, what follows helm too. None, when helm
    /// itself can say so, because nothing follows.
    pub finish: Option<(String, String)>,
    /// What follows its tier says so, and not what follows itself.
    pub finish_with_tier: bool,
    /// What helm keeps of a failed first install is forgotten before the next try, because an upgrade, which helm would make
    /// of it, leaves out hooks that are for the installation alone.
    pub forget: bool,
    /// Resource definitions of its `crds/` folders: names and text.
    pub crds: Option<(Vec<String>, String)>,
}

/// The tools and how many releases they work on at once.
#[derive(Clone, Copy)]
pub struct Hands<'a> {
    /// helm.
    pub helm: &'a Helm,
    /// kubectl.
    pub kubectl: &'a Kubectl,
    /// The run's lease and journal.
    pub run: &'a Undertaking,
    /// How many helms at once.
    pub budget: &'a Budget,
    /// Begin nothing more after the first failure.
    pub fail_fast: bool,
}

/// Something that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// A tier with something to do begins.
    Tier(&'a str),
    /// A release begins.
    Started(&'a Step),
    /// A release is done.
    Done(&'a Step, Duration),
    /// A release failed.
    Failed(&'a Step, Duration),
    /// A release waits for long, and why: a line each, the first for the object.
    Waits(&'a Step, Duration, &'a [String]),
    /// A program of the definition ran; this is the end of its output.
    Ran(&'a str, String),
    /// Something is tried again, for the reason that is given.
    Again(&'a str, String),
    /// A release is left out because one that it needs failed.
    Skipped(&'a Step, &'a str),
}

/// How a run ended.
#[derive(Debug, Default)]
pub struct Report {
    /// Releases that were changed.
    pub done: Vec<String>,
    /// Releases that failed, with why.
    pub failed: Vec<ReleaseError>,
    /// Releases that were not reached.
    pub skipped: Vec<String>,
    /// The user asked to stop.
    pub interrupted: bool,
    /// The run had to stop.
    pub stop: Option<Stop>,
    /// Why nothing more was begun after a failure.
    pub ended: Option<Ended>,
}

/// Why a run begins nothing more after a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// That is what was asked for.
    FailFast,
    /// These releases failed in the same way.
    Same(Vec<String>),
}

impl Report {
    fn fail(&mut self, error: ReleaseError, hands: Hands<'_>) {
        self.failed.push(error);
        if hands.fail_fast {
            self.ended = Some(Ended::FailFast);
        } else if self.ended.is_none() && hands.may_begin() {
            self.ended = failed::same(&self.failed, SAME_FAILURES).map(Ended::Same);
        }
    }
}

impl Hands<'_> {
    /// Whether anything more may be begun.
    fn may_begin(&self) -> bool {
        !self.helm.interrupt.said() && self.run.stop().is_none()
    }
}

/// Does what a plan says.
pub async fn run(
    plan: &Plan,
    namespaces: &BTreeMap<String, BTreeMap<String, String>>,
    work: &BTreeMap<String, Work>,
    tiers: &BTreeMap<String, Scripts>,
    hands: Hands<'_>,
    events: &(dyn Fn(Event<'_>) + Send + Sync),
) -> Report {
    let mut report = Report::default();
    // All at once: each call of kubectl has the API server describe all its types.
    let wanted: BTreeSet<&str> = plan.changes().map(|step| step.namespace.as_str()).collect();
    let mut patience = Patience::of(Duration::MAX, &hands.helm.interrupt);
    let say = |why| events(Event::Again("the namespaces", why));
    if let Err(cause) = release::ensure_namespaces(hands.kubectl, &wanted, namespaces, &mut patience, &say).await {
        report.failed.push(ReleaseError { tries: patience.tries, ..cause.of("the namespaces", "") });
        report.skipped.extend(plan.changes().map(|step| step.release.clone()));
        report.interrupted = hands.helm.interrupt.said();
        return report;
    }
    let mut stopped = false;
    for tier in &plan.tiers {
        let changes: Vec<&Step> = tier.steps.iter().filter(|step| step.action != Action::Unchanged).collect();
        if changes.is_empty() {
            continue;
        }
        if stopped || report.ended.is_some() || !hands.may_begin() {
            report.skipped.extend(changes.iter().map(|step| step.release.clone()));
            continue;
        }
        events(Event::Tier(&tier.name));
        let scripts = tiers.get(&tier.name).cloned().unwrap_or_default();
        match hooks::run(&scripts.before, hands, events).await {
            Ok(()) => run_tier(&changes, work, hands, events, &mut report).await,
            Err(error) => {
                report.fail(Cause::Hook(error).of(&format!("tier {}", tier.name), ""), hands);
                report.skipped.extend(changes.iter().map(|step| step.release.clone()));
            }
        }
        if !changes.iter().all(|step| report.done.contains(&step.release)) {
            stopped |= tier.gate;
            continue;
        }
        if let Err(error) = finish_tier(&scripts, &changes, work, hands, events).await {
            report.fail(error.of(&format!("tier {}", tier.name), ""), hands);
            stopped |= tier.gate;
        }
    }
    report.interrupted = hands.helm.interrupt.said();
    report.stop = hands.run.stop();
    report
}

/// What follows a tier whose releases are all done; only then are those done that it has a part in.
async fn finish_tier(
    scripts: &Scripts,
    changes: &[&Step],
    work: &BTreeMap<String, Work>,
    hands: Hands<'_>,
    events: &(dyn Fn(Event<'_>) + Send + Sync),
) -> Result<(), Cause> {
    if scripts.after.is_empty() {
        return Ok(());
    }
    hooks::run(&scripts.after, hands, events).await.map_err(Cause::Hook)?;
    for step in changes {
        release::finish(step, &work[&step.release], hands).await?;
    }
    Ok(())
}

/// One step, in the journal from its beginning to its end.
async fn undertaken(
    step: &Step,
    work: &Work,
    hands: Hands<'_>,
    place: &Place<'_>,
    events: &(dyn Fn(Event<'_>) + Send + Sync),
) -> Result<(), ReleaseError> {
    let Step { release, namespace, .. } = step;
    let result = match hands.run.begins(release, namespace, work.at_most).await {
        Ok(()) => release::apply(step, work, hands, place, events).await,
        Err(why) => Err(Cause::from(why).of(release, namespace)),
    };
    let state = match &result {
        Ok(()) => State::Done,
        Err(ReleaseError { cause: Cause::Stopped(_), .. }) => State::Waiting,
        Err(_) => State::Failed,
    };
    hands.run.is_now(release, namespace, state).await;
    result
}

async fn run_tier<'p>(
    changes: &[&'p Step],
    work: &BTreeMap<String, Work>,
    hands: Hands<'_>,
    events: &(dyn Fn(Event<'_>) + Send + Sync),
    report: &mut Report,
) {
    let mut waiting: Vec<&Step> = changes.to_vec();
    let mut crew = Crew::of(hands.budget);
    loop {
        skip_hopeless(&mut waiting, report, events);
        while crew.has_room() && report.ended.is_none() && hands.may_begin() {
            let Some(next) = waiting.iter().position(|step| is_ready(step, changes, report)) else { break };
            let step = waiting.remove(next);
            events(Event::Started(step));
            crew.begin(|place| async move {
                let begun = Instant::now();
                let result = undertaken(step, &work[&step.release], hands, &place, events).await;
                (step, result, begun.elapsed())
            });
        }
        let (step, result, elapsed) = match crew.turn().await {
            Turn::Ended(ended) => ended,
            Turn::Room => continue,
            Turn::Idle => break,
        };
        match result {
            Ok(()) => {
                events(Event::Done(step, elapsed));
                report.done.push(step.release.clone());
            }
            Err(ReleaseError { cause: Cause::Stopped(_), release, .. }) => report.skipped.push(release),
            Err(error) => {
                events(Event::Failed(step, elapsed));
                report.fail(error, hands);
            }
        }
    }
    report.skipped.extend(waiting.iter().map(|step| step.release.clone()));
}

/// Whether everything a step needs of its own tier's changes is done.
fn is_ready(step: &Step, changes: &[&Step], report: &Report) -> bool {
    let open = |need: &String| changes.iter().any(|other| other.release == *need) && !report.done.contains(need);
    !step.needs.iter().any(open)
}

/// Takes out steps whose needs failed, and those that need these.
fn skip_hopeless(waiting: &mut Vec<&Step>, report: &mut Report, events: &(dyn Fn(Event<'_>) + Send + Sync)) {
    loop {
        let lost = |need: &&String| {
            report.failed.iter().any(|failed| failed.release == **need) || report.skipped.contains(*need)
        };
        let hopeless =
            waiting.iter().enumerate().find_map(|(i, step)| Some((i, step.needs.iter().find(lost)?.clone())));
        let Some((index, need)) = hopeless else { return };
        let step = waiting.remove(index);
        events(Event::Skipped(step, &need));
        report.skipped.push(step.release.clone());
    }
}
