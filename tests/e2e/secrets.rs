//! Secrets with the real sops and keys of age: generated, edited, rotated; what can't be decrypted; and that nothing
//! in the clear gets to a disk or into an argument. No cluster.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::assert_screen;
use crate::rig::bin;
use crate::support::program::until;
use crate::support::upstream::{Upstream, UpstreamConfig};
use crate::support::{Output, Platctl, files, put, read, root};

const FILE: &str = "environments/prod/secrets.yaml";

const DB: &str = "
secrets:
- name: db
  data:
    username: {value: admin}
    password: {ref: db.password, generate: {length: 24, alphabet: alnum}}
    line: {ref: db.line, generate: {htpasswd: {user: admin, password: db.password}}}
";
const WEB: &str = "
secrets:
- name: web-tls
  data:
    tls.crt: {ref: web.tls, part: cert, generate: {tls: {commonName: web, dnsNames: [web.web.svc, 10.0.0.1], ca: site.ca}}}
    tls.key: {ref: web.tls, part: key}
    ca.crt: {ref: site.ca, part: cert, generate: {ca: {commonName: Site CA}}}
    licence: {ref: web.licence}
";

/// The internet of these tests: the real tools, and nothing else is asked for.
fn upstream() -> &'static Upstream {
    static UPSTREAM: OnceLock<Upstream> = OnceLock::new();
    UPSTREAM.get_or_init(|| {
        let config = root().join("tests/fixtures/upstream/upstream.yaml");
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("upstream");
        Upstream::listen(UpstreamConfig { config, tools: Some(bin()), cache }, ([127, 0, 0, 1], 0).into()).unwrap()
    })
}

/// A locked platform that declares secrets, and a key.
struct Place {
    folder: TempDir,
    recipient: String,
}

