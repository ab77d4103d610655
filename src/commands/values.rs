//! `platctl values`: what an environment's values are, what a release's chart is given, and where each comes from. No
//! cluster, no network, no key.

use serde_json::{Value, json};

use super::workspace::Files;
use super::{API_VERSION, Context, Format};
use crate::definition::{Definition, Explanation, NoSuchPath, Path, Release, Setting, State};
use crate::plan::Selector;
use crate::ui::failure::{self, Code, Failure, Failures, Kind, exit};
use crate::yaml;

/// Flags of `values`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Say who set a value and whom they overrode: PATH is `mlflow.hosts[0]` or `labels."a.b"`
    #[arg(long, value_name = "PATH")]
    explain: Option<String>,
    /// How the result is written
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

/// Column at which the text of a setting begins, where its place is not longer.
const TEXT_AT: usize = 38;
/// Column at which the word about a setting begins.
const STATE_AT: usize = 68;
/// The longest value that is shown in an explanation.
const MAX_VALUE: usize = 120;

/// Runs the verb.
///
/// # Errors
/// [`Failures`].
pub fn run(context: &Context, args: &Args) -> Result<u8, Failures> {
    let definition = Files::open(context)?.definition(context)?;
    let selector = context.global.selector()?;
    let releases: Vec<&Release> = match context.global.selector {
        None => Vec::new(),
        Some(_) => selected(&definition, &selector)?,
    };
    let text = match &args.explain {
        None => values(&definition, &releases, context.global.selector.is_some(), args.output),
        Some(path) => explained(&definition, &releases, &parsed(path)?, args.output)?,
    };
    context.ui.result(&text)?;
    Ok(0)
}

fn selected<'d>(definition: &'d Definition, selector: &Selector) -> Result<Vec<&'d Release>, Failures> {
    let releases: Vec<&Release> = definition.releases.iter().filter(|r| selector.matches(definition, r)).collect();
    if releases.is_empty() {
        return Err(failure::nothing_selected(definition));
    }
    Ok(releases)
}

fn parsed(path: &str) -> Result<Path, Failures> {
    path.parse().map_err(|error| {
        let failure = Failure::caused(Code::Usage, Kind::Yours, &error);
        Failures::from(failure.help("write it as mlflow.hosts[0] or labels.\"a.b\"")).exit(exit::USAGE)
    })
}

fn values(definition: &Definition, releases: &[&Release], of_releases: bool, format: Format) -> String {
    let name = &definition.environment.name;
    match (format, of_releases) {
        (Format::Json, false) => line(
            &json!({ "apiVersion": API_VERSION, "environment": name, "values": definition.shown(&definition.values).to_json() }),
        ),
        (Format::Json, true) => {
            let one = |release: &&Release| json!({ "name": release.name, "values": definition.shown(&release.values).to_json() });
            let releases: Vec<Value> = releases.iter().map(one).collect();
            line(&json!({ "apiVersion": API_VERSION, "environment": name, "releases": releases }))
        }
        (Format::Text, false) => yaml::print(&definition.shown(&definition.values)),
        (Format::Text, true) if releases.len() == 1 => yaml::print(&definition.shown(&releases[0].values)),
        (Format::Text, true) => {
            let one = |release: &&Release| {
                format!("---\n# {}\n{}", release.name, yaml::print(&definition.shown(&release.values)))
            };
            releases.iter().map(one).collect()
        }
    }
}

