//! Looking at live objects before a plan is final: what drifted from what helm installed, and what would be taken over from
//! others with a release that is adopted. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::Context;
use super::diff::cluster;
use super::installation::Installation;
use super::workspace::Workspace;
use crate::definition::Release;
use crate::diff::{self, Claim, Comparison, Veil};
use crate::object::Stream;
use crate::plan::{Action, Because, Blocked, Observation, Plan, Saved, Step, Taken};
use crate::render::RenderError;
use crate::tools::{DryRun, Kubectl};
use crate::ui::failure::{self, Code, Failure, Failures, Kind, exit};

/// The name under which helm applies.
const HELM: &str = "helm";

/// Flags of `plan` and `apply`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Claiming {
    /// Look at live objects too, and put back what somebody changed in them
    #[arg(long)]
    pub check_drift: bool,
    /// Take over a release that somebody else installed, or objects of it that are there; may be given several times
    #[arg(long, value_name = "RELEASE")]
    pub adopt: Vec<String>,
    /// Take fields of adopted releases over from whoever else set them
    #[arg(long, requires = "adopt")]
    pub force_conflicts: bool,
}

impl Claiming {
    /// What was asked for when a plan was saved.
    pub fn of(saved: &Saved) -> Claiming {
        let drifted = |taken: &Taken| !taken.adopted;
        let adopted = saved.plan.taken.iter().filter(|(_, taken)| taken.adopted);
        Claiming {
            check_drift: saved.plan.taken.values().any(drifted),
            adopt: adopted.map(|(name, _)| name.clone()).collect(),
            force_conflicts: true,
        }
    }

    /// The flags as they were given, for a run that goes on with this one.
    pub fn flags(&self) -> Vec<String> {
        let mut flags = Vec::new();
        flags.extend(self.check_drift.then(|| "--check-drift".to_owned()));
        flags.extend(self.adopt.iter().map(|name| format!("--adopt={name}")));
        flags.extend(self.force_conflicts.then(|| "--force-conflicts".to_owned()));
        flags
    }
}

/// What is looked at with.
pub struct Looking<'a> {
    /// The command.
    pub context: &'a Context,
    /// Where charts and tools come from.
    pub workspace: &'a Workspace,
    /// The environment.
    pub installation: &'a Installation,
    /// The cluster.
    pub kubectl: &'a Kubectl,
    /// What is there.
    pub observed: &'a Observation,
}

/// A release's objects as they should be.
struct Wanted<'a> {
    step: &'a Step,
    adopted: bool,
    equal: Option<u64>,
    objects: Vec<Json>,
}

