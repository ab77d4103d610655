//! What apply tells: what it would do, what happens, and how it ended.

use std::time::Duration;

use crate::commands::foresight::Foresight;
use crate::commands::plan::action;
use crate::commands::{Context, backwards, claim};
use crate::definition::Definition;
use crate::execute::{Ended, Event, Report};
use crate::plan::{Action, Plan, Step};
use crate::ui::failure::{self, Code, Failure, Failures, Kind, exit};
use crate::ui::{Ui, duration};

/// What apply would do, a line each.
pub(super) fn show(ui: &Ui, plan: &Plan, foresight: &Foresight) {
    for tier in &plan.tiers {
        let changes: Vec<&Step> = tier.steps.iter().filter(|step| step.action != Action::Unchanged).collect();
        if !changes.is_empty() {
            ui.line(format!("Would apply {}", tier.name));
            for step in changes {
                ui.line(format!("    {:<24}  {}", step.release, action(step)));
                let more = claim::lines(plan, step).into_iter().chain(foresight.lines(&step.release));
                more.for_each(|line| ui.line(format!("    {:<24}    {line}", "")));
            }
        }
    }
    if !plan.removals.is_empty() {
        ui.line(format!("Would remove\n{}", backwards::list(&plan.removals).trim_end()));
    }
    let end = foresight.end(&ui.style);
    end.lines().for_each(|line| ui.line(line));
}

/// What is put back and taken over: nobody should have to guess what became of what they had set.
pub(super) fn taken(ui: &Ui, plan: &Plan) {
    for step in plan.steps() {
        claim::lines(plan, step).iter().for_each(|line| ui.line(format!("    {:<22}  {line}", step.release)));
    }
}

/// One event, a line.
pub(super) fn draw(ui: &Ui, event: &Event) {
    let line = |mark: String, step: &Step, elapsed: Option<Duration>| {
        let elapsed = elapsed.map(|e| format!("  {}", duration(e))).unwrap_or_default();
        ui.line(format!("  {mark} {:<22}  {}{elapsed}", step.release, action(step)));
    };
    match event {
        Event::Tier(name) => ui.line(format!("{} {name}", ui.style.heading("Applying"))),
        Event::Started(step) => ui.detail("Starting", &step.release),
        Event::Done(step, elapsed) => line(ui.style.good("✔"), step, Some(*elapsed)),
        Event::Failed(step, elapsed) => line(ui.style.bad("✘"), step, Some(*elapsed)),
        Event::Again(what, why) => ui.detail("Again", format!("{what}: {why}")),
        Event::Waits(step, since, why) => backwards::waits(ui, &step.release, *since, why),
        Event::Ran(name, output) => {
            ui.detail("Hook", *name);
            output.lines().for_each(|line| ui.detail("", format!("| {line}")));
        }
        Event::Skipped(step, need) => ui.line(format!("  - {:<22}  skipped: it needs {need}", step.release)),
    }
}

/// Says how it ended.
pub(super) fn conclude(
    context: &Context,
    definition: &Definition,
    plan: &Plan,
    report: &Report,
    elapsed: Duration,
) -> Result<u8, Failures> {
    let changes = plan.changes().count();
    let done = report.done.len();
    if report.failed.is_empty() && !report.interrupted && report.stop.is_none() && done == changes {
        context.ui.say("Applied", format!("{done} of {changes} in {}", duration(elapsed)));
        return Ok(0);
    }
    let mut failures: Vec<Failure> =
        report.failed.iter().flat_map(|error| failure::release(definition, error)).collect();
    if report.interrupted && failures.is_empty() {
        failures.push(Failure::new(Code::Interrupted, Kind::Transient, "interrupted"));
    }
    match &report.ended {
        Some(Ended::Same(releases)) => failures.push(failure::same(releases)),
        Some(Ended::FailFast) | None => {}
    }
    failures.extend(report.stop.as_ref().map(failure::stopped));
    if let Some(last) = failures.last_mut() {
        if !report.skipped.is_empty() {
            last.help.push(format!("not begun: {}", report.skipped.join(", ")));
        }
        last.help.push(format!("{done} of {changes} done; go on with the same command: what is done stays as it is"));
    }
    let failures = Failures::new(failures);
    Err(if report.interrupted { failures.exit(exit::INTERRUPTED) } else { failures })
}
