//! What is fuzzed: functions of bytes that may fail in any way but panic, hang or break their promises.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use platctl::bundle::{Bundle, KeyFile, Trust};
use platctl::definition::{LARGEST_CHART, Tree, chart_yaml_in, visit_chart};
use platctl::image::Reference;

/// A file in memory, with a path for as long as it lives.
struct InMemory(std::fs::File);

impl InMemory {
    fn of(bytes: &[u8]) -> InMemory {
        let file = rustix::fs::memfd_create("fuzzed", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let mut file = std::fs::File::from(file);
        file.write_all(bytes).unwrap();
        InMemory(file)
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}

/// A bundle: opened, and everything in it read. Whether it was taken.
pub fn bundle(bytes: &[u8]) -> bool {
    let file = InMemory::of(bytes);
    let Ok(bundle) = Bundle::trusted(&file.path(), &Trust::default()) else { return false };
    let names = bundle.charts().iter().flat_map(|chart| [&chart.name, &chart.version]);
    let tools = bundle.tools().iter().chain([bundle.platctl()]).flat_map(|tool| [&tool.name, &tool.title]);
    for name in names.chain(tools).map(String::as_str).chain([bundle.environment()]) {
        assert!(Path::new(name).file_name().is_some_and(|file| file == name), "{name:?} is no name of a file");
        assert!(!name.contains(char::is_control), "{name:?} is not for a terminal");
    }
    assert_eq!(bundle.size(), bytes.len() as u64);
    let _ = platctl::bundle::shared(bundle.images());
    let _ = bundle.places();
    if let Ok(tar) = bundle.definition() {
        definition(&tar);
    }
    let verified = bundle.verify(&|_| {}).unwrap();
    for chart in bundle.charts() {
        // What is damaged is never given out.
        let damaged = verified.damaged.iter().any(|damage| damage.expected == chart.package.digest);
        assert_eq!(bundle.read(&chart.package).is_err(), damaged);
    }
    true
}

/// A signature on a bundle that is good but for it.
pub fn signature(bundle: &[u8], key: &Path) -> bool {
    let file = InMemory::of(bundle);
    Bundle::trusted(&file.path(), &Trust::read(&[key.to_owned()], &[]).unwrap()).is_ok()
}

/// The file of a key, public or secret.
pub fn key(bytes: &[u8]) -> bool {
    let file = InMemory::of(bytes);
    let public = Trust::read(&[file.path()], &[]).is_ok();
    let secret = KeyFile::read(&file.path());
    // What costs much to open is not: minisign's own costs are a second each.
    public | secret.is_ok_and(|key| !key.is_encrypted() && key.open("").is_ok())
}

/// A definition's tar.
pub fn definition(bytes: &[u8]) -> bool {
    let Ok(tree) = Tree::from_tar(bytes) else { return false };
    for (path, _) in tree.iter() {
        let parts = Path::new(path).components();
        assert!(parts.clone().all(|part| matches!(part, std::path::Component::Normal(_))), "{path:?} leads away");
        assert_eq!(parts.collect::<PathBuf>(), Path::new(path));
    }
    let packed = tree.to_tar().unwrap();
    assert_eq!(Tree::from_tar(&packed).unwrap(), tree, "what is packed is what was unpacked");
    true
}

/// A chart's archive.
pub fn chart(bytes: &[u8]) -> bool {
    let mut total = 0;
    let visited = visit_chart(bytes, &mut |path, file| {
        assert!(!path.is_empty() && !path.starts_with('/'), "{path:?}");
        assert!(path.split('/').all(|part| !matches!(part, "" | "." | "..")), "{path:?}");
        total += std::io::copy(file, &mut std::io::sink())?;
        assert!(total < LARGEST_CHART, "more than helm takes");
        Ok(())
    });
    let named = chart_yaml_in(bytes);
    assert!(visited.is_ok() || named.is_err(), "a chart that is refused has no name");
    visited.is_ok()
}

/// An image reference: what is shown of one is read as the same one.
pub fn reference(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(reference) = text.parse::<Reference>() else { return false };
    let shown = reference.to_string();
    let again: Reference = shown.parse().unwrap_or_else(|error| panic!("{text:?} is shown as {shown:?}: {error}"));
    assert_eq!(again, reference, "{text:?} is shown as {shown:?}");
    assert!(reference.repository().len() + reference.wanted().len() < shown.len() + 80);
    true
}