fn explained(definition: &Definition, releases: &[&Release], path: &Path, format: Format) -> Result<String, Failures> {
    let name = &definition.environment.name;
    if releases.is_empty() {
        let found = definition.explain(None, path).map_err(|error| nowhere(None, &error))?;
        return Ok(match format {
            Format::Text => screen(&found),
            Format::Json => line(
                &json!({ "apiVersion": API_VERSION, "environment": name, "explanations": found.iter().map(as_json).collect::<Vec<_>>() }),
            ),
        });
    }
    let mut each = Vec::new();
    for release in releases {
        let found = definition.explain(Some(release), path).map_err(|error| nowhere(Some(release), &error))?;
        each.push((release.name.as_str(), found));
    }
    Ok(match (format, each.as_slice()) {
        (Format::Text, [(_, found)]) => screen(found),
        (Format::Text, each) => {
            each.iter().map(|(name, found)| format!("# {name}\n{}", screen(found))).collect::<Vec<_>>().join("\n")
        }
        (Format::Json, each) => {
            let one = |(name, found): &(&str, Vec<Explanation>)| json!({ "name": name, "explanations": found.iter().map(as_json).collect::<Vec<_>>() });
            let releases: Vec<Value> = each.iter().map(one).collect();
            line(&json!({ "apiVersion": API_VERSION, "environment": name, "releases": releases }))
        }
    })
}

fn nowhere(release: Option<&Release>, error: &NoSuchPath) -> Failures {
    let whose = release.map_or_else(|| "the values".to_owned(), |release| format!("the values of {}", release.name));
    let failure = Failure::new(Code::Definition, Kind::Yours, format!("{error} in {whose}"));
    let failure = match (&error.near, error.keys.is_empty()) {
        (Some(near), _) => failure.help(format!("did you mean `{near}`?")),
        (None, false) => {
            let keys: Vec<&str> = error.keys.iter().map(String::as_str).take(20).collect();
            let more = if error.keys.len() > keys.len() { ", …" } else { "" };
            let above = if error.above.0.is_empty() { String::new() } else { format!(" below `{}`", error.above) };
            failure.help(format!("keys{above}: {}{more}", keys.join(", ")))
        }
        (None, true) => failure.help("a release's values are explained with -l name=RELEASE"),
    };
    failure.into()
}

/// Explanations for people.
fn screen(found: &[Explanation]) -> String {
    let mut lines = Vec::new();
    found.iter().for_each(|explanation| draw(explanation, 0, &mut lines));
    lines.join("\n") + "\n"
}

fn draw(explanation: &Explanation, indent: usize, lines: &mut Vec<String>) {
    let margin = " ".repeat(indent);
    lines.push(match &explanation.value {
        Some(value) => format!("{margin}{} = {}", explanation.name, shortened(&value.to_string())),
        None if explanation.name.ends_with(')') => format!("{margin}{}", explanation.name),
        None => format!("{margin}{}: not set", explanation.name),
    });
    for setting in &explanation.settings {
        lines.push(setting_line(setting, indent + 2));
        setting.from.iter().for_each(|explanation| draw(explanation, indent + 4, lines));
    }
}

fn setting_line(setting: &Setting, indent: usize) -> String {
    let place = &setting.place;
    let place = format!("{}{}:{}:{}", " ".repeat(indent), place.path, place.line, place.column);
    let line = format!("{place:<TEXT_AT$}  {}", setting.text);
    match word(setting.state) {
        "" => line,
        word => format!("{line:<STATE_AT$}  {word}"),
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Holds => "",
        State::Overridden => "overridden",
        State::Deletes => "deletes it",
        State::Deleted => "deleted",
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_VALUE) {
        Some((at, _)) => format!("{} …", &text[..at]),
        None => text.to_owned(),
    }
}

fn as_json(explanation: &Explanation) -> Value {
    let settings: Vec<Value> = explanation.settings.iter().map(setting_json).collect();
    let mut json = json!({ "name": explanation.name });
    if let Some(value) = &explanation.value {
        json["value"] = value.clone();
    }
    json["settings"] = settings.into();
    json
}

fn setting_json(setting: &Setting) -> Value {
    let state = match setting.state {
        State::Holds => "holds",
        State::Overridden => "overridden",
        State::Deletes => "deletes",
        State::Deleted => "deleted",
    };
    let place = &setting.place;
    let mut json =
        json!({ "file": place.path, "line": place.line, "column": place.column, "text": setting.text, "state": state });
    if !setting.from.is_empty() {
        json["from"] = setting.from.iter().map(as_json).collect();
    }
    json
}

fn line(json: &Value) -> String {
    format!("{json:#}\n")
}
