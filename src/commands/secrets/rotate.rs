//! `platctl secrets rotate`: makes one secret anew, and says what that brings with it.

use super::Desk;
use crate::commands::Context;
use crate::secrets::Wanted;
use crate::ui::failure::{Code, Failure, Failures, Kind};
use crate::yaml::nearest;

/// Flags of `secrets rotate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The secret, such as mlflow.dbPassword
    name: String,
}

/// Runs the verb.
pub(super) async fn run(context: &Context, desk: &Desk, args: &Args) -> Result<u8, Failures> {
    let environment = &desk.definition.environment.name;
    let wanted = desk.wanted(desk.definition.releases.iter());
    let name = args.name.as_str();
    if !wanted.declarations().contains_key(name) {
        return Err(undeclared(environment, &wanted, name));
    }
    let sops = desk.sops(context).await?;
    desk.make(&sops, &wanted, &[name]).await?;
    let users = wanted.users(name);
    let change = match users.len() {
        0 => "no release uses it".to_owned(),
        _ => format!("the next apply changes {}", users.into_iter().collect::<Vec<_>>().join(", ")),
    };
    context.ui.say("Rotated", format!("{name} in {}; {change}", desk.path()));
    for child in wanted.made_of(name).into_iter().filter(|child| desk.layers.has(child)) {
        context.ui.warn(format!(
            "{child} is still made of the old {name}: `platctl secrets rotate {child} -e {environment}`"
        ));
    }
    Ok(0)
}

fn undeclared(environment: &str, wanted: &Wanted, name: &str) -> Failures {
    let title = format!("secret `{name}` has no `generate` in any release.yaml, so there is no way to make it anew");
    let declared: Vec<&str> = wanted.declarations().keys().map(String::as_str).collect();
    let failure = Failure::new(Code::SecretNotMade, Kind::Yours, title);
    let failure = match (wanted.whole(name), nearest(name, &declared)) {
        (Some(whole), _) => failure.help(format!("it is a part of `{whole}`: rotate that")),
        (None, _) if wanted.knows(name) => {
            failure.help(format!("set it yourself with `platctl secrets edit -e {environment}`"))
        }
        (None, Some(near)) => failure.help(format!("did you mean `{near}`?")),
        (None, None) => failure.help(format!("declared are: {}", declared.join(", "))),
    };
    failure.into()
}
