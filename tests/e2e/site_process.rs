//! A site's registry of its own: the real program, on a storage that a test can look at, fill and compare.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::rig::bin;
use crate::support::program::until;
use crate::support::{put, read};

/// A running registry. Dropping it ends it.
pub struct SiteProcess {
    pub address: String,
    folder: PathBuf,
    child: Child,
}

impl SiteProcess {
    /// With its files below a folder. `storage` are other parts of the configuration of its storage, `more` of the rest.
    pub fn start(folder: &Path, storage: &str, more: &str) -> SiteProcess {
        SiteProcess::after("exec \"$@\"", folder, storage, more)
    }

    /// The same by a shell's words, which end with `"$@"` and have the folder of the storage as `$storage`.
    pub fn after(words: &str, folder: &Path, storage: &str, more: &str) -> SiteProcess {
        // A port that was free a moment ago; if somebody takes it meanwhile, the log says so.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let root = folder.join("storage");
        fs::create_dir_all(&root).unwrap();
        let text = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: false}}}}\n\
             http: {{addr: \"{address}\", secret: e2e, relativeurls: true}}\nstorage:\n  filesystem: {{rootdirectory: \"{}\"}}\n{storage}{more}",
            root.display()
        );
        put(&folder.join("registry.yaml"), text);
        let log = File::create(folder.join("log")).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", words, "sh"]).arg(bin().join("registry")).arg("serve");
        command.arg(folder.join("registry.yaml")).env("storage", &root).env("OTEL_TRACES_EXPORTER", "none");
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut process = SiteProcess { address, folder: folder.to_owned(), child: command.spawn().unwrap() };
        until("the registry answers", || {
            let log = process.log();
            assert!(process.child.try_wait().unwrap().is_none(), "{log}");
            TcpStream::connect(&process.address).is_ok()
        });
        process
    }

    pub fn log(&self) -> String {
        read(&self.folder.join("log"))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `METHOD PATH` of every request that was answered with this status.
    pub fn answered(&self, status: u16) -> Vec<String> {
        let log = self.log();
        let lines = log.lines().filter_map(|line| line.split_once(" \"")?.1.split_once(" HTTP/1.1\" "));
        let wanted = format!("{status} ");
        lines.filter(|(_, rest)| rest.starts_with(&wanted)).map(|(request, _)| request.to_owned()).collect()
    }

    /// Everything that is kept once the registry has come to rest, by its path: links as they are, blobs by the digest
    /// of what is there. Uploads that were never ended are nothing to anybody.
    pub fn contents(&self) -> BTreeMap<String, String> {
        let mut last = None;
        for _ in 0..200 {
            let now = kept(&self.folder.join("storage"));
            match now {
                Some(kept) if last.as_ref() == Some(&kept) => return kept,
                now => last = now,
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the registry does not come to rest");
    }
}

/// None when a file is moved meanwhile.
fn kept(root: &Path) -> Option<BTreeMap<String, String>> {
    let all = list(root)?.into_iter().filter(|path| !path.components().any(|part| part.as_os_str() == "_uploads"));
    all.map(|path| {
        let inside = path.strip_prefix(root).unwrap().display().to_string();
        let bytes = fs::read(&path).ok()?;
        if !inside.ends_with("/data") {
            return Some((inside, String::from_utf8(bytes).unwrap()));
        }
        let hex: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Some((inside, hex))
    })
    .collect()
}

fn list(folder: &Path) -> Option<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).ok()? {
        let path = entry.ok()?.path();
        if path.is_dir() { found.extend(list(&path)?) } else { found.push(path) }
    }
    Some(found)
}

impl Drop for SiteProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