impl Place {
    fn new() -> Place {
        let folder = TempDir::new().unwrap();
        let key = folder.path().join("key");
        let made = Command::new(bin().join("age-keygen")).arg("-o").arg(&key).stderr(Stdio::null()).status();
        assert!(made.unwrap().success());
        let recipient = Command::new(bin().join("age-keygen")).arg("-y").arg(&key).output().unwrap();
        let recipient = String::from_utf8(recipient.stdout).unwrap().trim().to_owned();
        let place = Place { folder, recipient };
        place.put(
            "environments/prod/environment.yaml",
            "apiVersion: platctl.dev/v1\nkubeVersion: \"1.34.4\"\ntools: {helm: 4.3.1, kubectl: 1.34.4, sops: 3.13.3}\n",
        );
        place.put("templates/one/tier.yaml", "apiVersion: platctl.dev/v1\norder: 10\n");
        for (name, secrets) in [("db", DB), ("web", WEB)] {
            let folder = format!("templates/one/{name}");
            let text = format!("apiVersion: platctl.dev/v1\nchart: {{path: ./chart}}\nnamespace: {name}{secrets}");
            place.put(&format!("{folder}/release.yaml"), &text);
            place
                .put(&format!("{folder}/chart/Chart.yaml"), &format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\n"));
            let map = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
            place.put(&format!("{folder}/chart/templates/map.yaml"), &map);
        }
        // What `lock` would write: it wants the secrets that nobody can make, and this is before they are there.
        let platform = format!("linux/{}", crate::support::upstream::architecture());
        let sops = bin().join("sops");
        let digest = crate::support::upstream::hex_digest(&fs::read(sops).unwrap());
        let arch = platform.trim_start_matches("linux/");
        let url = format!("https://github.com/getsops/sops/releases/download/v3.13.3/sops-v3.13.3.linux.{arch}");
        place.put(
            "charts-lock.yaml",
            &format!(
                "apiVersion: platctl.dev/v1\ncharts: []\nimages: []\ntools:\n\
                 - {{name: sops, version: 3.13.3, platform: {platform}, url: \"{url}\", digest: \"sha256:{digest}\"}}\n"
            ),
        );
        place
    }

    /// The same with rules for new files.
    fn with_rules() -> Place {
        let place = Place::new();
        place.put(".sops.yaml", &format!("creation_rules: [{{age: {}}}]\n", place.recipient));
        place
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join("platform").join(inside)
    }

    fn put(&self, file: &str, text: &str) {
        put(&self.path(file), text);
    }

    fn without_key(&self) -> Platctl {
        let mirror = format!("*={}", upstream().url());
        let program = Platctl::new(self.folder.path()).env("PLATCTL_MIRROR", mirror);
        program.args(["-C", "platform", "-e", "prod", "secrets"])
    }

    fn platctl(&self) -> Platctl {
        self.without_key().env("SOPS_AGE_KEY_FILE", self.folder.path().join("key"))
    }

    fn run(&self, args: &[&str]) -> Output {
        self.platctl().args(args).run()
    }

    /// Edits with a script that has the file in `$1`.
    fn edit(&self, script: &str) -> Output {
        let editor = self.folder.path().join("editor");
        put(&editor, format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(&editor, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        self.platctl().env("EDITOR", editor).args(["edit"]).run()
    }

    /// What a user sees, with the key's name left out.
    fn screen(&self, output: &Output) -> String {
        output.screen().replace(&self.recipient, "[recipient]")
    }

    fn file(&self) -> String {
        read(&self.path(FILE))
    }

    /// The private half of the key. Its prefix alone would not do: it stands in sops, which is put below the folder.
    fn key(&self) -> String {
        let text = read(&self.folder.path().join("key"));
        text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).unwrap().to_owned()
    }

    /// The file decrypted by sops itself.
    fn decrypted(&self) -> Value {
        let mut command = Command::new(bin().join("sops"));
        command.args(["decrypt", "--output-type=json"]).arg(self.path(FILE));
        let output = command.env("SOPS_AGE_KEY_FILE", self.folder.path().join("key")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Whether openssl takes the certificate of `web.tls` for signed by the authority, for its names.
    fn chain_holds(&self) -> bool {
        let values = self.decrypted();
        let [cert, ca] = [("cert", &values["web"]["tls"]), ("ca", &values["site"]["ca"])].map(|(name, pair)| {
            let path = self.folder.path().join(name);
            put(&path, pair["cert"].as_str().unwrap());
            path
        });
        let mut verify = Command::new("openssl");
        verify.args(["verify", "-x509_strict", "-verify_hostname", "web.web.svc", "-CAfile"]).arg(ca).arg(cert);
        verify.output().unwrap().status.success()
    }
}

#[test]
fn what_is_declared_is_generated_once() {
    let place = Place::new();
    assert_screen!(place.folder.path(), "no_rules", place.screen(&place.run(&["generate"]).exits(1)));
    assert!(!place.path(FILE).exists());

    let place = Place::with_rules();
    let first = place.run(&["generate"]).exits(1);
    assert_screen!(place.folder.path(), "generated", place.screen(&first));
    let values = place.decrypted();
    let password = values["db"]["password"].as_str().unwrap();
    assert!(password.len() == 24 && password.chars().all(|c| c.is_ascii_alphanumeric()));
    assert!(values["db"]["line"].as_str().unwrap().starts_with("admin:$2y$10$"));
    assert!(place.chain_holds());
    let file = place.file();
    assert!(!file.contains(password) && !file.contains("BEGIN CERT") && !file.contains("PRIVATE KEY"));

    // Neither a second time, nor without a key, does anything change.
    let again = place.without_key().args(["generate"]).run().exits(1);
    assert_screen!(place.folder.path(), "generated_again", place.screen(&again));
    assert_eq!(place.file(), file);

    // One more is declared: it is added, and what was there keeps its ciphertext.
    let more = format!("{DB}    other: {{ref: db.other, generate: {{alphabet: hex}}}}\n");
    let release = read(&place.path("templates/one/db/release.yaml")).replace(DB, &more);
    place.put("templates/one/db/release.yaml", &release);
    place.run(&["generate", "-l", "name=db"]).ok();
    assert_eq!(changed(&file, &place.file()), ["other", "sops"]);
    assert_eq!(place.decrypted()["db"]["password"], values["db"]["password"]);
}

#[test]
fn json_for_machines() {
    let place = Place::with_rules();
    let output = place.run(&["generate", "-o", "json", "-l", "name=web"]).exits(1);
    let result: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(
        result,
        serde_json::json!({
            "apiVersion": "platctl.dev/v1", "environment": "prod", "file": FILE, "present": 0,
            "generated": [{"name": "site.ca", "kind": "ca"}, {"name": "web.tls", "kind": "tls"}],
            "missing": [{"name": "web.licence", "releases": ["web"]}],
        })
    );
}

#[test]
fn one_is_rotated_and_what_hangs_on_it_is_said() {
    let place = Place::with_rules();
    place.run(&["generate"]).exits(1);
    let (file, values) = (place.file(), place.decrypted());
    assert_screen!(place.folder.path(), "rotated", place.screen(&place.run(&["rotate", "db.password"]).ok()));
    assert_eq!(changed(&file, &place.file()), ["password", "sops"]);
    assert_ne!(place.decrypted()["db"]["password"], values["db"]["password"]);

    assert_screen!(place.folder.path(), "rotated_ca", place.screen(&place.run(&["rotate", "site.ca"]).ok()));
    assert!(!place.chain_holds());
    place.run(&["rotate", "web.tls"]).ok();
    assert!(place.chain_holds());

    for (screen, name) in [("rotate_part", "web.tls.key"), ("rotate_typo", "db.pasword"), ("rotate_own", "web.licence")]
    {
        let file = place.file();
        assert_screen!(place.folder.path(), screen, place.screen(&place.run(&["rotate", name]).exits(1)));
        assert_eq!(place.file(), file);
    }
}

#[test]
fn an_editor_sees_what_nobody_else_does() {
    let place = Place::with_rules();
    // A new file has the names that are missing.
    let script = format!(
        "echo \"$1\" >{0}/seen; cp \"$1\" {0}/text; ls -A {0}/platform/environments/prod >{0}/beside; \
         sed -i 's/licence: .*/licence: hush-hush/' \"$1\"; echo 'db: {{pasword: typed}}' >>\"$1\"",
        place.folder.path().display()
    );
    assert_screen!(place.folder.path(), "edited", place.screen(&place.edit(&script).ok()));
    let noted = |name: &str| read(&place.folder.path().join(name));
    assert_eq!(noted("text"), "web:\n    licence: \"\"\n");
    let seen = noted("seen");
    assert!(seen.starts_with("/dev/shm/platctl-"), "{seen}");
    assert!(!Path::new(seen.trim()).exists());
    assert_eq!(place.decrypted()["web"]["licence"], "hush-hush");
    assert!(!place.file().contains("hush"));
    assert_eq!(files(&place.path("environments/prod")).len(), 2);

    let file = place.file();
    assert_screen!(place.folder.path(), "edited_nothing", place.screen(&place.edit("true").ok()));
    assert_screen!(place.folder.path(), "no_editor", place.screen(&place.edit("exit 3").exits(1)));
    assert_eq!(place.file(), file);
    place.run(&["generate"]).ok();
    assert_eq!(place.decrypted()["web"]["licence"], "hush-hush");
}

#[test]
fn without_a_key_it_is_said_which_would_do() {
    let place = Place::with_rules();
    place.run(&["generate", "-l", "name=web"]).exits(1);
    let file = place.file();
    let rotate = || place.without_key().args(["rotate", "web.tls"]).run().exits(1);
    // sops breaks its lines where the folder's name makes them long.
    let screen = place.screen(&rotate());
    let (words, rest): (Vec<&str>, Vec<&str>) = screen.lines().partition(|line| line.starts_with("    | "));
    assert!(words.concat().contains("failed to load age identities"), "{words:?}");
    assert_screen!(place.folder.path(), "no_key", rest.join("\n"));
    // What is not encrypted is refused before sops could quote it.
    let plain = file.replacen("cert: ENC[", "cert: hush[", 1);
    place.put(FILE, &plain);
    let output = place.run(&["rotate", "web.tls"]).exits(1);
    assert!(output.stderr.contains(FILE) && !output.stderr.contains("hush"), "{}", output.screen());
    // A line that went missing is seen by the seal.
    let cut: String = file.lines().filter(|line| !line.contains("ca: ENC[")).map(|line| format!("{line}\n")).collect();
    assert_ne!(cut, file);
    place.put(FILE, &cut);
    assert_screen!(place.folder.path(), "damaged", place.screen(&place.run(&["rotate", "web.tls"]).exits(1)));
    assert_eq!(place.file(), cut);
}

#[test]
fn an_environment_without_sops_is_told_so() {
    let place = Place::with_rules();
    let environment = read(&place.path("environments/prod/environment.yaml"));
    place.put("environments/prod/environment.yaml", &environment.replace(", sops: 3.13.3", ""));
    assert_screen!(place.folder.path(), "no_sops", place.screen(&place.run(&["generate"]).exits(1)));
}

#[test]
fn nothing_in_the_clear_gets_to_the_disk_or_into_an_argument() {
    let place = Place::with_rules();
    let watch = Watch::begin(place.folder.path());
    place.run(&["generate"]).exits(1);
    place.run(&["rotate", "db.password"]).ok();
    let before = place.decrypted();
    place.edit("sed -i 's/\\(licence:\\).*/\\1 x/; $ a licence: hush-hush' \"$1\"; sleep 0.2").ok();
    place.run(&["rotate", "db.password"]).ok();
    let seen = watch.end();
    let at_work = |text: &String| text.contains(" --value-stdin ") && text.contains(".new.");
    assert!(seen.iter().any(at_work), "no sops was seen at work");
    assert!(seen.iter().any(|text| text.contains("ENC[")), "no file was seen");
    let mut secrets: Vec<String> = vec!["hush-hush".into(), place.key()];
    for values in [before, place.decrypted()] {
        texts(&values, &mut secrets);
    }
    assert!(secrets.len() > 15);
    for secret in secrets {
        // A certificate's first line is nobody's secret.
        let part: String = secret.lines().nth(1).unwrap_or(&secret).to_owned();
        let leak = seen.iter().find(|text| text.contains(&part));
        assert!(leak.is_none(), "{part} in {}", leak.unwrap());
    }
}

#[test]
fn a_killed_run_leaves_the_file_whole() {
    let place = Place::with_rules();
    place.run(&["generate"]).exits(1);
    let file = place.file();
    let key = place.folder.path().join("key");
    let slow = place.without_key().env("SOPS_AGE_KEY_CMD", format!("sh -c 'sleep 1; cat {}'", key.display()));
    let running = slow.args(["rotate", "db.password"]).start(place.folder.path());
    let copy = || fs::read_dir(place.path("environments/prod")).unwrap().count() > 2;
    until("sops works on the copy", copy);
    assert_screen!(place.folder.path(), "at_work", place.screen(&place.run(&["rotate", "db.password"]).exits(1)));
    running.signal(Signal::KILL);
    drop(running);
    assert_eq!(place.file(), file);
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(place.file(), file);
    place.run(&["rotate", "db.password"]).ok();
    assert_eq!(changed(&file, &place.file()), ["password", "sops"]);
    assert_eq!(fs::read_dir(place.path("environments/prod")).unwrap().count(), 2);
}

/// The keys of the lines that differ; everything that sops writes about itself counts as `sops`.
fn changed(before: &str, after: &str) -> Vec<String> {
    let lines = |text: &str| -> BTreeSet<String> { text.lines().map(str::to_owned).collect() };
    let (before, after) = (lines(before), lines(after));
    let key = |line: &String| {
        let key = line.trim().split(':').next().unwrap().to_owned();
        if matches!(key.as_str(), "mac" | "lastmodified") { "sops".to_owned() } else { key }
    };
    let found: BTreeSet<String> = before.symmetric_difference(&after).map(key).collect();
    found.into_iter().collect()
}

fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) if !text.is_empty() => found.push(text.clone()),
        Value::Object(map) => map.values().for_each(|value| texts(value, found)),
        _ => {}
    }
}

/// Longer files are tools.
const MOST: u64 = 1_000_000;

/// Looks, again and again, at every file below a folder and at every command line.
struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<BTreeSet<String>>,
}

impl Watch {
    fn begin(folder: &Path) -> Watch {
        let over = Arc::new(AtomicBool::new(false));
        let (ends, folder) = (over.clone(), folder.to_owned());
        let thread = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !ends.load(Ordering::Relaxed) {
                look(&folder, &mut seen);
                command_lines(&folder, &mut seen);
            }
            seen
        });
        Watch { over, thread }
    }

    fn end(self) -> BTreeSet<String> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// The tools, and the key itself, are left out. A tool is seen while it grows: of every file only so much is kept.
fn look(folder: &Path, seen: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            look(&path, seen);
        } else if name != "key" && name != "editor" {
            let mut bytes = Vec::new();
            let read = fs::File::open(&path).and_then(|file| file.take(MOST).read_to_end(&mut bytes));
            if read.is_ok_and(|read| (read as u64) < MOST) {
                seen.insert(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    }
}

fn command_lines(folder: &Path, seen: &mut BTreeSet<String>) {
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(&folder.display().to_string()) && !line.contains("sed ") {
            seen.insert(line);
        }
    }
}