impl Looking<'_> {
    /// The plan, with what was asked for taken over.
    ///
    /// # Errors
    /// [`Failures`] when a name is wrong, when the cluster can't be asked, or for fields that others set and that may not be
    /// taken from them.
    pub async fn claimed(&self, plan: Plan, claiming: &Claiming) -> Result<Plan, Failures> {
        let mut wanted = self.adopted(&plan, &claiming.adopt).await?;
        if claiming.check_drift {
            wanted.extend(self.installed(&plan).await?);
        }
        if wanted.is_empty() {
            return Ok(plan);
        }
        let (taken, conflicts) = self.taken(&wanted).await?;
        if !conflicts.is_empty() && !claiming.force_conflicts {
            return Err(Failures::new(conflicts).exit(exit::REFUSED));
        }
        Ok(plan.taking(taken))
    }

    /// What unchanged releases were installed with.
    async fn installed<'p>(&self, plan: &'p Plan) -> Result<Vec<Wanted<'p>>, Failures> {
        let unchanged: Vec<&Step> = plan.steps().filter(|step| step.action == Action::Unchanged).collect();
        let releases: Vec<&Release> = unchanged.iter().filter_map(|step| self.release(&step.release)).collect();
        let mut found = cluster::records(self.kubectl, plan, self.observed, &releases).await?;
        if !found.failures.is_empty() {
            return Err(Failures::new(found.failures.into_iter().map(|(_, failure)| failure).collect()));
        }
        let wanted = |step: &'p Step| {
            let record = found.records.remove(&step.release)?;
            let objects = diff::as_helm_applies(&record.stream, &step.release, &step.namespace);
            Some(Wanted { step, adopted: false, equal: None, objects })
        };
        Ok(unchanged.into_iter().filter_map(wanted).collect())
    }

    /// What adopted releases will be, and which of them are that already.
    async fn adopted<'p>(&self, plan: &'p Plan, names: &[String]) -> Result<Vec<Wanted<'p>>, Failures> {
        let mut steps = Vec::new();
        for name in names.iter().collect::<BTreeSet<_>>() {
            steps.push(plan.steps().find(|step| step.release == *name).ok_or_else(|| unknown(plan, name))?);
        }
        // What is ours already has nothing to be adopted.
        steps.retain(|step| {
            matches!(step.action, Action::Install | Action::Blocked { reason: Blocked::Foreign { .. } })
        });
        let releases: Vec<&Release> = steps.iter().filter_map(|step| self.release(&step.release)).collect();
        if releases.is_empty() {
            return Ok(Vec::new());
        }
        let records = cluster::records(self.kubectl, plan, self.observed, &releases).await?.records;
        let there: BTreeSet<String> = records.keys().cloned().collect();
        let rendered = self.installation.render_as(self.context, self.workspace, &releases, &there).await?;
        let mut wanted = Vec::new();
        for ((step, release), rendered) in steps.into_iter().zip(releases).zip(&rendered) {
            let stream = self.rewritten(release, &rendered.stream)?;
            let veil = Veil::default();
            let how = Comparison { namespace: &release.namespace, old: &veil, new: &veil, context: 0 };
            let record = records.get(&release.name).filter(|record| record.status == "deployed");
            let equal = record.filter(|record| diff::objects(&record.stream, &stream, &how).is_empty());
            let objects = diff::as_helm_applies(&stream, &release.name, &release.namespace);
            wanted.push(Wanted { step, adopted: true, equal: equal.map(|record| record.revision), objects });
        }
        Ok(wanted)
    }

    fn rewritten(&self, release: &Release, stream: &Stream) -> Result<Stream, Failures> {
        let rewritten = self.installation.rewritings[&release.name].apply(stream);
        let text = rewritten.map_err(|found| Failures::new(failure::closed_world(&found)).exit(exit::REFUSED))?;
        let stream = Stream::parse(text);
        Ok(stream.map_err(|source| RenderError::Object { release: release.name.clone(), source })?)
    }

    /// What applying these objects would take over, by release; and what others would lose by it, a failure for each
    /// release. The API server is asked once for all of them.
    async fn taken(&self, wanted: &[Wanted<'_>]) -> Result<(BTreeMap<String, Taken>, Vec<Failure>), Failures> {
        let failed = |error| failure::cluster("cannot look at live objects", &error);
        let all: Vec<Json> = wanted.iter().flat_map(|one| one.objects.iter().cloned()).collect();
        let answers = self.kubectl.dry_run_apply(&all, HELM).await.map_err(failed)?;
        let known = all.iter().zip(&answers).filter(|(_, answer)| **answer != DryRun::UnknownKind);
        let known: Vec<Json> = known.map(|(object, _)| object.clone()).collect();
        let there = self.kubectl.existing(&known).await.map_err(failed)?;
        let there: BTreeMap<String, &Json> = there.iter().map(|object| (identity(object), object)).collect();
        let (mut taken, mut conflicts) = (BTreeMap::new(), Vec::new());
        let mut answers = answers.into_iter();
        for one in wanted {
            let claims = self.claims(one, answers.by_ref().take(one.objects.len()), &there);
            let (mine, theirs): (Vec<Claim>, Vec<Claim>) = claims.into_iter().partition(|claim| !claim.autoscaled);
            theirs.iter().for_each(|claim| {
                let name = &one.step.release;
                let hint = "an autoscaler sets it; leave replicas out of the release's values";
                self.context.ui.warn(format!("{name}: {claim}: {hint}"));
            });
            if one.adopted {
                conflicts.extend(conflict(one, &mine));
            }
            let fields: Vec<String> = mine.iter().filter(|claim| counts(one, claim)).map(ToString::to_string).collect();
            if one.adopted || !fields.is_empty() {
                taken.insert(one.step.release.clone(), Taken { adopted: one.adopted, equal: one.equal, fields });
            }
        }
        Ok((taken, conflicts))
    }

    fn claims(
        &self,
        one: &Wanted<'_>,
        answers: impl Iterator<Item = DryRun>,
        there: &BTreeMap<String, &Json>,
    ) -> Vec<Claim> {
        let veil = Veil::default();
        let how = Comparison { namespace: &one.step.namespace, old: &veil, new: &veil, context: 0 };
        let mut claims = Vec::new();
        for (object, answer) in one.objects.iter().zip(answers) {
            match answer {
                DryRun::Would(would) => {
                    claims.extend(diff::claims(there.get(&identity(&would)).copied(), &would, &how))
                }
                // Of a release that is not there yet nothing can be there.
                DryRun::UnknownKind | DryRun::Refused(_) if one.step.action == Action::Install => {}
                DryRun::UnknownKind | DryRun::Refused(_) => self.context.ui.warn(format!(
                    "{}: {} {} is not compared: the API server does not take it",
                    one.step.release,
                    object["kind"].as_str().unwrap_or_default(),
                    object["metadata"]["name"].as_str().unwrap_or_default()
                )),
            }
        }
        claims
    }

    fn release(&self, name: &str) -> Option<&Release> {
        self.installation.definition.releases.iter().find(|release| release.name == name)
    }
}

