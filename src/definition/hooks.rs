//! `hooks:` of release.yaml and tier.yaml: programs of the definition that run before or after a release or a tier.
//! Typed and strict; must not run any.

use std::time::Duration;

use super::Tree;
use super::file::duration_field;
use crate::yaml::{Fields, Node, Problem, Sources, Span};

/// The folder beside release.yaml or tier.yaml that programs lie in.
pub(super) const SCRIPTS: &str = "scripts";
/// How long a hook may take that does not say so itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// What runs around a release or a tier, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Before it: when one fails, it is not begun.
    pub before: Vec<Hook>,
    /// After it is done: when one fails, it is not done.
    pub after: Vec<Hook>,
}

/// A program of the definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Its path in the definition.
    pub path: String,
    /// How long it may take.
    pub timeout: Duration,
    /// Where it is declared.
    pub span: Span,
}

impl Hooks {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Hook> {
        self.before.iter().chain(&self.after)
    }
}

/// Reads the map below `hooks`; `folder` is that of the file.
pub(super) fn typed(sources: &Sources, node: Option<&Node>, folder: &str) -> Result<Hooks, Problem> {
    let Some(node) = node else { return Ok(Hooks::default()) };
    let mut fields = Fields::of(sources, node, "`hooks`")?;
    let mut list = |key| -> Result<Vec<Hook>, Problem> {
        fields.list(key)?.iter().map(|node| hook(sources, node, folder)).collect()
    };
    let hooks = Hooks { before: list("before")?, after: list("after")? };
    fields.finish()?;
    Ok(hooks)
}

fn hook(sources: &Sources, node: &Node, folder: &str) -> Result<Hook, Problem> {
    let mut fields = Fields::of(sources, node, "the hook")?;
    let run = fields.need_string("run")?;
    let span = fields.need("run")?.span;
    let plain = |part: &str| !part.is_empty() && !part.starts_with('.');
    if !run.starts_with(&format!("{SCRIPTS}/")) || !run.split('/').all(plain) {
        let problem = fields.problem("a hook is a file of the folder `scripts` beside this file", span);
        return Err(problem.help("write run: scripts/NAME"));
    }
    let timeout = duration_field(&mut fields, "timeout")?.unwrap_or(PATIENCE);
    fields.finish()?;
    Ok(Hook { path: format!("{folder}/{run}"), timeout, span })
}

/// Every hook is there, and something that can be run.
pub(super) fn check(tree: &Tree, sources: &Sources, hooks: &Hooks) -> Result<(), Problem> {
    for hook in hooks.iter() {
        let problem = |message: String| Problem::new(message).at(sources, hook.span);
        match tree.get(&hook.path) {
            None => return Err(problem(format!("there is no file {}", hook.path))),
            Some(bytes) if !bytes.starts_with(b"#!") && !bytes.starts_with(b"\x7fELF") => {
                let problem = problem(format!("{} is no program", hook.path));
                return Err(problem.help("begin a script with a line such as #!/bin/sh"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Definition, Invalid};
    use super::*;

    fn load(hooks: &str, tier: &str, script: &str) -> Result<Definition, Invalid> {
        let mut tree = Tree::default();
        let environment =
            "apiVersion: platctl.dev/v1\nkubeVersion: \"1.34.4\"\ntools: {helm: 4.3.1, kubectl: 1.34.4}\n";
        tree.insert("environments/prod/environment.yaml", environment);
        tree.insert("templates/apps/tier.yaml", format!("apiVersion: platctl.dev/v1\norder: 1\n{tier}"));
        let release = "apiVersion: platctl.dev/v1\nchart: {path: ./chart}\nnamespace: ns\n";
        tree.insert("templates/apps/web/release.yaml", format!("{release}{hooks}"));
        tree.insert("templates/apps/web/scripts/check", script);
        tree.insert("templates/apps/scripts/tier-check", script);
        Definition::load(&tree, "prod")
    }

    #[test]
    fn hooks_are_read_and_a_tiers_scripts_are_no_release() {
        let own = "hooks: {before: [{run: scripts/check, timeout: 30s}], after: [{run: scripts/check}]}\n";
        let definition = load(own, "hooks: {after: [{run: scripts/tier-check}]}\n", "#!/bin/sh\n").unwrap();
        let hooks = &definition.releases[0].hooks;
        assert_eq!((definition.releases.len(), hooks.before.len()), (1, 1));
        assert_eq!(hooks.before[0].path, "templates/apps/web/scripts/check");
        let timeouts = [hooks.before[0].timeout, hooks.after[0].timeout].map(|timeout| timeout.as_secs());
        assert_eq!(timeouts, [30, 60]);
        assert_eq!(definition.tiers[0].hooks.after[0].path, "templates/apps/scripts/tier-check");
    }

    #[test]
    fn what_can_not_run_is_refused() {
        for (hooks, script, said) in [
            ("hooks: {before: [{run: scripts/none}]}\n", "#!", "there is no file templates/apps/web/scripts/none"),
            ("hooks: {before: [{run: scripts/check}]}\n", "echo", "is no program"),
            ("hooks: {before: [{run: ../scripts/check}]}\n", "#!", "a file of the folder `scripts`"),
            ("hooks: {before: [{run: scripts/../check}]}\n", "#!", "a file of the folder `scripts`"),
            ("hooks: {before: [{run: scripts/check, timeout: soon}]}\n", "#!", "no duration"),
            ("hooks: {during: []}\n", "#!", "during"),
        ] {
            let problems = load(hooks, "", script).unwrap_err().to_string();
            assert!(problems.contains(said), "{problems}");
        }
    }
}
