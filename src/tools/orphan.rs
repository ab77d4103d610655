//! Whether a helm that somebody else started is still at work on a release on this host: a killed run leaves its
//! children behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The releases, with their namespaces, that a helm of this executable is changing on this host right now.
pub fn at_work(program: &Path) -> BTreeSet<(String, String)> {
    command_lines().filter_map(|line| change(&line, program)).collect()
}

/// The releases that a helm of any executable is upgrading on this host with this label, which is the run's.
pub fn with_label(label: &str) -> BTreeSet<String> {
    command_lines().filter_map(|line| labelled(&line, label)).collect()
}

/// The command line of every process; that of one that has ended is empty.
fn command_lines() -> impl Iterator<Item = Vec<String>> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|process| Some(arguments(&fs::read(process.path().join("cmdline")).ok()?)))
}

fn arguments(line: &[u8]) -> Vec<String> {
    line.split(|byte| *byte == 0).map(|arg| String::from_utf8_lossy(arg).into_owned()).collect()
}

/// Release and namespace of a command line as [`super::Helm`] writes it.
fn change(args: &[String], program: &Path) -> Option<(String, String)> {
    let (release, rest) = match args {
        [helm, ..] if Path::new(helm) != program => return None,
        [_, verb, install, release, rest @ ..] if verb == "upgrade" && install == "--install" => (release, rest),
        [_, verb, release, rest @ ..] if verb == "rollback" || verb == "uninstall" => (release, rest),
        _ => return None,
    };
    let flag = rest.iter().take(2).position(|arg| arg == "--namespace")?;
    Some((release.clone(), rest.get(flag + 1)?.clone()))
}

fn labelled(args: &[String], label: &str) -> Option<String> {
    let labels = args.iter().find_map(|arg| arg.strip_prefix("--labels="))?;
    let upgrade = args.get(1).is_some_and(|verb| verb == "upgrade") && labels.split(',').any(|found| found == label);
    if upgrade { args.get(3).cloned() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_by_the_same_executable_count() {
        let pair = |release: &str, namespace: &str| Some((release.to_owned(), namespace.to_owned()));
        let upgrade = b"/c/helm\0upgrade\0--install\0a\0/store/x\0--namespace\0n\0--values\0-\0";
        type Case<'a> = (&'a [u8], Option<(String, String)>);
        let cases: [Case<'_>; 6] = [
            (upgrade, pair("a", "n")),
            (b"/c/helm\0rollback\0a\x003\0--namespace\0n\0", pair("a", "n")),
            (b"/c/helm\0uninstall\0b\0--namespace\0n\0--wait\0", pair("b", "n")),
            (b"/d/helm\0upgrade\0--install\0a\0/store/x\0--namespace\0n\0", None),
            (b"/c/helm\0template\0a\0", None),
            (b"", None),
        ];
        for (line, expected) in cases {
            assert_eq!(change(&arguments(line), Path::new("/c/helm")), expected, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn a_run_is_known_by_its_label_whatever_the_executable() {
        let line = b"/d/helm\0upgrade\0--install\0a\0x\0--labels=p/run=20261121-193000-abcd,p/e=f\0";
        let of = |label: &str| labelled(&arguments(line), label);
        assert_eq!(of("p/run=20261121-193000-abcd"), Some("a".to_owned()));
        assert_eq!(of("p/run=20261121-193000-abce"), None);
        assert_eq!(labelled(&arguments(b"grep\0--labels=p/run=1\0"), "p/run=1"), None);
    }
}
