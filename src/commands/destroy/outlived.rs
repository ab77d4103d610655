//! Custom resource definitions that outlived their releases: deleting them by name, once nothing of the environment is
//! installed any more. Only those that an earlier removal marked as this environment's.

use super::{Args, confirm, definitions, shown};
use crate::commands::backwards::gather::Gathered;
use crate::commands::{Context, undertake};
use crate::definition::Definition;
use crate::plan::Destruction;
use crate::run::journal::Asked;
use crate::tools::{Kubectl, MarkedDefinition};
use crate::ui::count;
use crate::ui::failure::{self, Code, Failure, Failures, Kind, exit};

/// Deletes what the flags name; what is gone already is no error.
///
/// # Errors
/// [`Failures`] when one is not this environment's alone, and when one can't be deleted.
pub async fn delete(
    context: &Context,
    kubectl: &Kubectl,
    definition: &Definition,
    plan: &Destruction,
    args: &Args,
) -> Result<u8, Failures> {
    let there = if args.delete_crds.is_empty() { Vec::new() } else { definitions::all(kubectl).await? };
    let found = |name: &String| there.iter().find(|found| found.name == *name);
    for name in args.delete_crds.iter().filter(|name| found(name).is_none()) {
        context.ui.say("Plan", format!("CustomResourceDefinition {name} is not there"));
    }
    let names: Vec<String> = args.delete_crds.iter().filter(|name| found(name).is_some()).cloned().collect();
    check(context, kubectl, definition, &names, &there).await?;
    let args = Args { delete_crds: names.clone(), ..args.clone() };
    let text = shown(plan, &Gathered::default(), &args);
    if args.dry_run {
        context.ui.result(&text)?;
        return Ok(0);
    }
    if names.is_empty() {
        return Ok(0);
    }
    context.ui.line(text.trim_end());
    let what = count(names.len(), "custom resource definition");
    confirm::confirmed(context, definition, args.confirm.as_deref(), &what).await?;
    let began = undertake::begin(context, kubectl, definition, "destroy").await?;
    let recorded = began.undertaking.record(Asked::default(), Vec::new(), None).await;
    let result = match recorded {
        Ok(()) => definitions::delete(context, kubectl, &names).await.map(|()| 0),
        Err(error) => Err(failure::not_recorded(&error)),
    };
    began.end(undertake::outcome(&result)).await;
    result
}

/// Every one is marked as this environment's, and no release that is installed brought it.
async fn check(
    context: &Context,
    kubectl: &Kubectl,
    definition: &Definition,
    names: &[String],
    there: &[MarkedDefinition],
) -> Result<(), Failures> {
    let environment = &definition.environment;
    let ours = [Some(environment.platform.clone()), Some(environment.name.clone())];
    let foreign = there.iter().filter(|found| names.contains(&found.name) && found.marks != ours);
    let mut failures: Vec<Failure> = foreign.map(not_ours).collect();
    if failures.is_empty() && !names.is_empty() {
        failures = definitions::needed(context, kubectl, names, &[]).await?;
    }
    if failures.is_empty() { Ok(()) } else { Err(Failures::new(failures).exit(exit::REFUSED)) }
}

fn not_ours(found: &MarkedDefinition) -> Failure {
    let title = format!("CustomResourceDefinition {}: nothing says that it is this environment's", found.name);
    let whose = match &found.marks {
        [Some(platform), Some(environment)] => {
            format!("it is marked as kept of environment {environment} of platform {platform}")
        }
        _ => "it is not marked: no removal by platctl kept it, or one of an older platctl".to_owned(),
    };
    let failure = Failure::new(Code::NotRemoved, Kind::Yours, title).detail(whose);
    failure.help(format!(
        "when nobody else needs it: kubectl delete customresourcedefinition {}   # with every object of it",
        found.name
    ))
}
