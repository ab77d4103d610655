//! The loop that takes releases away or back: stages in reverse order of the tiers, in each a release only after those
//! that need it. Where something fails, what it stands on is left. It does what the plan says and decides nothing.

mod memory;
mod step;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::Hands;
use super::budget::{Crew, Turn};
use crate::plan::{BackStep, Deed, Stage};
use crate::run::Stop;

use step::Scene;
pub use step::{BackCause, BackError};

/// What is needed to do one release's step.
#[derive(Debug, Clone, Default)]
pub struct BackWork {
    /// Wait until it is ready again.
    pub wait: bool,
    /// How long at most.
    pub timeout: Duration,
    /// The longest that helm may be at work on it, hooks included.
    pub at_most: Duration,
    /// Secrets that were made for it and go with it.
    pub secrets: Vec<String>,
    /// Claims that go with it, because somebody named them.
    pub claims: Vec<String>,
}

/// Something that happened.
#[derive(Debug)]
pub enum BackEvent<'a> {
    /// A stage with something to do begins.
    Stage(&'a Stage),
    /// A release begins.
    Started(&'a BackStep),
    /// A release is done.
    Done(&'a BackStep, Duration),
    /// A release failed.
    Failed(&'a BackStep, Duration),
    /// A release waits for long, and why: a line each, the first for the object.
    Waits(&'a BackStep, Duration, &'a [String]),
    /// A release is left because of another one that stands on it.
    Left(&'a BackStep, &'a str),
}

/// How it ended. Releases are called `namespace/release`.
#[derive(Debug, Default)]
pub struct BackReport {
    /// Releases that were taken away or back.
    pub done: BTreeSet<String>,
    /// Releases that failed, with why.
    pub failed: Vec<BackError>,
    /// Releases that were not reached.
    pub left: Vec<String>,
    /// The user asked to stop.
    pub interrupted: bool,
    /// The run had to stop.
    pub stop: Option<Stop>,
}

/// Does what stages say.
pub async fn backwards(
    stages: &[Stage],
    work: &BTreeMap<String, BackWork>,
    hands: Hands<'_>,
    events: &(dyn Fn(BackEvent<'_>) + Send + Sync),
) -> BackReport {
    let mut report = BackReport::default();
    // Releases that are not what they should be, with the names of what they need.
    let mut standing: Vec<&BackStep> = Vec::new();
    for stage in stages {
        let mut waiting: Vec<&BackStep> = stage.steps.iter().filter(|step| step.deed != Deed::Unchanged).collect();
        if waiting.is_empty() {
            continue;
        }
        let above = standing.first().filter(|_| stage.gate).map(|step| step.release.clone());
        if let Some(above) = above {
            for step in waiting {
                events(BackEvent::Left(step, &above));
                report.left.push(step.id());
                standing.push(step);
            }
            continue;
        }
        if !hands.may_begin() {
            report.left.extend(waiting.iter().map(|step| step.id()));
            continue;
        }
        events(BackEvent::Stage(stage));
        go_through(&mut waiting, &mut standing, work, hands, events, &mut report).await;
    }
    report.interrupted = hands.helm.interrupt.said();
    report.stop = hands.run.stop();
    report
}

#[allow(clippy::too_many_arguments)]
async fn go_through<'p>(
    waiting: &mut Vec<&'p BackStep>,
    standing: &mut Vec<&'p BackStep>,
    work: &BTreeMap<String, BackWork>,
    hands: Hands<'_>,
    events: &(dyn Fn(BackEvent<'_>) + Send + Sync),
    report: &mut BackReport,
) {
    let all = waiting.clone();
    let nothing = BackWork::default();
    let mut crew = Crew::of(hands.budget);
    loop {
        leave_needed(waiting, standing, report, events);
        while crew.has_room() && hands.may_begin() {
            let Some(next) = waiting.iter().position(|step| is_free(step, &all, report)) else { break };
            let step = waiting.remove(next);
            events(BackEvent::Started(step));
            let work = work.get(&step.id()).unwrap_or(&nothing);
            crew.begin(|place| async move {
                let begun = Instant::now();
                let waits = |since, why: &[String]| events(BackEvent::Waits(step, since, why));
                let result = step::go(step, work, hands, Scene { place: &place, waits: &waits }).await;
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
                events(BackEvent::Done(step, elapsed));
                report.done.insert(step.id());
            }
            Err(error) => {
                events(BackEvent::Failed(step, elapsed));
                report.failed.push(error);
                standing.push(step);
            }
        }
    }
    report.left.extend(waiting.iter().map(|step| step.id()));
}

/// Whether everything of its stage that needs it is done.
fn is_free(step: &BackStep, all: &[&BackStep], report: &BackReport) -> bool {
    !all.iter().any(|other| needs(other, step) && !report.done.contains(&other.id()))
}

fn needs(other: &BackStep, step: &BackStep) -> bool {
    other.id() != step.id() && other.needs.contains(&step.release)
}

/// Takes out what releases still stand on.
fn leave_needed<'p>(
    waiting: &mut Vec<&'p BackStep>,
    standing: &mut Vec<&'p BackStep>,
    report: &mut BackReport,
    events: &(dyn Fn(BackEvent<'_>) + Send + Sync),
) {
    loop {
        let needed = |step: &BackStep| standing.iter().find(|other| needs(other, step)).copied();
        let found = waiting.iter().enumerate().find_map(|(index, step)| Some((index, needed(step)?)));
        let Some((index, by)) = found else { return };
        let step = waiting.remove(index);
        events(BackEvent::Left(step, &by.release));
        report.left.push(step.id());
        standing.push(step);
    }
}
