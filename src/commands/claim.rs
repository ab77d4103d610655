//! Looking at live objects before a plan is final: what drifted from what helm installed, and what would be taken over from
//! others with a release that is adopted. Changes nothing.

mod wanted;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::Context;
use super::diff::cluster;
use super::installation::Installation;
use super::workspace::Workspace;
use crate::definition::Release;
use crate::diff::{self, Claim, Comparison, Veil};
use crate::object::Stream;
use crate::plan::{Action, Blocked, Observation, Plan, Saved, Step, Taken};
use crate::render::RenderError;
use crate::tools::{DryRun, Kubectl, immutable};
use crate::ui::failure::{self, Code, Failure, Failures, Kind, exit};
use wanted::{Wanted, Why, names, said};

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
    /// Objects that apply may make anew, as KIND/NAME: that the API server would refuse them is nothing then
    #[arg(skip)]
    pub recreate: Vec<String>,
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
            recreate: Vec::new(),
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

impl Looking<'_> {
    /// The plan, with what was asked for taken over.
    ///
    /// # Errors
    /// [`Failures`] when a name is wrong, when the cluster can't be asked, or for what may not be taken from others, or
    /// can't be.
    pub async fn claimed(&self, plan: Plan, claiming: &Claiming) -> Result<Plan, Failures> {
        let mut wanted = self.adopted(&plan, &claiming.adopt).await?;
        if claiming.check_drift {
            wanted.extend(self.installed(&plan).await?);
            wanted.extend(self.changing(&plan, &claiming.adopt).await?);
        }
        if wanted.is_empty() {
            return Ok(plan);
        }
        let (taken, refused) = self.taken(&wanted, claiming).await?;
        if !refused.is_empty() {
            return Err(Failures::new(refused).exit(exit::REFUSED));
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
        // One that several ask for, such as the registry's login, is made again once.
        let mut seen = BTreeSet::new();
        let mut wanted = Vec::new();
        for (step, release) in unchanged.into_iter().zip(releases) {
            let Some(record) = found.records.remove(&step.release) else { continue };
            let objects = diff::as_helm_applies(&record.stream, &step.release, &step.namespace);
            let names = release.secrets.iter().map(|secret| secret.name.as_str());
            let own = names.filter(|name| seen.insert((step.namespace.clone(), (*name).to_owned())));
            let secrets = own.map(|name| secret(&step.namespace, name)).collect();
            wanted.push(Wanted { step, why: Why::Drift, equal: None, objects, secrets, has_tokens: false });
        }
        Ok(wanted)
    }

    /// What releases that change will be: fields of theirs that others set are put back too.
    async fn changing<'p>(&self, plan: &'p Plan, adopted: &[String]) -> Result<Vec<Wanted<'p>>, Failures> {
        let is_meant = |step: &&Step| matches!(step.action, Action::Upgrade { .. }) && !adopted.contains(&step.release);
        let steps: Vec<&Step> = plan.steps().filter(is_meant).collect();
        let streams = self.streams(&steps, &plan.upgrades()).await?;
        let of = |(step, stream): (&'p Step, Stream)| self.wanted(step, Why::Change, &stream, None);
        Ok(steps.into_iter().zip(streams).map(of).collect())
    }

    /// What adopted releases will be, and which of them are that already.
    async fn adopted<'p>(&self, plan: &'p Plan, names: &[String]) -> Result<Vec<Wanted<'p>>, Failures> {
        let mut steps = Vec::new();
        for name in names.iter().collect::<BTreeSet<_>>() {
            let step = plan.steps().find(|step| step.release == *name).ok_or_else(|| unknown(plan, name))?;
            match step.action {
                Action::Unchanged => self.context.ui.warn(format!(
                    "{name}: there is nothing to adopt: the release is ours already, and does not change"
                )),
                // In the middle of an operation: apply says what to do about that.
                Action::Blocked { reason: Blocked::Pending { .. } } => {}
                _ => steps.push(step),
            }
        }
        let releases: Vec<&Release> = steps.iter().filter_map(|step| self.release(&step.release)).collect();
        let records = cluster::records(self.kubectl, plan, self.observed, &releases).await?.records;
        let there: BTreeSet<String> = records.keys().cloned().collect();
        let streams = self.streams(&steps, &there).await?;
        let mut wanted = Vec::new();
        for (step, stream) in steps.into_iter().zip(streams) {
            let veil = Veil::default();
            let how = Comparison { namespace: &step.namespace, old: &veil, new: &veil, context: 0 };
            let is_foreign = matches!(step.action, Action::Blocked { .. });
            let record = records.get(&step.release).filter(|record| is_foreign && record.status == "deployed");
            let equal = record.filter(|record| diff::objects(&record.stream, &stream, &how).is_empty());
            wanted.push(self.wanted(step, Why::Adoption, &stream, equal.map(|record| record.revision)));
        }
        Ok(wanted)
    }

    fn wanted<'p>(&self, step: &'p Step, why: Why, stream: &Stream, equal: Option<u64>) -> Wanted<'p> {
        let objects = diff::as_helm_applies(stream, &step.release, &step.namespace);
        let has_tokens = self.release(&step.release).is_some_and(|release| !release.value_secrets.is_empty());
        Wanted { step, why, equal, objects, secrets: Vec::new(), has_tokens }
    }

    /// What releases render, with the images that helm will have put there.
    async fn streams(&self, steps: &[&Step], upgrades: &BTreeSet<String>) -> Result<Vec<Stream>, Failures> {
        let releases: Vec<&Release> = steps.iter().filter_map(|step| self.release(&step.release)).collect();
        if releases.is_empty() {
            return Ok(Vec::new());
        }
        let rendered = self.installation.render_as(self.context, self.workspace, &releases, upgrades).await?;
        let rewritten = releases.into_iter().zip(&rendered).map(|(release, it)| self.rewritten(release, &it.stream));
        rewritten.collect()
    }

    fn rewritten(&self, release: &Release, stream: &Stream) -> Result<Stream, Failures> {
        let rewritten = self.installation.rewritings[&release.name].apply(stream);
        let text = rewritten.map_err(|found| Failures::new(failure::closed_world(&found)).exit(exit::REFUSED))?;
        let stream = Stream::parse(text);
        Ok(stream.map_err(|source| RenderError::Object { release: release.name.clone(), source })?)
    }

    /// What applying these objects would take over, by release; and what keeps that from being done. The API server is
    /// asked once for all of them.
    async fn taken(
        &self,
        wanted: &[Wanted<'_>],
        claiming: &Claiming,
    ) -> Result<(BTreeMap<String, Taken>, Vec<Failure>), Failures> {
        let failed = |error| failure::cluster("cannot look at live objects", &error);
        let all: Vec<Json> = wanted.iter().flat_map(|one| one.objects.iter().cloned()).collect();
        let answers = self.kubectl.dry_run_apply(&all, HELM).await.map_err(failed)?;
        let known = all.iter().zip(&answers).filter(|(_, answer)| **answer != DryRun::UnknownKind);
        let known = known.map(|(object, _)| object).chain(wanted.iter().flat_map(|one| &one.secrets));
        let there = self.kubectl.existing(&known.cloned().collect::<Vec<Json>>()).await.map_err(failed)?;
        let there: BTreeMap<String, &Json> = there.iter().map(|object| (identity(object), object)).collect();
        let (mut taken, mut refused) = (BTreeMap::new(), Vec::new());
        let mut answers = answers.into_iter();
        for one in wanted {
            let (claims, failures) = self.claims(one, answers.by_ref().take(one.objects.len()), &there, claiming);
            refused.extend(failures);
            let (mine, theirs): (Vec<Claim>, Vec<Claim>) = claims.into_iter().partition(|claim| !claim.autoscaled);
            refused.extend(one.conflict(&mine).filter(|_| !claiming.force_conflicts));
            let fields: Vec<String> = mine.iter().filter(|claim| one.counts(claim)).map(ToString::to_string).collect();
            let mut objects = one.taken_over(&mine);
            let missing = one.secrets.iter().filter(|secret| !there.contains_key(&identity(secret)));
            objects.extend(missing.map(|secret| format!("{}: it is not there", title(secret))));
            let (adopted, equal) = (one.why == Why::Adoption, one.equal);
            let is_upgraded = one.why != Why::Drift || !fields.is_empty() || !objects.is_empty();
            if !theirs.is_empty() && is_upgraded && equal.is_none() {
                refused.push(one.autoscaled(&theirs));
            } else {
                theirs.iter().for_each(|claim| {
                    let hint = "an autoscaler sets it; leave replicas out of the release's values";
                    self.context.ui.warn(format!("{}: {claim}: {hint}", one.step.release));
                });
            }
            if adopted || !fields.is_empty() || !objects.is_empty() {
                taken.insert(one.step.release.clone(), Taken { adopted, equal, fields, objects });
            }
        }
        Ok((taken, refused))
    }

    /// What of a release's objects would become otherwise, and those that the API server refuses.
    fn claims(
        &self,
        one: &Wanted<'_>,
        answers: impl Iterator<Item = DryRun>,
        there: &BTreeMap<String, &Json>,
        claiming: &Claiming,
    ) -> (Vec<Claim>, Vec<Failure>) {
        let veil = Veil::default();
        let how = Comparison { namespace: &one.step.namespace, old: &veil, new: &veil, context: 0 };
        let (mut claims, mut refused) = (Vec::new(), Vec::new());
        let uncompared = |object: &Json, why: &str| {
            let (kind, name) = names(object);
            self.context.ui.warn(format!("{}: {kind} {name} is not compared: {why}", one.step.release));
        };
        for (object, answer) in one.objects.iter().zip(answers) {
            match answer {
                DryRun::Would(would) => {
                    claims.extend(diff::claims(there.get(&identity(&would)).copied(), &would, &how));
                }
                // Of a release that is not there yet nothing can be there, but what is adopted with it.
                DryRun::UnknownKind | DryRun::Refused(_)
                    if one.step.action == Action::Install && !there.contains_key(&identity(object)) => {}
                // Its definition comes with the change.
                DryRun::UnknownKind if one.why == Why::Change => {}
                DryRun::UnknownKind => uncompared(object, "the API server does not know its kind"),
                // Told as what can't be changed in place.
                DryRun::Refused(word) if one.why == Why::Change && immutable(&word) => {}
                DryRun::Refused(word) => match one.refused(object, &word, &claiming.recreate) {
                    Some(failure) => refused.push(failure),
                    None => uncompared(object, &format!("the API server does not take it: {}", said(&word))),
                },
            }
        }
        (claims, refused)
    }

    fn release(&self, name: &str) -> Option<&Release> {
        self.installation.definition.releases.iter().find(|release| release.name == name)
    }
}

/// A Secret's identity.
fn secret(namespace: &str, name: &str) -> Json {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}})
}

fn title(object: &Json) -> String {
    let (kind, name) = names(object);
    format!("{kind} {}/{name}", object["metadata"]["namespace"].as_str().unwrap_or_default())
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

/// What a step takes over, a line each.
pub fn lines(plan: &Plan, step: &Step) -> Vec<String> {
    let Some(taken) = plan.taken.get(&step.release) else { return Vec::new() };
    let says = if taken.adopted { "takes over" } else { "puts back" };
    taken.objects.iter().chain(&taken.fields).map(|what| format!("{says} {what}")).collect()
}
