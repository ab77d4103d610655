//! Deleting custom resource definitions that were named, once nothing is left that would go with them.

use std::time::Duration;

use crate::commands::Context;
use crate::tools::Kubectl;
use crate::ui::count;
use crate::ui::failure::{self, Code, Failure, Failures, Kind, exit};

/// How long a definition may take to go.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many objects are named.
const SHOWN: usize = 10;

/// What was named is there.
///
/// # Errors
/// [`Failures`] when it is not.
pub async fn check(kubectl: &Kubectl, names: &[String]) -> Result<(), Failures> {
    if names.is_empty() {
        return Ok(());
    }
    let there = kubectl.definitions().await;
    let there = there.map_err(|e| failure::cluster("cannot list custom resource definitions", &e))?;
    let failures: Vec<Failure> = names
        .iter()
        .filter(|name| !there.contains(name))
        .map(|name| {
            let title = format!("--delete-crds {name}: there is no such custom resource definition");
            Failure::new(Code::Usage, Kind::Yours, title).help("`kubectl get crds` lists their whole names")
        })
        .collect();
    if failures.is_empty() { Ok(()) } else { Err(Failures::new(failures).exit(exit::USAGE)) }
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
        .help("delete these first, or the definition with all of them: kubectl delete customresourcedefinition");
    objects.iter().take(SHOWN).fold(failure, |failure, object| failure.detail(object.trim_start_matches("<none>/")))
}
