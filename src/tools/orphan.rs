//! Whether a helm that somebody else started is still at work on a release on this host: a killed run leaves its
//! children behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The releases, with their namespaces, that a helm of this executable is upgrading on this host right now.
pub fn at_work(program: &Path) -> BTreeSet<(String, String)> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|process| upgrade(&fs::read(process.path().join("cmdline")).ok()?, program)).collect()
}

/// Release and namespace of a command line as [`super::Helm::upgrade`] writes it.
fn upgrade(line: &[u8], program: &Path) -> Option<(String, String)> {
    let args: Vec<String> =
        line.split(|byte| *byte == 0).map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
    match args.as_slice() {
        [helm, verb, install, release, _, flag, namespace, ..]
            if Path::new(helm) == program && verb == "upgrade" && install == "--install" && flag == "--namespace" =>
        {
            Some((release.clone(), namespace.clone()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_upgrades_of_the_same_executable_count() {
        let line = b"/c/helm\0upgrade\0--install\0a\0/store/x\0--namespace\0n\0--values\0-\0";
        assert_eq!(upgrade(line, Path::new("/c/helm")), Some(("a".to_owned(), "n".to_owned())));
        assert_eq!(upgrade(line, Path::new("/d/helm")), None);
        assert_eq!(upgrade(b"/c/helm\0template\0a\0", Path::new("/c/helm")), None);
        assert_eq!(upgrade(b"", Path::new("/c/helm")), None);
    }
}
