//! `platctl status`: what is installed, beside what is declared.

use serde::Serialize;

use super::installation::Installation;
use super::records;
use super::workspace::Workspace;
use super::{API_VERSION, Context, Format};
use crate::plan::{Action, Desired, Observation, Plan, Step, label};
use crate::ui::failure::Failures;
use crate::ui::table;

/// Flags of `status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Output format
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

/// One release as it is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    release: String,
    tier: String,
    namespace: String,
    status: String,
    revision: Option<u64>,
    chart_version: Option<String>,
    /// It is what the definition says.
    current: bool,
    run: Option<String>,
}

/// Runs the verb.
///
/// # Errors
/// [`Failures`].
pub async fn run(context: &Context, args: Args) -> Result<u8, Failures> {
    let workspace = Workspace::open(context)?;
    let installation = Installation::new(&workspace, workspace.definition(context)?)?;
    let desired: Vec<Desired> = installation.desired(&workspace, &context.global.selector()?)?;
    let kubectl = workspace.kubectl(context, &installation.definition.environment).await?;
    let observed = records::observe(context, &kubectl, &installation.definition).await?;
    let plan = Plan::build(&installation.definition, &desired, &observed);
    let rows: Vec<Row> = plan.tiers.iter().flat_map(|t| t.steps.iter().map(|s| row(&t.name, s, &observed))).collect();
    let text = match args.output {
        Format::Text => text(&rows),
        Format::Json => {
            let environment = &installation.definition.environment.name;
            let json = serde_json::json!({"apiVersion": API_VERSION, "environment": environment, "releases": rows});
            format!("{json:#}\n")
        }
    };
    context.ui.result(&text)?;
    for name in &plan.undeclared {
        context.ui.warn(format!("{name} is installed, but no longer declared"));
    }
    for name in &plan.switched_off {
        context.ui.warn(format!("{name} is installed, but switched off"));
    }
    Ok(0)
}

fn row(tier: &str, step: &Step, observed: &Observation) -> Row {
    let found = observed.get(&step.namespace, &step.release);
    let text = |key: &str| found.and_then(|o| o.label(key)).map(str::to_owned);
    Row {
        release: step.release.clone(),
        tier: tier.to_owned(),
        namespace: step.namespace.clone(),
        status: found.map_or("not installed".to_owned(), |o| o.status.clone()),
        revision: found.map(|o| o.revision),
        chart_version: text(label::CHART_VERSION),
        current: step.action == Action::Unchanged,
        run: text(label::RUN),
    }
}

fn text(rows: &[Row]) -> String {
    let cells = |row: &Row| {
        let revision = row.revision.map_or("-".to_owned(), |r| r.to_string());
        let version = row.chart_version.clone().unwrap_or("-".to_owned());
        let current = if row.current { "yes" } else { "no" };
        vec![
            row.release.clone(),
            row.tier.clone(),
            row.namespace.clone(),
            row.status.clone(),
            revision,
            version,
            current.to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    table(&["RELEASE", "TIER", "NAMESPACE", "STATUS", "REVISION", "CHART", "CURRENT"], &rows)
}
