//! `platctl lint`: what is wrong in the definition, of one environment or all, without a cluster or keys: its files, the
//! lock, every release's rendering, and the closed world.

use super::installation;
use super::workspace::Workspace;
use super::{API_VERSION, Context, Format, Rendering};
use crate::capabilities;
use crate::definition::{Definition, Release};
use crate::lint::{Finding, Findings};
use crate::plan::Selector;
use crate::render::Violation;
use crate::ui::count;
use crate::ui::failure::{self, Failure, Failures, exit};

/// Flags of `lint`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    rendering: Rendering,
    /// Output format
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

/// Runs the verb.
///
/// # Errors
/// [`Failures`] when it can't be looked for; what is found is a result.
pub async fn run(context: &Context, args: Args) -> Result<u8, Failures> {
    let begun = std::time::Instant::now();
    let workspace = Workspace::open(context)?.rendering(&args.rendering);
    let selector = context.global.selector()?;
    let environments = environments(context, &workspace)?;
    let (mut findings, mut releases) = (Findings::default(), 0);
    for environment in &environments {
        let linted = one(context, &workspace, environment, &selector).await?;
        releases += linted.releases;
        findings.add(environment, linted.wrong);
    }
    let all = findings.all();
    match args.output {
        Format::Text => {
            let failures = all.iter().map(|finding| told(finding, environments.len())).collect();
            context.ui.result(&Failures::new(failures).draw(&context.ui.style))?;
        }
        Format::Json => context.ui.result(&json(all))?,
    }
    let elapsed = crate::ui::duration(begun.elapsed());
    let (errors, environments) = (count(all.len(), "error"), count(environments.len(), "environment"));
    context.ui.say("Linted", format!("{errors} in {}, {environments} ({elapsed})", count(releases, "release")));
    Ok(if all.is_empty() { 0 } else { exit::FAILED })
}

/// The environment that is named, else the bundle's, else all that can be installed.
fn environments(context: &Context, workspace: &Workspace) -> Result<Vec<String>, Failures> {
    match (&context.global.environment, &workspace.folder) {
        (None, Some(_)) => Ok(Definition::environments(&workspace.tree)),
        _ => Ok(vec![workspace.environment(context)?]),
    }
}

/// Something that is wrong, as people see it, and what it is about when it is about a rendered object.
#[derive(Debug, PartialEq)]
struct Wrong {
    failure: Failure,
    violation: Option<Violation>,
}

/// What is wrong in one environment, and how many releases were looked at.
#[derive(Default)]
struct Linted {
    releases: usize,
    wrong: Vec<Wrong>,
}

impl Linted {
    fn failed(&mut self, failures: impl Into<Failures>) {
        let wrong = |failure| Wrong { failure, violation: None };
        self.wrong.extend(failures.into().failures.into_iter().map(wrong));
    }

    fn refused(&mut self, violations: Vec<Violation>) {
        let wrong = |violation| Wrong { failure: failure::of_rule(&violation), violation: Some(violation) };
        self.wrong.extend(violations.into_iter().map(wrong));
    }
}

async fn one(
    context: &Context,
    workspace: &Workspace,
    environment: &str,
    selector: &Selector,
) -> Result<Linted, Failures> {
    let mut linted = Linted::default();
    let definition = match Definition::load(&workspace.tree, environment) {
        Ok(definition) => definition,
        Err(invalid) => {
            linted.failed(invalid);
            return Ok(linted);
        }
    };
    let releases: Vec<&Release> = definition.releases.iter().filter(|r| selector.matches(&definition, r)).collect();
    linted.releases = releases.len();
    if let Err(failures) = installation::check_charts_are_locked(workspace, &definition) {
        linted.failed(failures);
        return Ok(linted);
    }
    let capabilities = match capabilities::of(&workspace.tree, &definition.environment) {
        Ok(capabilities) => capabilities,
        Err(error) => {
            linted.failed(error);
            return Ok(linted);
        }
    };
    // Without its charts and its helm nothing can be said of it.
    let kitchen = workspace.kitchen(context, &definition, &workspace.lock).await?;
    let renderer = kitchen.renderer(&definition, &capabilities);
    let check = async |releases: &[&Release]| {
        let checked = installation::closed_world(&workspace.lock, &definition, &renderer, releases).await?;
        Ok::<Vec<Violation>, Failures>(checked.into_iter().flat_map(|checked| checked.violations).collect())
    };
    let mut violations = Vec::new();
    match check(&releases).await {
        Ok(found) => violations = found,
        // One by one, so that every release has its say.
        Err(_) => {
            for release in releases {
                match check(&[release]).await {
                    Ok(found) => violations.extend(found),
                    Err(failures) => linted.failed(failures),
                }
            }
        }
    }
    match installation::never_locked(&workspace.lock, &definition, &violations) {
        Some(failure) => linted.failed(failure),
        None => linted.refused(violations),
    }
    Ok(linted)
}

/// A finding as people see it: with the environments it holds in, unless it holds in all.
fn told(finding: &Finding<Wrong>, all: usize) -> Failure {
    let failure = finding.what.failure.clone();
    if finding.environments.len() == all {
        return failure;
    }
    let names: Vec<&str> = finding.environments.iter().map(String::as_str).collect();
    failure.detail(format!("in {}", names.join(", ")))
}

fn json(findings: &[Finding<Wrong>]) -> String {
    let findings: Vec<_> = findings.iter().map(finding_json).collect();
    format!("{:#}\n", serde_json::json!({"apiVersion": API_VERSION, "findings": findings}))
}

/// `object` for what a chart renders, `file` for what somebody wrote.
fn finding_json(finding: &Finding<Wrong>) -> serde_json::Value {
    let Finding { what: Wrong { failure, violation }, environments } = finding;
    let mut json = serde_json::json!({
        "rule": failure.code.to_string(), "severity": "error", "message": failure.title,
        "environments": environments, "help": failure.help,
    });
    if let Some(Violation { release, object, origin, path, what, .. }) = violation {
        json["release"] = release.as_str().into();
        json["object"] = serde_json::json!({"object": object, "path": path, "what": what, "from": origin});
    }
    if let Some(at) = failure.at.as_ref().or(failure.culprits.first().map(|(_, at)| at)) {
        json["file"] = serde_json::json!({"path": at.path, "line": at.line, "column": at.column});
    }
    if !failure.word.is_empty() {
        json["word"] = failure.word.as_str().into();
    }
    json
}
