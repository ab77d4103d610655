//! What is told of releases that are taken away or back: what would be done, what happens, what stays, how it ended.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::execute::{BackEvent, BackReport};
use crate::plan::{BackStep, Claim, Deed, Keeps, Reason, Stage};
use crate::ui::failure::{self, Code, Failure, Failures, Kind, exit};
use crate::ui::{Ui, duration};

/// What is done with a release, with its versions.
fn deed(step: &BackStep) -> String {
    let version = step.version.as_deref().unwrap_or("-");
    let stuck = match step.status.as_str() {
        "deployed" => String::new(),
        status => format!(", helm left it in `{status}`"),
    };
    match &step.deed {
        Deed::Remove { because: Reason::Undeclared } => format!("remove  {version}, no longer declared{stuck}"),
        Deed::Remove { because: Reason::SwitchedOff } => format!("remove  {version}, switched off{stuck}"),
        Deed::Remove { because: Reason::Asked } => format!("remove  {version}{stuck}"),
        Deed::RollBack { to, version: Some(other), .. } if other != version => {
            format!("rollback  {version} → {other}, revision {to}{stuck}")
        }
        Deed::RollBack { to, .. } => format!("rollback  {version}, revision {to}{stuck}"),
        Deed::Unchanged => format!("unchanged  {version}"),
    }
}

/// Stages as a screen, a line each release.
pub fn list(stages: &[Stage]) -> String {
    let mut text = String::new();
    for stage in stages {
        text.push_str(&format!("{}\n", tier(stage)));
        for step in &stage.steps {
            text.push_str(&format!("  {:<24}  {}\n", step.release, deed(step)));
        }
    }
    text
}

fn tier(stage: &Stage) -> &str {
    stage.tier.as_deref().unwrap_or("(of no tier)")
}

/// What a release waits for by now.
pub fn waits(ui: &Ui, release: &str, since: Duration, why: &[String]) {
    let first = why.first().map_or("helm does not say for what", String::as_str);
    ui.line(format!("  … {release:<22}  waits for {}: {first}", duration(since)));
    why.iter().skip(1).for_each(|line| ui.line(format!("    {:<22}    {line}", "")));
}

/// One event, a line.
pub fn draw(ui: &Ui, event: &BackEvent) {
    let line = |mark: String, step: &BackStep, elapsed: &Duration| {
        ui.line(format!("  {mark} {:<22}  {}  {}", step.release, deed(step), duration(*elapsed)));
    };
    match event {
        BackEvent::Stage(stage) => {
            let removes = stage.steps.iter().any(|step| matches!(step.deed, Deed::Remove { .. }));
            let heading = if removes { "Removing" } else { "Rolling back" };
            ui.line(format!("{} {}", ui.style.heading(heading), tier(stage)));
        }
        BackEvent::Started(step) => ui.detail("Starting", step.id()),
        BackEvent::Done(step, elapsed) => line(ui.style.good("✔"), step, elapsed),
        BackEvent::Failed(step, elapsed) => line(ui.style.bad("✘"), step, elapsed),
        BackEvent::Waits(step, since, why) => waits(ui, &step.release, *since, why),
        BackEvent::Left(step, by) => ui.line(format!("  - {:<22}  left: {by} stands on it", step.release)),
    }
}

/// What outlives releases, a line each, and what goes with its owner all the same.
pub fn fates(keeps: &Keeps, deleted: &dyn Fn(&Claim) -> bool) -> Vec<String> {
    let mut lines = Vec::new();
    for claim in &keeps.claims {
        let Claim { namespace, name, size, release, owner } = claim;
        let size = size.as_deref().map(|size| format!(", {size}")).unwrap_or_default();
        let title = format!("PersistentVolumeClaim {namespace}/{name} of {release}{size}");
        lines.push(match (deleted(claim), owner) {
            (true, _) => format!("goes   {title}"),
            (false, Some(owner)) => format!("goes   {title}, because {owner} owns it"),
            (false, None) => format!("stays  {title}"),
        });
    }
    lines.extend(keeps.definitions.iter().map(|name| format!("stays  CustomResourceDefinition {name}")));
    lines.extend(keeps.namespaces.iter().map(|name| format!("stays  Namespace {name}")));
    lines
}

/// The commands that delete what was kept.
pub fn cleanup(keeps: &Keeps, deleted: &dyn Fn(&Claim) -> bool) -> Vec<String> {
    let mut claims: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for claim in keeps.claims.iter().filter(|claim| claim.owner.is_none() && !deleted(claim)) {
        claims.entry(&claim.namespace).or_default().push(&claim.name);
    }
    let mut lines: Vec<String> = claims
        .iter()
        .map(|(namespace, names)| {
            format!("kubectl delete persistentvolumeclaim --namespace {namespace} {}", names.join(" "))
        })
        .collect();
    if !keeps.definitions.is_empty() {
        lines.push(format!(
            "kubectl delete customresourcedefinition {}   # with every object of theirs",
            keeps.definitions.join(" ")
        ));
    }
    lines
}

/// The failures of a run that did not do everything; none when it did.
pub fn conclude(report: &BackReport, steps: usize) -> Option<Failures> {
    let done = report.done.len();
    if report.failed.is_empty() && !report.interrupted && report.stop.is_none() && done == steps {
        return None;
    }
    let mut failures: Vec<Failure> = report.failed.iter().map(failure::backwards).collect();
    if report.interrupted && failures.is_empty() {
        failures.push(Failure::new(Code::Interrupted, Kind::Transient, "interrupted"));
    }
    failures.extend(report.stop.as_ref().map(failure::stopped));
    if let Some(last) = failures.last_mut() {
        if !report.left.is_empty() {
            last.help.push(format!("left as it is: {}", report.left.join(", ")));
        }
        last.help.push(format!("{done} of {steps} done; go on with the same command"));
    }
    let failures = Failures::new(failures);
    Some(if report.interrupted { failures.exit(exit::INTERRUPTED) } else { failures })
}
