//! What `plan`, `apply`, `template` and `bundle` have in common: the desired releases with what the lock and the site
//! say of them, and the check that nothing unlocked would run.

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use super::workspace::Workspace;
use crate::capabilities::{self, Capabilities};
use crate::definition::{Definition, Hook, Hooks, Release};
use crate::digest::Digest;
use crate::lock::Lock;
use crate::object::Stream;
use crate::plan::{self, Action, Decisive, Desired, Observation, Plan, Selector, Step};
use crate::render::{Expected, REWRITER_VERSION, RenderError, Rendered, Renderer, Rewriting, Rule, Salt, Violation};
use crate::resolve::{self, Needs};
use crate::supply::locked_chart;
use crate::tools::Kubectl;
use crate::ui::failure::{self, Code, Failure, Failures, Kind, exit};

/// An environment, what is wanted of it, and what every release's images become.
pub struct Installation {
    /// The definition.
    pub definition: Definition,
    /// What its cluster offers by itself.
    pub capabilities: Capabilities,
    /// What every release's images become, by release.
    pub rewritings: BTreeMap<String, Rewriting>,
}

/// A plan after its releases were rendered.
pub struct Foreseen<'r> {
    /// It, with what only a render tells.
    pub plan: Plan,
    /// The releases that change, with what each renders.
    pub rendered: Vec<(&'r Release, Rendered)>,
}

impl Installation {
    /// Brings definition and lock together.
    ///
    /// # Errors
    /// [`Failures`] when nobody says what the cluster offers, or when the digests for several platforms are only in a
    /// bundle that was not given.
    pub fn new(workspace: &Workspace, definition: Definition) -> Result<Installation, Failures> {
        let tops = workspace.bundled_tops();
        if definition.environment.platforms.len() > 1 && workspace.bundle.is_none() {
            let title = format!(
                "environment {} has several platforms: its images' digests are in the bundle",
                definition.environment.name
            );
            return Err(Failure::new(Code::NotInBundle, Kind::Yours, title)
                .help("name the bundle with --bundle FILE")
                .into());
        }
        let rewriting = |release: &Release| {
            let images = plan::image_digests(&workspace.lock, &definition, release, &tops);
            (release.name.clone(), rewriting(&definition, release, images))
        };
        let rewritings = definition.releases.iter().map(rewriting).collect();
        let capabilities = capabilities::of(&workspace.tree, &definition.environment)?;
        Ok(Installation { definition, capabilities, rewritings })
    }

