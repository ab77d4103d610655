//! `platctl history`: the runs of an environment, or the revisions of releases.

use serde::Serialize;

use super::workspace::Workspace;
use super::{API_VERSION, Context, Format, records};
use crate::plan::Revisions;
use crate::run::journal::Outcome;
use crate::run::{Run, chronicle};
use crate::ui::failure::{self, Failures};
use crate::ui::{duration, table};

/// Flags of `history`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show the revisions of this release; -l shows those of several
    release: Option<String>,
    /// Output format
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

/// One revision of a release, as it is shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    release: &'a str,
    namespace: &'a str,
    revision: u64,
    status: &'a str,
    chart_version: Option<&'a str>,
    run: Option<&'a str>,
}

/// Runs the verb.
///
/// # Errors
/// [`Failures`].
pub async fn run(context: &Context, args: Args) -> Result<u8, Failures> {
    let workspace = Workspace::open(context)?;
    let definition = workspace.definition_without_secrets(context)?;
    let mut selector = context.global.selector()?;
    if let Some(name) = &args.release {
        selector = selector.and_name(name);
    }
    let kubectl = workspace.kubectl(context, &definition.environment).await?;
    let found = records::table(context, &kubectl, &definition).await?;
    let revisions = Revisions::parse(&found, &definition);
    let environment = &definition.environment.name;
    if !selector.is_all() {
        let revisions = revisions.selected(&selector);
        if revisions.releases.is_empty() {
            return Err(failure::nothing_selected(&definition));
        }
        let rows = rows(&revisions);
        let json = serde_json::json!({"environment": environment, "revisions": rows});
        return show(context, args.output, || of_releases(&rows), json);
    }
    let journals = records::journals(context, &kubectl, &definition).await?;
    let current: Vec<&str> = revisions.current().into_iter().collect();
    let runs = chronicle(journals, revisions.runs(), &current);
    let json = serde_json::json!({"environment": environment, "runs": runs});
    show(context, args.output, || of_runs(&runs), json)
}

fn show(
    context: &Context,
    format: Format,
    text: impl FnOnce() -> String,
    mut json: serde_json::Value,
) -> Result<u8, Failures> {
    match format {
        Format::Text => context.ui.result(&text())?,
        Format::Json => {
            json["apiVersion"] = API_VERSION.into();
            context.ui.result(&format!("{json:#}\n"))?;
        }
    }
    Ok(0)
}

fn of_runs(runs: &[Run]) -> String {
    if runs.is_empty() {
        return "no run is known\n".to_owned();
    }
    let unknown = || "-".to_owned();
    let cells = |(at, run): (usize, &Run)| {
        let releases: Vec<String> = run.releases.iter().map(|(what, n)| format!("{n} {what}")).collect();
        let outcome = match run.outcome {
            // Of one environment there is one run at a time.
            Some(Outcome::Running) if at > 0 => "killed".to_owned(),
            Some(Outcome::Running) => "running, or killed".to_owned(),
            Some(Outcome::Done) => "done".to_owned(),
            Some(Outcome::Failed) if run.failed == 0 => "failed".to_owned(),
            Some(Outcome::Failed) => format!("failed, {} not done", run.failed),
            Some(Outcome::Interrupted) => format!("interrupted, {} not done", run.failed),
            None => unknown(),
        };
        vec![
            run.run.clone(),
            run.began
                .as_deref()
                .map_or_else(unknown, |began| began.chars().take(19).collect::<String>().replace('T', " ")),
            run.verb.clone().unwrap_or_else(unknown),
            outcome,
            if releases.is_empty() { unknown() } else { releases.join(", ") },
            run.seconds.map_or_else(unknown, took),
            run.host.clone().unwrap_or_else(unknown),
            if run.current { "yes".to_owned() } else { "no".to_owned() },
        ]
    };
    table(
        &["RUN", "BEGAN (UTC)", "VERB", "OUTCOME", "RELEASES", "TOOK", "HOST", "CURRENT"],
        &runs.iter().enumerate().map(cells).collect::<Vec<_>>(),
    )
}

/// Journals have whole seconds.
fn took(seconds: u64) -> String {
    match seconds {
        0 => "<1s".to_owned(),
        1..60 => format!("{seconds}s"),
        _ => duration(std::time::Duration::from_secs(seconds)),
    }
}

/// The newest revision of each release first.
fn rows(revisions: &Revisions) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for ((namespace, release), all) in &revisions.releases {
        rows.extend(all.iter().rev().map(|revision| Row {
            release,
            namespace,
            revision: revision.number,
            status: &revision.status,
            chart_version: revision.version.as_deref(),
            run: revision.run.as_deref(),
        }));
    }
    rows
}

fn of_releases(rows: &[Row<'_>]) -> String {
    let text = |value: Option<&str>| value.unwrap_or("-").to_owned();
    let cells = |row: &Row| {
        vec![
            row.release.to_owned(),
            row.namespace.to_owned(),
            row.revision.to_string(),
            row.status.to_owned(),
            text(row.chart_version),
            text(row.run),
        ]
    };
    table(&["RELEASE", "NAMESPACE", "REVISION", "STATUS", "CHART", "RUN"], &rows.iter().map(cells).collect::<Vec<_>>())
}
