//! Whether a helm that somebody else started is still at work on a release on this host: a killed run leaves its
//! children behind.

use std::fs;
use std::path::Path;

/// Looks through the processes of this host for one of this executable that upgrades the release.
pub fn is_at_work(program: &Path, release: &str, namespace: &str) -> bool {
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    processes.flatten().any(|process| {
        let Ok(line) = fs::read(process.path().join("cmdline")) else { return false };
        let args: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        upgrades(&args, program, release, namespace)
    })
}

fn upgrades(args: &[&[u8]], program: &Path, release: &str, namespace: &str) -> bool {
    let has = |wanted: &str| args.contains(&wanted.as_bytes());
    let same_program = args.first().is_some_and(|arg| Path::new(&*String::from_utf8_lossy(arg)) == program);
    let in_namespace = args.windows(2).any(|pair| pair[0] == b"--namespace" && pair[1] == namespace.as_bytes());
    same_program && has("upgrade") && has(release) && in_namespace
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_work_counts() {
        let args: Vec<&[u8]> = vec![b"/c/helm", b"upgrade", b"--install", b"a", b"--namespace", b"n", b""];
        assert!(upgrades(&args, Path::new("/c/helm"), "a", "n"));
        assert!(!upgrades(&args, Path::new("/c/helm"), "b", "n"));
        assert!(!upgrades(&args, Path::new("/c/helm"), "a", "m"));
        assert!(!upgrades(&args, Path::new("/d/helm"), "a", "n"));
    }
}