    /// The releases a selector means, with their inputs.
    ///
    /// # Errors
    /// [`Failures`] when it means nothing, or when a chart is not locked.
    pub fn desired(&self, workspace: &Workspace, selector: &Selector) -> Result<Vec<Desired<'_>>, Failures> {
        let meant = |release: &&Release| selector.matches(&self.definition, release);
        let releases: Vec<&Release> = self.definition.releases.iter().filter(meant).collect();
        if releases.is_empty() && !selector.is_all() {
            return Err(failure::nothing_selected(&self.definition));
        }
        releases.into_iter().map(|release| self.desired_release(workspace, release)).collect()
    }

    fn desired_release<'s>(&'s self, workspace: &Workspace, release: &'s Release) -> Result<Desired<'s>, Failures> {
        let locked = locked_chart(&workspace.lock, &workspace.tree, &release.name, &release.chart)?;
        let rewriting = &self.rewritings[&release.name];
        let environment = &self.definition.environment;
        let (sealed, secrets) = plan::secrets(&self.definition, release);
        let inputs = plan::inputs(&Decisive {
            rewriter: REWRITER_VERSION,
            chart: locked.digest,
            values: &release.values.to_json(),
            namespace: &release.namespace,
            namespace_labels: &release.namespace_labels,
            images: &rewriting.images,
            declared: rewriting.declared.clone(),
            registry: rewriting.registry.as_ref().map(|(address, prefix)| (address.as_str(), prefix.as_str())),
            kube_version: &environment.kube_version,
            capabilities: self.capabilities.digest(),
            wait: release.wait,
            sealed,
            hooks: hooks(workspace, release),
            secrets,
        });
        Ok(Desired { release, version: locked.version.clone(), inputs })
    }

    /// Renders releases offline, as on a first install, and refuses images that are not locked.
    ///
    /// # Errors
    /// [`Failures`], one for each image.
    pub async fn render(
        &self,
        context: &Context,
        workspace: &Workspace,
        releases: &[&Release],
    ) -> Result<Vec<Rendered>, Failures> {
        self.render_as(context, workspace, releases, &BTreeSet::new()).await
    }

    /// The same for releases of which some are there already: charts are told that these are upgraded.
    ///
    /// # Errors
    /// As [`Installation::render`].
    pub async fn render_as(
        &self,
        context: &Context,
        workspace: &Workspace,
        releases: &[&Release],
        upgrades: &BTreeSet<String>,
    ) -> Result<Vec<Rendered>, Failures> {
        let rewritings: Vec<Rewriting> =
            releases.iter().map(|release| self.rewritings[&release.name].clone()).collect();
        let kitchen = workspace.kitchen(context, &self.definition, &workspace.lock).await?;
        let renderer = kitchen.renderer(&self.definition, &self.capabilities).upgrading(upgrades);
        refused(check(&renderer, releases, &rewritings).await?)
    }

    /// The releases that a plan changes, rendered as it changes them, and the plan with what that tells of it: what was
    /// never deployed may be installed again instead of upgraded. What nothing may be done with is left out; where nothing
    /// changes, nothing is looked at.
    ///
    /// # Errors
    /// As [`Installation::render`].
    pub async fn foreseen(
        &self,
        context: &Context,
        workspace: &Workspace,
        plan: &Plan,
    ) -> Result<Foreseen<'_>, Failures> {
        let steps = plan.changes().filter(|step| !matches!(step.action, Action::Blocked { .. }));
        let changing: BTreeSet<&str> = steps.map(|step| step.release.as_str()).collect();
        let is_meant = |release: &&Release| changing.contains(release.name.as_str());
        let releases: Vec<&Release> = self.definition.releases.iter().filter(is_meant).collect();
        if releases.is_empty() {
            return Ok(Foreseen { plan: plan.clone(), rendered: Vec::new() });
        }
        let first = &plan.upgrades() - &plan.never_deployed();
        let rendered = self.render_as(context, workspace, &releases, &first).await?;
        let streams = releases.iter().zip(&rendered).map(|(release, render)| (release.name.as_str(), &render.stream));
        let plan = plan::foresee(plan.clone(), &streams.collect());
        let upgrades = plan.upgrades();
        // Hardly ever: what was never deployed, and is upgraded all the same.
        let rendered = match upgrades == first {
            true => rendered,
            false => self.render_as(context, workspace, &releases, &upgrades).await?,
        };
        Ok(Foreseen { plan, rendered: releases.into_iter().zip(rendered).collect() })
    }

    /// What a rendered release will be at the site, hashed.
    ///
    /// # Errors
    /// [`Failures`] for what may not run.
    pub fn expected(&self, release: &Release, rendered: &Rendered, salt: &Salt) -> Result<Expected, Failures> {
        let rewritten = self.rewritings[&release.name].apply(&rendered.stream);
        let text = rewritten.map_err(|v| Failures::new(failure::closed_world(&v)).exit(exit::REFUSED))?;
        let stream =
            Stream::parse(text).map_err(|source| RenderError::Object { release: release.name.clone(), source });
        Ok(Expected::of(&stream?, &release.namespace, salt))
    }
}

