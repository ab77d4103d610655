//! Deleting custom resource definitions that were named, once nothing is left that would go with them.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::commands::Context;
use crate::commands::backwards::gather::MARKS;
use crate::plan::BackStep;
use crate::record::Lasting;
use crate::tools::{Kubectl, MarkedDefinition};
use crate::ui::count;
use crate::ui::failure::{self, Code, Failure, Failures, Kind, exit};

/// How long a definition may take to go.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many objects are named.
const SHOWN: usize = 10;

/// What was named is there, and no release that stays brought it, whoever's that is.
///
/// # Errors
/// [`Failures`] when it is not.
pub async fn check(
    context: &Context,
    kubectl: &Kubectl,
    names: &[String],
    removed: &[&BackStep],
) -> Result<(), Failures> {
    if names.is_empty() {
        return Ok(());
    }
    let there = all(kubectl).await?;
    let failures: Vec<Failure> = names
        .iter()
        .filter(|name| there.iter().all(|found| found.name != **name))
        .map(|name| {
            let title = format!("--delete-crds {name}: there is no such custom resource definition");
            Failure::new(Code::Usage, Kind::Yours, title).help("`kubectl get crds` lists their whole names")
        })
        .collect();
    if !failures.is_empty() {
        return Err(Failures::new(failures).exit(exit::USAGE));
    }
    let failures = needed(context, kubectl, names, removed).await?;
    if failures.is_empty() { Ok(()) } else { Err(Failures::new(failures).exit(exit::REFUSED)) }
}

/// All there are, with the marks of whose they are.
///
/// # Errors
/// [`Failures`] when they can't be listed.
pub async fn all(kubectl: &Kubectl) -> Result<Vec<MarkedDefinition>, Failures> {
    let there = kubectl.definitions(MARKS).await;
    there.map_err(|e| failure::cluster("cannot list custom resource definitions", &e))
}

/// A failure for each that a release brought which is not removed, by helm's records.
///
/// # Errors
/// [`Failures`] when the records can't be read.
pub async fn needed(
    context: &Context,
    kubectl: &Kubectl,
    names: &[String],
    removed: &[&BackStep],
) -> Result<Vec<Failure>, Failures> {
    let list = match kubectl.deployed_records(&[]).await {
        Ok(list) => Zeroizing::new(list),
        Err(error) if error.is_forbidden() => {
            let text = "this user may not list Secrets in all namespaces: whether other releases brought the definitions \
                that are to be deleted is not known";
            context.ui.warn(text);
            return Ok(Vec::new());
        }
        Err(error) => return Err(failure::cluster("cannot read helm's records", &error)),
    };
    let releases = Lasting::read_list(&list).map_err(|e| failure::unreadable_record(&e.release.clone(), &e))?;
    let stays = |id: &str| removed.iter().all(|step| step.id() != id);
    let mut failures = Vec::new();
    for (id, lasting) in releases.iter().filter(|(id, _)| stays(id)) {
        failures.extend(names.iter().filter(|name| lasting.definitions.contains(name)).map(|name| {
            let title = format!("CustomResourceDefinition {name}: release {id}, which stays, brought it");
            Failure::new(Code::StillNeeded, Kind::Yours, title)
                .help(format!("leave --delete-crds {name} out, or remove {id} too"))
        }));
    }
    Ok(failures)
}

/// Deletes them. Deleting a definition deletes every object of it, whoever made that: one that still has some is left.
///
/// # Errors
/// [`Failures`], one for each that was not deleted.
pub async fn delete(context: &Context, kubectl: &Kubectl, names: &[String]) -> Result<(), Failures> {
    let mut failures = Vec::new();
    for name in names {
        match left_of(kubectl, name).await {
            Ok(objects) if objects.is_empty() => match delete_one(kubectl, name).await {
                Ok(()) => context.ui.say("Deleted", format!("CustomResourceDefinition {name}")),
                Err(other) => failures.extend(other.failures),
            },
            Ok(objects) => failures.push(still_used(name, &objects)),
            Err(other) => failures.extend(other.failures),
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(Failures::new(failures)) }
}

async fn left_of(kubectl: &Kubectl, name: &str) -> Result<Vec<String>, Failures> {
    match kubectl.objects_of(name).await {
        // Somebody deleted it meanwhile.
        Err(error) if error.stderr().contains("the server doesn't have a resource type") => Ok(Vec::new()),
        result => result.map_err(|e| failure::cluster(&format!("cannot list objects of {name}"), &e)),
    }
}

async fn delete_one(kubectl: &Kubectl, name: &str) -> Result<(), Failures> {
    let deleted = kubectl.delete("customresourcedefinition", None, &[name.to_owned()], PATIENCE).await;
    deleted.map_err(|e| failure::cluster(&format!("cannot delete CustomResourceDefinition {name}"), &e))
}

fn still_used(name: &str, objects: &[String]) -> Failure {
    let title =
        format!("CustomResourceDefinition {name} still has {}: it was not deleted", count(objects.len(), "object"));
    let failure = Failure::new(Code::NotRemoved, Kind::Yours, title)
        .help("delete these first, then run the same command again")
        .help(format!("or delete it with all of them: kubectl delete customresourcedefinition {name}"));
    objects.iter().take(SHOWN).fold(failure, |failure, object| failure.detail(object.trim_start_matches("<none>/")))
}
