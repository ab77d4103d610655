//! `platctl doctor`: whether the cluster is what the definition takes it for, and a recording of what it offers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use super::installation;
use super::survey::{Survey, survey};
use super::workspace::Workspace;
use super::{API_VERSION, Context, Format};
use crate::capabilities::{self, Capabilities, Differing};
use crate::definition::Definition;
use crate::files;
use crate::tools::Kubectl;
use crate::ui::count;
use crate::ui::failure::{self, Code, Failure, Failures, Kind, exit};

/// How many names one finding tells.
const SHOWN: usize = 8;

/// Flags of `doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write what the cluster offers into the environment's capabilities.yaml
    #[arg(long)]
    record: bool,
    /// Output format
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

/// Something that is not as the definition takes it to be.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    message: String,
    help: String,
}

/// What was looked at and what was found.
struct Report {
    facts: Vec<(&'static str, String)>,
    findings: Vec<Finding>,
}

/// Runs the verb.
///
/// # Errors
/// [`Failures`].
pub async fn run(context: &Context, args: Args) -> Result<u8, Failures> {
    let workspace = Workspace::open(context)?;
    if args.record && workspace.folder.is_none() {
        let failure = Failure::new(Code::Usage, Kind::Yours, "a bundle's definition can't be changed");
        let help = "name a folder with -C DIR; `platctl unpack FILE DIR` makes one of a bundle";
        return Err(Failures::from(failure.help(help)).exit(exit::USAGE));
    }
    let definition = workspace.definition(context)?;
    let kubectl = kubectl(context, &workspace, &definition).await?;
    let report = match &workspace.folder {
        Some(folder) if args.record => {
            installation::guard(&kubectl, &definition).await?;
            record(&workspace, folder, &definition, &survey(&kubectl).await?)?
        }
        _ => compare(context, &workspace, &definition, &kubectl).await?,
    };
    let text = match args.output {
        Format::Text => report.text(),
        Format::Json => report.json(&definition),
    };
    context.ui.result(&text)?;
    Ok(if report.findings.is_empty() { 0 } else { exit::FAILED })
}

/// The locked kubectl. Whoever records a cluster before the first lock has none: then the one on PATH does, because it
/// only reads.
async fn kubectl(context: &Context, workspace: &Workspace, definition: &Definition) -> Result<Kubectl, Failures> {
    if workspace.bundle.is_none() && !workspace.has_locked(&definition.environment, "kubectl") {
        context.ui.warn("kubectl is not in the lock: the one on PATH asks the cluster");
        return workspace.kubectl_at(context, &definition.environment, "kubectl".into());
    }
    workspace.kubectl(context, &definition.environment).await
}

/// Writes what the cluster offers.
fn record(workspace: &Workspace, folder: &Path, definition: &Definition, found: &Survey) -> Result<Report, Failures> {
    let file = format!("environments/{}/{}", definition.environment.name, capabilities::FILE);
    files::write_atomic(&folder.join(&file), found.offers.to_yaml().as_bytes())?;
    let (versions, kinds) = found.offers.counts();
    let said = format!(
        "{file}: {} and {} of Kubernetes {}",
        count(versions, "group/version"),
        count(kinds, "kind"),
        found.offers.kube_version
    );
    let mut report = Report { facts: vec![("recorded", said)], findings: silent(found, "were left out") };
    let minors = [&found.offers.kube_version, &definition.environment.kube_version].map(|v| capabilities::minor(v));
    if minors[0] != minors[1] {
        report.findings.push(other_version(workspace, definition, &found.offers.kube_version));
    }
    Ok(report)
}

async fn compare(
    context: &Context,
    workspace: &Workspace,
    definition: &Definition,
    kubectl: &Kubectl,
) -> Result<Report, Failures> {
    let uid = kubectl.cluster_uid().await.map_err(|e| failure::cluster("cannot ask which cluster this is", &e))?;
    let found = survey(kubectl).await?;
    let mut report = Report { facts: Vec::new(), findings: Vec::new() };
    report.facts.push(("cluster", format!("Kubernetes {}, uid {uid}", found.offers.kube_version)));
    match &definition.environment.cluster.uid {
        Some(declared) if *declared != uid => report.findings.push(Finding {
            check: "guard",
            message: format!(
                "this is not the cluster of environment {}: that has uid {declared}",
                definition.environment.name
            ),
            help: "check kubeconfig and context; correct `cluster.uid` only if the cluster was made anew".to_owned(),
        }),
        Some(_) => report.facts.push(("guard", "it is the environment's cluster".to_owned())),
        None => report.facts.push(("guard", format!("none: `cluster: {{uid: {uid}}}` would refuse any other cluster"))),
    }
    if found.offers.kube_version != definition.environment.kube_version {
        report.findings.push(other_version(workspace, definition, &found.offers.kube_version));
    }
    report.findings.extend(silent(&found, "may be missed by charts"));

    let assumed = capabilities::of(&workspace.tree, &definition.environment)?;
    let kitchen = workspace.kitchen(context, definition, &workspace.lock).await?;
    let renderer = kitchen.renderer(definition, &assumed);
    let mut asked: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for release in &definition.releases {
        renderer.scan(release).asked.into_iter().for_each(|name| asked.entry(name).or_default().push(&release.name));
    }
    let differing = Differing::of(&assumed, &renderer.brought().await?, &found.offers, &found.silent);
    report.findings.extend(findings(&differing, &assumed, &asked, &definition.environment.name));
    let (versions, kinds) = assumed.counts();
    let (versions, kinds) = (count(versions, "group/version"), count(kinds, "kind"));
    report.facts.push(("charts", format!("are told {versions} and {kinds} by {}", assumed.origin)));
    let unasked = differing.more.iter().filter(|name| !asked.contains_key(*name)).count();
    if unasked > 0 {
        report.facts.push(("beyond", format!("{unasked} more, which no chart asks for by name")));
    }
    Ok(report)
}

fn other_version(workspace: &Workspace, definition: &Definition, found: &str) -> Finding {
    let declared = &definition.environment.kube_version;
    let place = capabilities::place_of_kube_version(&workspace.tree, &definition.environment);
    let place = place.map_or(String::new(), |(path, line)| format!(" ({path}:{line})"));
    Finding {
        check: "kubeVersion",
        message: format!("the cluster is Kubernetes {found}, and charts are told {declared}{place}"),
        help: format!("write `kubeVersion: \"{found}\"` there, or in an environment laid over it"),
    }
}

/// Servers behind the API server that do not answer.
fn silent(found: &Survey, consequence: &str) -> Vec<Finding> {
    let finding = |(api, word): &(String, String)| Finding {
        check: "answers",
        message: format!("{api} does not answer, its kinds {consequence}: {word}"),
        help: format!("see `kubectl get apiservices`; mend or remove what serves {api}, then try again"),
    };
    found.silent.iter().map(finding).collect()
}

/// What charts ask for by name is told one by one; what they are told and is not there in one; the rest is none.
fn findings(
    differing: &Differing,
    assumed: &Capabilities,
    asked: &BTreeMap<String, Vec<&str>>,
    environment: &str,
) -> Vec<Finding> {
    let origin = &assumed.origin;
    let finding = |message: String| Finding {
        check: "capabilities",
        message,
        help: format!(
            "record what it offers with `platctl doctor -e {environment} --record`, then lock and bundle again"
        ),
    };
    let by_name = |names: &BTreeSet<String>, what: &str| {
        let told = |name: &String| Some(finding(format!("{} asks for {name}: {what}", asked.get(name)?.join(", "))));
        names.iter().filter_map(told).collect::<Vec<_>>()
    };
    let mut findings = by_name(&differing.lacks, &format!("{origin} has it, the cluster does not"));
    findings.extend(by_name(&differing.more, &format!("the cluster has it, {origin} does not")));
    // Of a group/version that is not there at all the kinds need not be told.
    let told = |name: &&String| asked.contains_key(*name) || differing.lacks_all_of(name);
    let rest: Vec<&str> = differing.lacks.iter().filter(|name| !told(name)).map(String::as_str).collect();
    if !rest.is_empty() {
        let more = if rest.len() > SHOWN { format!(" and {} more", rest.len() - SHOWN) } else { String::new() };
        let shown = rest[..rest.len().min(SHOWN)].join(", ");
        findings.push(finding(format!("the cluster lacks what {origin} has: {shown}{more}")));
    }
    findings
}

impl Report {
    fn text(&self) -> String {
        let facts = self.facts.iter().map(|(what, text)| format!("{what:<12}  {text}\n"));
        let findings = self.findings.iter().map(|Finding { check, message, help }| {
            format!("{check:<12}  finding: {message}\n{:<12}  help: {help}\n", "")
        });
        let end = match self.findings.len() {
            0 => "no findings\n".to_owned(),
            n => format!("{}\n", count(n, "finding")),
        };
        facts.chain(findings).chain([end]).collect()
    }

    fn json(&self, definition: &Definition) -> String {
        let facts: BTreeMap<&str, &String> = self.facts.iter().map(|(what, text)| (*what, text)).collect();
        let environment = &definition.environment.name;
        let json = serde_json::json!({
            "apiVersion": API_VERSION, "environment": environment, "facts": facts, "findings": self.findings,
        });
        format!("{json:#}\n")
    }
}
