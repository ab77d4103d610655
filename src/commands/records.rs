//! Looking at helm's records: all at once, or, for a user who may not list Secrets of the whole cluster, namespace by
//! namespace. Must not decide what they mean.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Context, installation};
use crate::definition::Definition;
use crate::plan::{Observation, label};
use crate::run::journal::{self, Journal};
use crate::tools::Kubectl;
use crate::ui::count;
use crate::ui::failure::{self, Failures};

/// Namespaces that are asked at the same time: each is a process that mostly computes.
const AT_ONCE: usize = 4;

/// Looks at the cluster once: the guards and helm's records, side by side.
///
/// # Errors
/// As [`table`].
pub async fn observe(context: &Context, kubectl: &Kubectl, definition: &Definition) -> Result<Observation, Failures> {
    Ok(Observation::parse(&table(context, kubectl, definition).await?))
}

/// The labels of helm's records, a line each: of all namespaces, or of those of the definition where the user may see no
/// more, which is then said.
///
/// # Errors
/// [`Failures`] when it is another cluster, can't be reached, or shows this user not even these.
pub async fn table(context: &Context, kubectl: &Kubectl, definition: &Definition) -> Result<String, Failures> {
    let (guard, records) = tokio::join!(installation::guard(kubectl, definition), kubectl.release_records());
    guard?;
    match records {
        Ok(records) => Ok(records),
        Err(error) if error.is_forbidden() => by_namespace(context, kubectl, definition).await,
        Err(error) => Err(failure::cluster("cannot list helm's releases", &error)),
    }
}

async fn by_namespace(context: &Context, kubectl: &Kubectl, definition: &Definition) -> Result<String, Failures> {
    let namespaces: BTreeSet<&str> = definition.releases.iter().map(|release| release.namespace.as_str()).collect();
    let asked = count(namespaces.len(), "namespace");
    let one = |namespace| async move {
        let records = kubectl.release_records_in(namespace).await;
        records.map_err(|error| failure::records_hidden(namespace, &error))
    };
    let found: Vec<String> = stream::iter(namespaces).map(one).buffered(AT_ONCE).try_collect().await?;
    context.ui.warn(format!(
        "this user may not list Secrets in all namespaces: only the {asked} of the definition are looked at, and what was \
         installed elsewhere and is no longer declared is not seen"
    ));
    Ok(found.concat())
}

/// The Secrets that were made for releases of an environment, in all namespaces or, for a user who may see no more, in these:
/// namespace, name, …, labels.
///
/// # Errors
/// [`Failures`] when they can't be listed.
pub async fn own_secrets(
    kubectl: &Kubectl,
    definition: &Definition,
    namespaces: &BTreeSet<&str>,
) -> Result<String, Failures> {
    let environment = &definition.environment;
    let selector = format!(
        "{}={},{}={},{}",
        label::PLATFORM,
        environment.platform,
        label::ENVIRONMENT,
        environment.name,
        label::RELEASE
    );
    let refused = |error| failure::cluster("cannot list the Secrets that were made for releases", &error);
    match kubectl.secrets(None, &selector).await {
        Err(error) if error.is_forbidden() => {}
        result => return result.map_err(refused),
    }
    let names: Vec<String> = namespaces.iter().map(|name| (*name).to_owned()).collect();
    let selector = &selector;
    let one = |namespace: String| async move { kubectl.secrets(Some(&namespace), selector).await };
    let found: Vec<String> = stream::iter(names).map(one).buffered(AT_ONCE).try_collect().await.map_err(refused)?;
    Ok(found.concat())
}

/// The journals of an environment's runs that are kept in the cluster, oldest first; none for a user who may not see them,
/// which is then said.
///
/// # Errors
/// [`Failures`] when the cluster can't be asked.
pub async fn journals(context: &Context, kubectl: &Kubectl, definition: &Definition) -> Result<Vec<Journal>, Failures> {
    let environment = &definition.environment;
    let namespace = &context.global.state_namespace;
    match journal::all_published(kubectl, namespace, &environment.platform, &environment.name).await {
        Err(error) if error.is_forbidden() => {
            context.ui.warn(format!("this user may not list ConfigMaps in {namespace}: no run's journal is seen"));
            Ok(Vec::new())
        }
        journals => journals.map_err(|e| failure::cluster("cannot list the journals of runs", &e)),
    }
}
