//! Looks for planted secrets wherever they must not be: in texts, files, archives and the arguments of processes, plain
//! and in every encoding. Knows nothing of how the program hides them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Secrets to look for.
#[derive(Clone)]
pub struct Planted {
    forms: Vec<(String, Vec<u8>)>,
    /// Which forms begin with two bytes.
    by_start: Vec<Vec<usize>>,
}

impl Planted {
    /// Secrets by name.
    pub fn new<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a str)>) -> Planted {
        let mut forms = BTreeSet::new();
        for (name, secret) in secrets {
            let lines = secret.lines().filter(|line| line.len() >= 8 && !line.starts_with("-----"));
            for text in [secret].into_iter().chain(lines) {
                for (kind, form) in shapes(text) {
                    assert!(form.len() >= 8, "{name} is too short to be looked for as {kind}");
                    forms.insert((format!("{name} {kind}"), form));
                }
            }
        }
        let forms: Vec<(String, Vec<u8>)> = forms.into_iter().collect();
        let mut by_start = vec![Vec::new(); 1 << 16];
        for (index, (_, form)) in forms.iter().enumerate() {
            by_start[usize::from(form[0]) << 8 | usize::from(form[1])].push(index);
        }
        Planted { forms, by_start }
    }

    /// What of it is in some bytes.
    pub fn in_bytes(&self, bytes: &[u8]) -> Vec<String> {
        let mut found = BTreeSet::new();
        for i in 0..bytes.len().saturating_sub(1) {
            for form in self.by_start[usize::from(bytes[i]) << 8 | usize::from(bytes[i + 1])].iter() {
                let (name, form) = &self.forms[*form];
                if bytes[i..].starts_with(form) {
                    found.insert(name.clone());
                }
            }
        }
        found.into_iter().collect()
    }

    /// What of it is in a file, also in whatever is compressed by gzip inside it.
    pub fn in_file(&self, file: &Path) -> Vec<String> {
        let Ok(bytes) = fs::read(file) else { return Vec::new() };
        let mut found = self.in_bytes(&bytes);
        let starts = bytes.windows(3).enumerate().filter(|(_, w)| *w == [0x1f, 0x8b, 0x08]).map(|(i, _)| i);
        for start in starts {
            let mut inner = Vec::new();
            let _ = flate2::read::GzDecoder::new(&bytes[start..]).take(50_000_000).read_to_end(&mut inner);
            found.extend(self.in_bytes(&inner));
        }
        found.iter().map(|what| format!("{}: {what}", file.display())).collect()
    }

    /// What of it is in any file below some folders, but for those that are left out.
    pub fn below(&self, folders: &[PathBuf], left_out: &dyn Fn(&Path) -> bool) -> Vec<String> {
        let mut found = Vec::new();
        let mut open: Vec<PathBuf> = folders.to_vec();
        while let Some(path) = open.pop() {
            // Files come and go while somebody works there.
            let Ok(meta) = fs::symlink_metadata(&path) else { continue };
            if left_out(&path) {
                continue;
            }
            if meta.is_dir() {
                open.extend(fs::read_dir(&path).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())));
            } else if meta.is_file() {
                found.extend(self.in_bytes(path.as_os_str().as_encoded_bytes()));
                found.extend(self.in_file(&path));
            }
        }
        found
    }

    /// What of it is in the arguments or the environment of any process.
    pub fn in_processes(&self) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            for part in ["cmdline", "environ"] {
                let bytes = fs::read(entry.path().join(part)).unwrap_or_default();
                found.extend(self.in_bytes(&bytes).iter().map(|what| format!("{part} of a process: {what}")));
            }
        }
        found
    }

    /// Looks at processes and folders again and again while `work` runs; what was found, and what `work` gave.
    pub fn during<T>(
        &self,
        folders: &[PathBuf],
        left_out: impl Fn(&Path) -> bool + Send + 'static,
        work: impl FnOnce() -> T,
    ) -> (T, Vec<String>) {
        let (over, found) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(BTreeSet::new())));
        let watcher = {
            let (over, found, planted, folders) = (over.clone(), found.clone(), self.clone(), folders.to_vec());
            std::thread::spawn(move || {
                let (mut rounds, mut seen) = (0, BTreeSet::new());
                while !over.load(Ordering::Relaxed) {
                    found.lock().unwrap().extend(planted.in_processes());
                    let known = |path: &Path| !path.is_dir() && !seen.insert(version(path));
                    let known = std::cell::RefCell::new(known);
                    let skip = |path: &Path| left_out(path) || known.borrow_mut()(path);
                    found.lock().unwrap().extend(planted.below(&folders, &skip));
                    rounds += 1;
                }
                rounds
            })
        };
        let result = work();
        over.store(true, Ordering::Relaxed);
        assert!(watcher.join().unwrap() > 0, "nobody looked");
        let found = found.lock().unwrap().iter().cloned().collect();
        (result, found)
    }
}