/// The programs around a release, with their content.
fn hooks<'r>(workspace: &Workspace, release: &'r Release) -> Vec<(&'static str, &'r str, Digest)> {
    let Hooks { before, after } = &release.hooks;
    let digest = |hook: &Hook| Digest::of(workspace.tree.get(&hook.path).unwrap_or_default());
    let of = |when, hooks: &'r [Hook]| hooks.iter().map(move |hook| (when, hook.path.as_str(), digest(hook)));
    of("before", before).chain(of("after", after)).collect()
}

/// What a release renders, with what of it may not run.
pub struct Checked {
    /// Its objects.
    pub rendered: Rendered,
    /// What is refused.
    pub violations: Vec<Violation>,
}

/// Renders releases offline and looks for what their rewritings refuse.
async fn check(
    renderer: &Renderer<'_>,
    releases: &[&Release],
    rewritings: &[Rewriting],
) -> Result<Vec<Checked>, Failures> {
    let rendered = renderer.render(releases).await?;
    let check = |(rendered, rewriting): (Rendered, &Rewriting)| {
        let violations = rewriting.violations(&rendered.stream);
        Checked { rendered, violations }
    };
    Ok(rendered.into_iter().zip(rewritings).map(check).collect())
}

/// What was rendered, if nothing in it is refused.
fn refused(checked: Vec<Checked>) -> Result<Vec<Rendered>, Failures> {
    let violations: Vec<Violation> = checked.iter().flat_map(|checked| checked.violations.clone()).collect();
    if violations.is_empty() {
        return Ok(checked.into_iter().map(|checked| checked.rendered).collect());
    }
    Err(Failures::new(failure::closed_world(&violations)).exit(exit::REFUSED))
}

/// What releases render by the lock alone, without a bundle, and what of it may not run.
///
/// # Errors
/// [`Failures`] when a release does not render.
pub async fn closed_world(
    lock: &Lock,
    definition: &Definition,
    renderer: &Renderer<'_>,
    releases: &[&Release],
) -> Result<Vec<Checked>, Failures> {
    let locked = |release: &Release| {
        let place = definition.place(release);
        lock.images_of(&place).map(|(image, locked)| (image.to_string(), locked.digest)).collect()
    };
    let rewritings: Vec<Rewriting> =
        releases.iter().map(|release| rewriting(definition, release, locked(release))).collect();
    check(renderer, releases, &rewritings).await
}

/// Every chart of the environment is locked.
///
/// # Errors
/// [`Failures`] naming what is not.
pub fn check_charts_are_locked(workspace: &Workspace, definition: &Definition) -> Result<(), Failures> {
    let unlocked = |release: &Release| {
        locked_chart(&workspace.lock, &workspace.tree, &release.name, &release.chart).err().map(Failures::from)
    };
    let mut failures: Vec<Failure> =
        definition.releases.iter().filter_map(unlocked).flat_map(|failures| failures.failures).collect();
    failures.dedup();
    if !failures.is_empty() {
        return Err(Failures::new(failures));
    }
    Ok(())
}

/// One failure in place of many: the images of an environment were never locked.
pub fn never_locked(lock: &Lock, definition: &Definition, violations: &[Violation]) -> Option<Failure> {
    let name = &definition.environment.name;
    let unlocked = violations.iter().filter(|violation| violation.rule == Rule::NotLocked).count();
    if unlocked == 0 || lock.images_for(name).next().is_some() {
        return None;
    }
    let title = format!("no image of environment {name} is in the lock");
    Some(Failure::new(Code::NotLocked, Kind::Yours, title).help(format!("run `platctl lock -e {name}`")))
}

fn rewriting(definition: &Definition, release: &Release, images: BTreeMap<String, Digest>) -> Rewriting {
    let registry = definition.environment.registry.as_ref();
    Rewriting {
        release: release.name.clone(),
        registry: registry.map(|registry| (registry.site.address.clone(), registry.site.prefix.clone())),
        images,
        declared: release.extra_images.iter().map(ToString::to_string).collect(),
        ignored: release.ignored_images.iter().map(|i| (i.pattern.clone(), i.reason.clone())).collect(),
        computed: release.computed_images.clone(),
        nodes: if release.computed_images.is_empty() { Vec::new() } else { definition.environment.nodes.clone() },
        exceptions: release.exceptions.clone(),
    }
}

