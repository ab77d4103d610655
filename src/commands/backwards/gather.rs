//! What must be known of releases before they are removed: what lasts of them, and which Secrets go with them. Must not
//! change anything.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::commands::records;
use crate::definition::Definition;
use crate::execute::{self, BackWork};
use crate::plan::{self, BackStep, Deed, Keeps, label};
use crate::record::Lasting;
use crate::tools::Kubectl;
use crate::ui::failure::{self, Failures};

/// Questions that are asked at the same time.
const AT_ONCE: usize = 4;

/// Labels that say whose a definition is that outlived its releases: helm's records no longer do.
pub const MARKS: [&str; 2] = [label::PLATFORM, label::ENVIRONMENT];

/// What is known of releases that are to be removed.
#[derive(Default)]
pub struct Gathered {
    /// What stays.
    pub keeps: Keeps,
    /// How each is removed.
    pub work: BTreeMap<String, BackWork>,
}

/// Looks at releases that are to be removed.
///
/// # Errors
/// [`Failures`] when the cluster can't be asked, or a record can't be read.
pub async fn removal(
    kubectl: &Kubectl,
    definition: &Definition,
    steps: &[&BackStep],
    staying: &[(String, String)],
) -> Result<Gathered, Failures> {
    let namespaces: BTreeSet<&str> = steps.iter().map(|step| step.namespace.as_str()).collect();
    let (lasting, claims, definitions, secrets) = tokio::try_join!(
        lasting(kubectl, steps),
        claims(kubectl, &namespaces),
        definitions(kubectl),
        records::own_secrets(kubectl, definition, &namespaces),
    )?;
    let keeps = Keeps::find(steps, &lasting, &claims, &definitions);
    let mut secrets = plan::own_secrets(definition, steps, staying, &secrets);
    let mut work = work(definition, steps, &lasting);
    for (id, work) in &mut work {
        work.secrets = secrets.remove(id).unwrap_or_default();
    }
    Ok(Gathered { work, keeps })
}

/// Looks at the revisions that releases are taken back to.
///
/// # Errors
/// [`Failures`] when the cluster can't be asked, or a record can't be read.
pub async fn rollback(
    kubectl: &Kubectl,
    definition: &Definition,
    steps: &[&BackStep],
) -> Result<BTreeMap<String, BackWork>, Failures> {
    Ok(work(definition, steps, &lasting(kubectl, steps).await?))
}

/// How long releases may take, and whether they are waited for: of each by `namespace/release`.
pub fn work(
    definition: &Definition,
    steps: &[&BackStep],
    lasting: &BTreeMap<String, Lasting>,
) -> BTreeMap<String, BackWork> {
    let one = |step: &&BackStep| {
        let mut releases = definition.releases.iter();
        let declared = releases.find(|release| release.name == step.release && release.namespace == step.namespace);
        let timeout = declared.map_or(definition.environment.timeouts.release, |release| release.timeout);
        let at_most = execute::at_most(timeout, lasting.get(&step.id()).map_or(0, |lasting| lasting.hooks));
        let wait = declared.is_none_or(|release| release.wait);
        (step.id(), BackWork { wait, timeout, at_most, ..BackWork::default() })
    };
    steps.iter().map(one).collect()
}

async fn lasting(kubectl: &Kubectl, steps: &[&BackStep]) -> Result<BTreeMap<String, Lasting>, Failures> {
    let one = |step: &BackStep| {
        let (id, release, namespace) = (step.id(), step.release.clone(), step.namespace.clone());
        // helm runs the hooks of the revision that it goes back to.
        let revision = if let Deed::RollBack { to, .. } = step.deed { to } else { step.revision };
        async move {
            match kubectl.release_record(&namespace, &release, revision).await {
                Ok(secret) => {
                    let lasting = Lasting::read(&secret).map_err(|e| failure::unreadable_record(&id, &e))?;
                    Ok((id, lasting))
                }
                Err(error) if error.is_not_found() => Ok((id, Lasting::default())),
                Err(error) => Err(failure::cluster(&format!("cannot read helm's record of {id}"), &error)),
            }
        }
    };
    stream::iter(steps.iter().map(|step| one(step))).buffered(AT_ONCE).try_collect().await
}

async fn claims(
    kubectl: &Kubectl,
    namespaces: &BTreeSet<&str>,
) -> Result<BTreeMap<String, serde_json::Value>, Failures> {
    let one = |namespace: String| async move {
        let claims = kubectl.claims(&namespace).await;
        let what = format!("cannot list the PersistentVolumeClaims of {namespace}");
        claims.map(|claims| (namespace, claims)).map_err(|e| failure::cluster(&what, &e))
    };
    let names: Vec<String> = namespaces.iter().map(|name| (*name).to_owned()).collect();
    stream::iter(names.into_iter().map(one)).buffered(AT_ONCE).try_collect().await
}

async fn definitions(kubectl: &Kubectl) -> Result<Vec<String>, Failures> {
    match kubectl.definitions(MARKS).await {
        // Whoever may not list them can't have made any, nor delete one.
        Err(error) if error.is_forbidden() => Ok(Vec::new()),
        Err(error) => Err(failure::cluster("cannot list custom resource definitions", &error)),
        Ok(found) => Ok(found.into_iter().map(|definition| definition.name).collect()),
    }
}
