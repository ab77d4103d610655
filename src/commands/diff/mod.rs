//! `platctl diff`: what differs between two states of an environment, for people, for a pull request, for programs. Reads
//! alone; the comparison itself is `crate::diff`'s.

mod base;
mod bounded;
pub(super) mod cluster;
mod declared;
mod field;
mod hidden;
mod live;
mod markdown;
mod names;
mod owned;
mod release;
mod rows;
mod side;
mod stored;
mod text;

use serde_json::Value as Json;

use super::workspace::Workspace;
use super::{API_VERSION, Context, Rendering};
use crate::diff::Report;
use crate::ui::failure::{Failure, Failures, exit};
use base::Base;
use names::Names;
use side::Side;

/// Flags of `diff`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to compare with: git:REVISION, env:NAME or bundle:FILE, which need no cluster [default: what helm stored of each
    /// release]
    #[arg(value_name = "BASE", value_parser = Base::parse)]
    base: Option<Base>,
    /// Compare with the objects in the cluster, as the API server would change them; hooks are left out
    #[arg(long, conflicts_with = "base")]
    live: bool,
    /// Output format
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Output,
    /// End with 2 when something differs
    #[arg(long)]
    detailed_exitcode: bool,
    /// Lines around a change inside a text
    #[arg(short = 'U', long, default_value_t = 3, value_name = "LINES")]
    unified: usize,
    #[command(flatten)]
    rendering: Rendering,
}

/// How a comparison is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum Output {
    /// For people.
    #[default]
    Text,
    /// For a comment on a pull request.
    Markdown,
    /// For programs.
    Json,
}

/// What was compared, what of it could not be, and how images are called.
struct Outcome {
    report: Report,
    failures: Vec<Failure>,
    names: Names,
}

/// Exit status when something differs, where it is asked for.
const DIFFERS: u8 = 2;

/// Runs the verb.
///
/// # Errors
/// [`Failures`]; releases that can be compared are shown before them.
pub async fn run(context: &Context, args: Args) -> Result<u8, Failures> {
    let workspace = Workspace::open(context)?.rendering(&args.rendering);
    let new = Side::of(workspace, context, None)?;
    let asked = Asked { all: args.rendering.no_cache, unified: args.unified };
    let outcome = match (&args.base, args.live) {
        (None, false) => stored::compare(context, &new, asked).await?,
        (None, true) => live::compare(context, &new, asked).await?,
        (Some(base), _) => declared::compare(context, &new, base, &args.rendering, asked).await?,
    };
    let Outcome { report, failures, names } = outcome;
    let result = match args.output {
        Output::Text => text::text(&report, &names, &context.ui),
        Output::Markdown => markdown::markdown(&report, &names),
        Output::Json => json(&report),
    };
    context.ui.result(&result)?;
    if !failures.is_empty() {
        return Err(Failures::new(failures).exit(exit::FAILED));
    }
    Ok(if args.detailed_exitcode && report.has_changes() { DIFFERS } else { 0 })
}

/// How thoroughly to look.
#[derive(Debug, Clone, Copy)]
struct Asked {
    /// At releases that can't have changed, too.
    all: bool,
    /// Lines around a change inside a text.
    unified: usize,
}

fn json(report: &Report) -> String {
    let mut json = serde_json::to_value(report).unwrap_or_default();
    if let Some(map) = json.as_object_mut() {
        map.insert("apiVersion".to_owned(), API_VERSION.into());
        map.insert("changed".to_owned(), Json::from(report.has_changes()));
    }
    format!("{json:#}\n")
}