/// Refuses an environment whose releases would run something that is not locked; else where its images are needed.
///
/// # Errors
/// [`Failures`], one for each image.
pub async fn check_closed_world(
    context: &Context,
    workspace: &Workspace,
    definition: &Definition,
) -> Result<Needs, Failures> {
    let releases: Vec<&Release> = definition.releases.iter().collect();
    let capabilities = capabilities::of(&workspace.tree, &definition.environment)?;
    let kitchen = workspace.kitchen(context, definition, &workspace.lock).await?;
    let renderer = kitchen.renderer(definition, &capabilities);
    let checked = closed_world(&workspace.lock, definition, &renderer, &releases).await?;
    let violations: Vec<Violation> = checked.iter().flat_map(|checked| checked.violations.clone()).collect();
    if let Some(failure) = never_locked(&workspace.lock, definition, &violations) {
        return Err(failure.into());
    }
    let mut all = Needs::new();
    for (release, rendered) in releases.into_iter().zip(refused(checked)?) {
        for (image, places) in resolve::needs(definition, release, &rendered).0 {
            all.entry(image).or_default().extend(places);
        }
    }
    Ok(all)
}

/// Asks whether it is the cluster that the environment declares.
///
/// # Errors
/// [`Failures`] when it is another cluster or can't be reached.
pub async fn guard(kubectl: &Kubectl, definition: &Definition) -> Result<(), Failures> {
    let Some(declared) = &definition.environment.cluster.uid else { return Ok(()) };
    let uid = kubectl.cluster_uid().await.map_err(|e| failure::cluster("cannot ask which cluster this is", &e))?;
    if uid == *declared {
        return Ok(());
    }
    let title = format!("this is not the cluster of environment {}", definition.environment.name);
    let failure = Failure::new(Code::WrongCluster, Kind::Yours, title)
        .detail(format!("declared: {declared}"))
        .detail(format!("found:    {uid} (uid of the namespace kube-system)"))
        .help("check kubeconfig and context; correct `cluster.uid` only if the cluster was made anew");
    Err(Failures::from(failure).exit(exit::REFUSED))
}

/// Needs of selected releases that are not selected themselves must be deployed.
///
/// # Errors
/// [`Failures`], one for each that is not.
pub fn check_needs(installation: &Installation, plan: &Plan, observed: &Observation) -> Result<(), Failures> {
    let selected: BTreeSet<&str> = plan.steps().map(|step| step.release.as_str()).collect();
    let deployed = |need: &str| {
        let release = installation.definition.releases.iter().find(|release| release.name == need);
        release.and_then(|r| observed.get(&r.namespace, &r.name)).is_some_and(|o| o.status == "deployed")
    };
    let missing = |step: &Step| -> Vec<String> {
        let needs = step.needs.iter().filter(|need| !selected.contains(need.as_str()) && !deployed(need));
        needs.cloned().collect()
    };
    let all: BTreeSet<String> = plan.steps().flat_map(missing).collect();
    let names: Vec<String> =
        selected.iter().map(|n| (*n).to_owned()).chain(all).map(|name| format!("name={name}")).collect();
    let failures: Vec<Failure> = plan
        .steps()
        .filter(|step| !missing(step).is_empty())
        .map(|step| {
            let title =
                format!("{}: it needs {}, not deployed and not selected", step.release, missing(step).join(", "));
            Failure::new(Code::NeedMissing, Kind::Yours, title)
                .help(format!("select these too: -l {}", names.join(",")))
        })
        .collect();
    if failures.is_empty() { Ok(()) } else { Err(Failures::new(failures).exit(exit::REFUSED)) }
}
