//! `platctl secrets generate`: makes what is declared and missing, once.

use serde_json::json;

use super::Desk;
use crate::commands::{API_VERSION, Context, Format};
use crate::definition::{Generate, Release};
use crate::ui::failure::{self, Failures};
use crate::ui::{count, table};

/// Flags of `secrets generate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How to write what was made
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

/// Runs the verb.
pub(super) async fn run(context: &Context, desk: &Desk, args: &Args) -> Result<u8, Failures> {
    let selector = context.global.selector()?;
    let releases: Vec<&Release> =
        desk.definition.releases.iter().filter(|release| selector.matches(&desk.definition, release)).collect();
    if releases.is_empty() && !selector.is_all() {
        return Err(failure::nothing_selected(&desk.definition));
    }
    let wanted = desk.wanted(releases.into_iter());
    let names = wanted.to_make(&desk.layers);
    let by_hand = wanted.by_hand(&desk.layers);
    let there = wanted.declared().into_iter().filter(|name| desk.layers.has(name)).count();
    if !names.is_empty() {
        let sops = desk.sops(context).await?;
        desk.make(&sops, &wanted, &names).await?;
    }
    let kind = |name: &str| wanted.declarations().get(name).map_or("", |declared| kind(&declared.generate));
    match args.output {
        Format::Json => {
            let made: Vec<_> = names.iter().map(|name| json!({"name": name, "kind": kind(name)})).collect();
            let missing: Vec<_> =
                by_hand.iter().map(|(name, users)| json!({"name": name, "releases": users})).collect();
            let result = json!({
                "apiVersion": API_VERSION,
                "environment": desk.definition.environment.name,
                "file": desk.path(),
                "generated": made,
                "present": there,
                "missing": missing,
            });
            context.ui.result(&format!("{result:#}\n"))?;
        }
        Format::Text if !names.is_empty() => {
            let rows: Vec<Vec<String>> =
                names.iter().map(|name| vec![(*name).to_owned(), kind(name).to_owned()]).collect();
            context.ui.result(&table(&["GENERATED", "KIND"], &rows))?;
        }
        Format::Text => {}
    }
    let made = match names.len() {
        0 => "nothing".to_owned(),
        made => format!("{} into {}", count(made, "secret"), desk.path()),
    };
    context.ui.say("Generated", format!("{made}; {there} there already"));
    if by_hand.is_empty() {
        return Ok(0);
    }
    Err(failure::secrets_by_hand(&desk.definition.environment.name, &by_hand))
}

/// The kind as release.yaml has it.
fn kind(generate: &Generate) -> &'static str {
    match generate {
        Generate::Random { .. } => "random",
        Generate::Ca { .. } => "ca",
        Generate::Tls { .. } => "tls",
        Generate::Htpasswd { .. } => "htpasswd",
    }
}
