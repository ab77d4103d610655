//! What a definition is compared with, as the command line names it, and its files.

use std::path::PathBuf;

use crate::commands::Context;
use crate::commands::workspace::Workspace;
use crate::definition::Tree;
use crate::files;
use crate::tools::Git;
use crate::ui::failure::{Code, Failure, Failures, Kind};

/// What is compared with, and needs no cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Base {
    /// The definition at a revision.
    Git(String),
    /// Another environment of it.
    Environment(String),
    /// The definition in a bundle.
    Bundle(PathBuf),
}

impl Base {
    /// Reads `git:REVISION`, `env:NAME` or `bundle:FILE`.
    pub fn parse(text: &str) -> Result<Base, String> {
        match text.split_once(':') {
            Some((_, "")) | None => {}
            Some(("git", revision)) if !revision.starts_with('-') => return Ok(Base::Git(revision.to_owned())),
            Some(("env", name)) => return Ok(Base::Environment(name.to_owned())),
            Some(("bundle", file)) => return Ok(Base::Bundle(file.into())),
            Some(_) => {}
        }
        Err("write it as git:REVISION, env:NAME or bundle:FILE".to_owned())
    }

    /// The definition's files, with what they are called.
    ///
    /// # Errors
    /// [`Failures`] when they can't be read.
    pub async fn workspace(&self, context: &Context, new: &Workspace) -> Result<(Workspace, String), Failures> {
        match self {
            Base::Git(revision) => {
                let (tree, commit) = at_revision(context, new, revision).await?;
                let name =
                    if commit.starts_with(revision.as_str()) { commit } else { format!("{revision} ({commit})") };
                Ok((new.beside(context, Some(tree))?, format!("git {name}")))
            }
            Base::Environment(name) => Ok((new.beside(context, None)?, format!("environment {name}"))),
            Base::Bundle(file) => Ok((Workspace::of_bundle(context, file)?, format!("bundle {}", file.display()))),
        }
    }
}

async fn at_revision(context: &Context, new: &Workspace, revision: &str) -> Result<(Tree, String), Failures> {
    let Some(folder) = &new.folder else {
        let failure = Failure::new(Code::Usage, Kind::Yours, "a bundle's definition has no revisions");
        return Err(failure.help("name the folder of the definition with -C DIR").into());
    };
    let home = context.surroundings.cache.join("git");
    files::private_folder(&home)?;
    let variables = context.surroundings.variables.clone();
    let interrupt = context.interrupt.clone();
    let git = Git { program: "git".into(), folder: folder.clone(), home, variables, interrupt };
    let failed = |e| crate::ui::failure::git(&folder.display().to_string(), revision, &e);
    let commit = git.commit(revision).await.map_err(failed)?;
    let tree = Tree::from_archive(&git.archive(&commit).await.map_err(failed)?)?;
    if tree.iter().next().is_none() {
        let title = format!("there is no definition in {} at {revision}", folder.display());
        return Err(Failure::new(Code::NoDefinition, Kind::Yours, title).into());
    }
    Ok((tree, commit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_are_named() {
        assert_eq!(Base::parse("git:main~2"), Ok(Base::Git("main~2".to_owned())));
        assert_eq!(Base::parse("env:prod"), Ok(Base::Environment("prod".to_owned())));
        assert_eq!(Base::parse("bundle:a:b.tar"), Ok(Base::Bundle("a:b.tar".into())));
        for text in ["", "main", "git:", "git:--output=x", "env:", "svn:1"] {
            assert!(Base::parse(text).is_err(), "{text}");
        }
    }
}