/// Whether a field is worth a line: what a new release brings along is not taken from anybody.
fn counts(one: &Wanted<'_>, claim: &Claim) -> bool {
    !one.adopted || (claim.path.is_some() && !is_owner_mark(claim))
}

/// helm's own marks, which an adopted object gets.
fn is_owner_mark(claim: &Claim) -> bool {
    let path = claim.path.as_deref().unwrap_or_default();
    path.contains("meta.helm.sh/")
        || path.contains("app.kubernetes.io/managed-by")
        || path.ends_with("metadata.annotations")
}

/// What adopting a release would take from others.
fn conflict(one: &Wanted<'_>, claims: &[Claim]) -> Option<Failure> {
    let lost = claims.iter().filter(|claim| !claim.managers.is_empty() && counts(one, claim));
    let lost: Vec<String> = lost.map(ToString::to_string).collect();
    if lost.is_empty() || one.equal.is_some() {
        return None;
    }
    let title = format!("{}: adopting it would change fields that others set", one.step.release);
    let failure = Failure::new(Code::AdoptionConflict, Kind::Yours, title);
    let failure = lost.into_iter().fold(failure, Failure::detail);
    Some(
        failure
            .help("set these fields in the release's values as they are in the cluster")
            .help("or take them over: --force-conflicts"),
    )
}

fn unknown(plan: &Plan, name: &str) -> Failures {
    let known: Vec<&str> = plan.steps().map(|step| step.release.as_str()).collect();
    let failure = Failure::new(Code::Usage, Kind::Yours, format!("--adopt {name}: there is no such release"));
    Failures::from(failure.help(format!("the releases are {}", known.join(", ")))).exit(exit::USAGE)
}

fn identity(object: &Json) -> String {
    let group =
        object["apiVersion"].as_str().and_then(|version| version.split_once('/')).map_or("", |(group, _)| group);
    let metadata = &object["metadata"];
    format!("{group}/{}/{}/{}", object["kind"], metadata["namespace"], metadata["name"])
}

/// The fields that a step takes over, a line each.
pub fn lines(plan: &Plan, step: &Step) -> Vec<String> {
    let Some(taken) = plan.taken.get(&step.release) else { return Vec::new() };
    let says = match &step.action {
        Action::Upgrade { because: Because::Drifted, .. } => "puts back",
        _ => "takes over",
    };
    taken.fields.iter().map(|field| format!("{says} {field}")).collect()
}
