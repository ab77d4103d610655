//! Hooks of the definition, made ready to run: their programs in the run's private folder, their variables.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::commands::Context;
use crate::commands::workspace::Workspace;
use crate::definition::{Hook, Hooks};
use crate::execute::Scripts;
use crate::files::{self, FileError};
use crate::tools::{Kubectl, Script};
use crate::ui::failure::Failures;

/// What hooks of the user's surroundings get as it is: where tools are found, and what logins to a cluster may need.
const INHERITED: [&str; 10] =
    ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"];

/// Writes the programs of a release or a tier and says what they are told, beside what `about` says.
///
/// # Errors
/// [`Failures`] when they can't be written.
pub(super) fn prepare(
    context: &Context,
    workspace: &Workspace,
    kubectl: &Kubectl,
    hooks: &Hooks,
    about: &[(&str, &str)],
    folder: &Path,
) -> Result<Scripts, Failures> {
    if hooks.iter().next().is_none() {
        return Ok(Scripts::default());
    }
    files::private_folder(folder)?;
    let tools = tools(kubectl, folder)?;
    let make = |list: &[Hook], when: &str| -> Result<Vec<Script>, Failures> {
        let make = |(number, hook): (usize, &Hook)| {
            let name = hook.path.rsplit('/').next().unwrap_or_default();
            let program = folder.join(format!("{when}-{number}-{name}"));
            executable(&program, workspace.tree.get(&hook.path).unwrap_or_default())?;
            let mut variables = variables(context, kubectl, &tools, folder);
            let about = about.iter().copied().chain([("PLATCTL_HOOK", when)]);
            variables.extend(about.map(|(key, value)| (key.into(), value.into())));
            Ok(Script { name: hook.path.clone(), program, folder: folder.to_owned(), variables, timeout: hook.timeout })
        };
        list.iter().enumerate().map(make).collect()
    };
    Ok(Scripts { before: make(&hooks.before, "before")?, after: make(&hooks.after, "after")? })
}

fn variables(context: &Context, kubectl: &Kubectl, tools: &Path, folder: &Path) -> Vec<(OsString, OsString)> {
    let given =
        |key: &str| context.surroundings.variables.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone());
    let mut variables: Vec<(OsString, OsString)> =
        INHERITED.iter().filter_map(|key| Some(((*key).into(), given(key)?))).collect();
    let path = given("PATH").unwrap_or_default();
    let paths = std::iter::once(tools.to_owned()).chain(std::env::split_paths(&path));
    variables.retain(|(key, _)| key != "PATH");
    variables.push(("PATH".into(), std::env::join_paths(paths).unwrap_or(path)));
    variables.push(("TMPDIR".into(), folder.into()));
    let file = kubectl.cluster.kubeconfig.as_ref().map(|file| absolute(file).into_os_string());
    variables.extend(file.or_else(|| given("KUBECONFIG")).map(|file| ("KUBECONFIG".into(), file)));
    variables.extend(kubectl.cluster.context.as_ref().map(|name| ("PLATCTL_CONTEXT".into(), name.into())));
    variables
}

/// A folder with the environment's kubectl, which talks to the environment's cluster.
fn tools(kubectl: &Kubectl, folder: &Path) -> Result<PathBuf, Failures> {
    let tools = folder.join("bin");
    files::private_folder(&tools)?;
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let context = kubectl.cluster.context.as_ref().map(|name| format!(" --context={}", quoted(name)));
    let program = quoted(&absolute(&kubectl.program).to_string_lossy());
    let text = format!("#!/bin/sh\nexec {program}{} \"$@\"\n", context.unwrap_or_default());
    executable(&tools.join("kubectl"), text.as_bytes())?;
    Ok(tools)
}

fn executable(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    files::write_private(path, bytes)?;
    files::make_executable(path)
}

/// A hook runs in another folder.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