/// A file and what changes when it is written again.
fn version(path: &Path) -> (PathBuf, u64, i64, i64) {
    use std::os::unix::fs::MetadataExt;
    let meta = fs::symlink_metadata(path).ok();
    let meta = meta.map(|meta| (meta.len(), meta.mtime(), meta.mtime_nsec())).unwrap_or_default();
    (path.to_owned(), meta.0, meta.1, meta.2)
}

/// A text as it may be written somewhere.
fn shapes(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let json = serde_json::Value::from(text).to_string();
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let url = text.bytes().map(|b| if unreserved(b) { char::from(b).to_string() } else { format!("%{b:02X}") });
    let hex: String = text.bytes().map(|b| format!("{b:02x}")).collect();
    let mut shapes = vec![
        ("plain", text.as_bytes().to_vec()),
        ("as JSON", json.as_bytes()[1..json.len() - 1].to_vec()),
        ("in a URL", url.collect::<String>().into_bytes()),
        ("in hex", hex.into_bytes()),
    ];
    for (kind, before) in [("base64", ""), ("base64 after one", "x"), ("base64 after two", "xx")] {
        let encoded = STANDARD.encode(format!("{before}{text}"));
        // What depends on the neighbours is cut off: up to two characters in front, three behind.
        let core = &encoded[if before.is_empty() { 0 } else { before.len() + 1 }..encoded.len() - 4];
        shapes.push((kind, core.as_bytes().to_vec()));
    }
    shapes
}

#[test]
fn what_is_planted_is_found() {
    use std::io::Write;
    let secret = "hunter2: \"Planted\"\nsecond-line";
    let planted = Planted::new([("it", secret)]);
    let folder = tempfile::tempdir().unwrap();
    let url = "hunter2%3A%20%22Planted%22%0Asecond-line";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(format!("inside {secret} a layer").as_bytes()).unwrap();
    let packed = [b"in front of it".to_vec(), gzip.finish().unwrap()].concat();
    for (at, bytes) in [
        ("plain", secret.as_bytes().to_vec()),
        ("line", b"only the second-line of it".to_vec()),
        ("json", serde_json::json!({"p": secret}).to_string().into_bytes()),
        ("url", url.as_bytes().to_vec()),
        ("hex", secret.bytes().map(|b| format!("{b:02x}")).collect::<String>().into_bytes()),
        ("base64", STANDARD.encode(secret).into_bytes()),
        ("base64-1", STANDARD.encode(format!("a{secret}bcd")).into_bytes()),
        ("base64-2", STANDARD.encode(format!("ab{secret}")).into_bytes()),
        ("deep/er/gzip", packed),
    ] {
        let file = folder.path().join(at);
        super::put(&file, bytes);
        assert!(!planted.in_file(&file).is_empty(), "{at}");
        assert!(!planted.below(&[folder.path().to_owned()], &|_| false).is_empty(), "{at}");
        fs::remove_file(file).unwrap();
    }
    super::put(&folder.path().join("innocent"), "hunter3: Planted, second line");
    assert_eq!(planted.below(&[folder.path().to_owned()], &|_| false), Vec::<String>::new());
    assert!(planted.in_processes().is_empty());
    let mut child = std::process::Command::new("sh").args(["-c", "sleep 5; true", "second-line"]).spawn().unwrap();
    let ((), found) = planted.during(&[], |_| false, || std::thread::sleep(std::time::Duration::from_millis(300)));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!found.is_empty());
}
