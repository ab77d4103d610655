//! `platctl secrets`: the encrypted values of an environment, in the folder of its definition. What its verbs have in
//! common is here; each is a file.

mod edit;
mod generate;
mod rotate;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use clap::Subcommand;
use serde_json::Value as Json;
use zeroize::Zeroizing;

use super::Context;
use super::workspace::Workspace;
use crate::definition::{Definition, Release};
use crate::secrets::{self, Draft, FILE, Layers, Made, Revealed, SecretsError, Wanted};
use crate::tools::Sops;
use crate::ui::failure::{Code, Failure, Failures, Kind};

/// Flags of `secrets`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Make what releases declare and the environment lacks; what is there stays
    Generate(generate::Args),
    /// Open the environment's secrets.yaml in $EDITOR, decrypted
    Edit,
    /// Make one secret anew, as its release declares it
    Rotate(rotate::Args),
}

impl Args {
    /// Whether somebody is typing, and must not be cut off.
    pub fn is_interactive(&self) -> bool {
        matches!(self.verb, Verb::Edit)
    }
}

/// Runs the verb.
///
/// # Errors
/// [`Failures`].
pub async fn run(context: &Context, args: Args) -> Result<u8, Failures> {
    let desk = Desk::open(context)?;
    match args.verb {
        Verb::Generate(args) => generate::run(context, &desk, &args).await,
        Verb::Edit => edit::run(context, &desk).await,
        Verb::Rotate(args) => rotate::run(context, &desk, &args).await,
    }
}

/// What the verbs work on.
struct Desk {
    workspace: Workspace,
    definition: Definition,
    folder: PathBuf,
    /// The encrypted files as they were read.
    layers: Layers,
}

impl Desk {
    fn open(context: &Context) -> Result<Desk, Failures> {
        let workspace = Workspace::open(context)?;
        let Some(folder) = workspace.folder.clone() else {
            let failure = Failure::new(
                Code::Usage,
                Kind::Yours,
                "secrets are changed in a folder, and this definition is in a bundle",
            );
            return Err(failure
                .help("unpack it with `platctl unpack FILE DIR`, and run this again with -C DIR")
                .into());
        };
        let definition = workspace.definition_without_secrets(context)?;
        let layers = Layers::read(&workspace.tree, &definition.environment.layers)?;
        Ok(Desk { workspace, definition, folder, layers })
    }

    /// What releases ask for.
    fn wanted<'r>(&self, releases: impl Iterator<Item = &'r Release>) -> Wanted {
        let uses =
            releases.flat_map(|release| release.secret_uses().map(|used| (used.name.clone(), release.name.clone())));
        Wanted::new(uses, self.definition.generated.clone())
    }

    /// Where the environment's own file lies in the definition.
    fn path(&self) -> String {
        format!("environments/{}/{FILE}", self.definition.environment.name)
    }

    async fn sops(&self, context: &Context) -> Result<Sops, Failures> {
        self.workspace.sops(context, &self.definition.environment).await
    }

    fn draft<'s>(&self, sops: &'s Sops) -> Result<Draft<'s>, SecretsError> {
        let read = self.workspace.tree.get(&self.path());
        Draft::begin(sops, &self.folder, &self.definition.environment.name, read)
    }

    /// Makes secrets in the order given, and writes them all or none.
    async fn make(&self, sops: &Sops, wanted: &Wanted, names: &[&str]) -> Result<(), SecretsError> {
        let revealed = self.ingredients(sops, wanted, names).await?;
        let mut known: BTreeMap<String, Zeroizing<String>> = BTreeMap::new();
        let mut values: Vec<(&str, Json)> = Vec::new();
        for name in names {
            let Some(declaration) = wanted.declarations().get(*name) else { continue };
            let look = |name: &str| {
                known.get(name).cloned().or_else(|| revealed.get(name).map(|text| Zeroizing::new(text.to_owned())))
            };
            let made = secrets::make(&declaration.generate, &look, SystemTime::now());
            let made = made.map_err(|source| SecretsError::Generate { name: (*name).to_owned(), source })?;
            remember(&mut known, name, &made);
            values.push((name, made.to_json()));
        }
        let draft = self.draft(sops)?;
        draft.set(&values).await?;
        draft.keep(names)
    }

    /// The values of what is there and something is made of; a key is needed only then.
    async fn ingredients(&self, sops: &Sops, wanted: &Wanted, names: &[&str]) -> Result<Revealed, SecretsError> {
        let needs = names.iter().filter_map(|name| wanted.declarations().get(*name)?.generate.needs());
        if needs.filter(|need| !names.contains(need)).any(|need| self.layers.has(need)) {
            return self.layers.reveal(sops).await;
        }
        Ok(Revealed::default())
    }
}

fn remember(known: &mut BTreeMap<String, Zeroizing<String>>, name: &str, made: &Made) {
    for part in [None, Some("cert"), Some("key"), Some("ca")] {
        if let Some(text) = made.text(part) {
            let name = part.map_or_else(|| name.to_owned(), |part| format!("{name}.{part}"));
            known.insert(name, Zeroizing::new(text.to_owned()));
        }
    }
}
