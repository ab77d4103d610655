//! `apply --resume`: goes on with the last run of the environment that did not end well, as it was asked for.

use std::fs;

use clap::Parser;

use super::Args;
use crate::commands::workspace::Workspace;
use crate::commands::{Context, undertake};
use crate::definition::Definition;
use crate::plan::Saved;
use crate::run::journal::{self, Asked, Journal, State};
use crate::tools::Kubectl;
use crate::ui::failure::{self, Code, Failure, Failures, Kind, exit};

/// The verb's flags alone.
#[derive(Parser)]
struct Again {
    #[command(flatten)]
    args: Args,
}

/// What a run was asked for, so that it can be asked for again. Flags that say how to look, or what to do about an
/// earlier run, are left out.
pub(super) fn asked(context: &Context, args: &Args, reviewed: Option<&Saved>) -> Asked {
    let mut flags = Vec::new();
    let all = [(args.prune, "--prune"), (args.skip_needs, "--skip-needs"), (args.fail_fast, "--fail-fast")];
    for (given, flag) in all {
        if given {
            flags.push(flag.to_owned());
        }
    }
    flags.extend(args.claiming.flags());
    // A plan that was reviewed is not done again once a part of it was done; what it was about is.
    let selector = reviewed.map_or(&context.global.selector, |saved| &saved.selector);
    Asked { selector: selector.clone(), flags }
}

/// The run to go on with, as the flags would ask for it; none when the last one ended well.
///
/// # Errors
/// [`Failures`] when flags contradict it, or when the cluster can't be asked.
pub(super) async fn resumed(context: &Context, args: Args) -> Result<Option<(Context, Args)>, Failures> {
    if context.global.selector.is_some() {
        let title = "a run that is resumed has the selection that it had";
        let failure = Failure::new(Code::Usage, Kind::Yours, title).help("leave out -l, or leave out --resume");
        return Err(Failures::from(failure).exit(exit::USAGE));
    }
    let workspace = Workspace::open(context)?;
    let definition = workspace.definition(context)?;
    let kubectl = workspace.kubectl(context, &definition.environment).await?;
    let Some(journal) = last(context, &kubectl, &definition).await? else {
        context.ui.say("Resume", "nothing: no run of this environment is known");
        return Ok(None);
    };
    if !journal.is_unfinished() {
        let when = journal.ended.as_deref().unwrap_or(&journal.began);
        context.ui.say("Resume", format!("nothing: run {} ended well at {when}", journal.run));
        return Ok(None);
    }
    if journal.verb != "apply" {
        let title = format!("the last run was `{}`, which is not resumed by apply", journal.verb);
        let help = format!("run {} again: what is done stays as it is", journal.verb);
        return Err(
            Failures::from(Failure::new(Code::NothingToResume, Kind::Yours, title).help(help)).exit(exit::REFUSED)
        );
    }
    context.ui.say("Resume", told(&journal));
    again(context, args, journal).map(Some)
}

/// The last run of an environment that this host or the cluster knows of.
async fn last(context: &Context, kubectl: &Kubectl, definition: &Definition) -> Result<Option<Journal>, Failures> {
    let (platform, environment) = (&definition.environment.platform, &definition.environment.name);
    let namespace = &context.global.state_namespace;
    let published = journal::all_published(kubectl, namespace, platform, environment).await;
    let published = published.map_err(|e| failure::cluster("cannot list the journals of earlier runs", &e))?;
    let here = local(context).into_iter().filter(|j| j.platform == *platform && j.environment == *environment);
    Ok(journal::newest(published.into_iter().chain(here)))
}

fn local(context: &Context) -> Vec<Journal> {
    let folders = fs::read_dir(undertake::runs(context)).into_iter().flatten().flatten();
    let journal = |folder: fs::DirEntry| {
        let run = folder.file_name().to_string_lossy().trim_start_matches("run-").to_owned();
        Journal::read(&run, &fs::read_to_string(folder.path().join(journal::FILE)).ok()?).ok()
    };
    folders.filter_map(journal).collect()
}

/// One line: what was done of it, and what not.
fn told(journal: &Journal) -> String {
    let names = |wanted: fn(State) -> bool| {
        let found = journal.releases.iter().filter(|entry| wanted(entry.state));
        found.map(|entry| entry.release.as_str()).collect::<Vec<_>>().join(", ")
    };
    let done = journal.releases.iter().filter(|entry| entry.state == State::Done).count();
    let mut text = format!("run {}: {done} of {} done", journal.run, journal.releases.len());
    for (names, said) in [
        (names(|state| state == State::Running), "in the middle of"),
        (names(|state| state == State::Failed), "failed"),
        (names(|state| matches!(state, State::Waiting | State::Skipped)), "not begun"),
    ] {
        if !names.is_empty() {
            text.push_str(&format!("; {said}: {names}"));
        }
    }
    text
}

/// The flags of that run, and its selection.
fn again(context: &Context, args: Args, journal: Journal) -> Result<(Context, Args), Failures> {
    let words = std::iter::once("apply".to_owned()).chain(journal.asked.flags.iter().cloned());
    let parsed = Again::try_parse_from(words).map_err(|_| {
        let title = format!("run {} was asked for with flags that this platctl does not know", journal.run);
        Failure::new(Code::Usage, Kind::Yours, title).help(format!("they were: {}", journal.asked.flags.join(" ")))
    })?;
    let mut global = context.global.clone();
    global.selector = journal.asked.selector.clone();
    let resumed = Context {
        surroundings: context.surroundings.clone(),
        global,
        ui: context.ui.clone(),
        interrupt: context.interrupt.clone(),
    };
    let args = Args { resumes: Some(journal.run), recover: args.recover, dry_run: args.dry_run, ..parsed.args };
    Ok((resumed, args))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::journal::Entry;

    #[test]
    fn what_is_done_and_what_is_left_is_told() {
        let mut journal = Journal::begun("r", "apply", "p", "e", String::new(), "h");
        for (name, state) in [("a", State::Done), ("b", State::Running), ("c", State::Waiting), ("d", State::Skipped)] {
            journal.releases.push(Entry { state, ..Entry::waiting(name, "n", "install", None) });
        }
        assert_eq!(told(&journal), "run r: 1 of 4 done; in the middle of: b; not begun: c, d");
    }

    #[test]
    fn flags_are_read_again() {
        let args = Again::try_parse_from(["apply", "--skip-needs"]).unwrap().args;
        assert!(args.skip_needs && !args.resume);
        assert!(Again::try_parse_from(["apply", "--of-a-later-version"]).is_err());
    }
}
