//! The one rig of a run: started when the first test asks for it, and taken down by a watchdog when the test process
//! is gone, however it ends.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::upstream::{Upstream, UpstreamConfig};
use crate::support::{Platctl, root};

/// A running rig, and an internet.
pub struct Rig {
    pub registry: String,
    pub uid: String,
    pub upstream: Upstream,
    variables: BTreeMap<String, String>,
    bin: PathBuf,
    /// A folder that goes with the rig.
    folder: PathBuf,
}

static RIG: OnceLock<Rig> = OnceLock::new();

/// The rig.
pub fn rig() -> &'static Rig {
    RIG.get_or_init(Rig::start)
}

impl Rig {
    /// One more rig, with an internet of its own.
    pub fn start() -> Rig {
        let bin = bin();
        for tool in ["helm", "kubectl", "kube-apiserver", "etcd", "kwok", "registry", "sops", "age-keygen", "webhook"] {
            assert!(
                bin.join(tool).is_file(),
                "{tool} of the rig is missing in {}: run scripts/rig build",
                bin.display()
            );
        }
        let folder = tempfile::Builder::new().prefix("e2e-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap().keep();
        let place = folder.join("rig");
        watch(&folder, &place);
        let up = script(&["up", place.to_str().unwrap()]);
        assert!(up.status.success(), "scripts/rig up: {}", String::from_utf8_lossy(&up.stderr));
        let variables = environment(&place);
        let config = root().join("tests/fixtures/upstream/upstream.yaml");
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("upstream");
        let internet = UpstreamConfig { config, tools: Some(bin.clone()), cache };
        let upstream = Upstream::listen(internet, ([127, 0, 0, 1], 0).into()).unwrap();
        let get = |name: &str| variables[name].clone();
        Rig { registry: get("RIG_REGISTRY"), uid: get("RIG_CLUSTER_UID"), upstream, bin, folder, variables }
    }

    /// The program with this internet and this cluster. Its cache is shared by all tests, as it is on a desk.
    pub fn platctl(&self, folder: &Path) -> Platctl {
        let mirror = format!("*={}", self.upstream.url());
        let program = Platctl::new(folder).env("KUBECONFIG", &self.variables["KUBECONFIG"]);
        program.env("PLATCTL_MIRROR", mirror).env("PLATCTL_CACHE_DIR", self.folder.join("cache"))
    }

    /// The cache that all tests share.
    pub fn cache(&self) -> PathBuf {
        self.folder.join("cache")
    }

    /// A folder of this name that goes with the rig.
    pub fn place(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A tool of the rig for its cluster; what it prints.
    pub fn tool(&self, tool: &str, args: &[&str]) -> Result<String, String> {
        let mut command = Command::new(self.bin.join(tool));
        command.args(args).env("KUBECONFIG", &self.variables["KUBECONFIG"]).env("HOME", &self.folder);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    #[track_caller]
    pub fn kubectl(&self, args: &[&str]) -> String {
        self.tool("kubectl", args).unwrap_or_else(|e| panic!("kubectl {args:?}: {e}"))
    }

    #[track_caller]
    pub fn helm(&self, args: &[&str]) -> String {
        self.tool("helm", args).unwrap_or_else(|e| panic!("helm {args:?}: {e}"))
    }

    /// The kubeconfig with everything in it, as JSON.
    pub fn get_config(&self) -> String {
        self.kubectl(&["config", "view", "--raw", "--output=json"])
    }

    /// Objects as JSON.
    #[track_caller]
    pub fn get(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.kubectl(&[&["get", "--output=json"], args].concat())).unwrap()
    }

    /// helm's records in a namespace: `NAME.vN` with status and version of the object, sorted.
    pub fn records(&self, namespace: &str) -> Vec<(String, String, String)> {
        let list = self.get(&["secrets", "--namespace", namespace, "--selector=owner=helm"]);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let record = |item: &Value| {
            let meta = &item["metadata"];
            let name = text(&meta["name"]).trim_start_matches("sh.helm.release.v1.").to_owned();
            (name, text(&meta["labels"]["status"]), text(&meta["resourceVersion"]))
        };
        let mut records: Vec<_> = list["items"].as_array().unwrap().iter().map(record).collect();
        records.sort();
        records
    }

    /// The status of the newest record of each release in a namespace.
    pub fn states(&self, namespace: &str) -> BTreeMap<String, String> {
        let number = |name: &str| name.rsplit_once(".v").and_then(|(_, n)| n.parse::<u32>().ok()).unwrap_or(0);
        let mut records = self.records(namespace);
        records.sort_by_key(|(name, ..)| number(name));
        let release = |name: &str| name.rsplit_once(".v").unwrap().0.to_owned();
        records.into_iter().map(|(name, status, _)| (release(&name), status)).collect()
    }

    /// Whether the site's registry holds a manifest, by `HOST/NAME@DIGEST` or `HOST/NAME:TAG`.
    pub fn holds(&self, image: &str) -> bool {
        let name = image.strip_prefix(&format!("{}/", self.registry)).unwrap_or_else(|| panic!("{image} is elsewhere"));
        let (name, reference) = name.split_once('@').or_else(|| name.rsplit_once(':')).unwrap();
        let accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";
        let path = format!("/v2/{name}/manifests/{reference}");
        http_status(&self.registry, &path, accept) == 200
    }
}

impl Rig {
    /// The pid of one of its programs, by name.
    pub fn pid(&self, name: &str) -> i32 {
        let pids = std::fs::read_to_string(self.place("rig").join("pids")).unwrap();
        let last = pids.lines().rev().find_map(|line| line.strip_prefix(&format!("{name} ")));
        last.unwrap().parse().unwrap()
    }

    /// Kills one of its programs and starts the same again after a while, with everything it was started with.
    #[allow(clippy::zombie_processes)] // Whatever takes the rig down ends it.
    pub fn restart(&self, name: &str, after: std::time::Duration) {
        use std::io::Write;
        let pid = self.pid(name);
        let read = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap();
        let words = |bytes: Vec<u8>| -> Vec<String> {
            let text = String::from_utf8(bytes).unwrap();
            text.split_terminator('\0').map(str::to_owned).collect()
        };
        let (line, variables) = (words(read("cmdline")), words(read("environ")));
        let folder = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
        signal(pid, Signal::KILL);
        std::thread::sleep(after);
        let log = std::fs::File::options().append(true).open(folder.join("logs").join(format!("{name}.log"))).unwrap();
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).env_clear().envs(variables.iter().filter_map(|v| v.split_once('=')));
        command.current_dir(&folder).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.process_group(0).spawn().unwrap();
        let mut pids = std::fs::File::options().append(true).open(self.place("rig").join("pids")).unwrap();
        writeln!(pids, "{name} {}", child.id()).unwrap();
    }
}

pub fn signal(pid: i32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(pid).unwrap(), signal);
}

/// The status of a GET request.
fn http_status(host: &str, path: &str, accept: &str) -> u16 {
    use std::io::{BufRead, BufReader, Write};
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

fn script(args: &[&str]) -> std::process::Output {
    Command::new(root().join("scripts/rig")).args(args).stdin(Stdio::null()).output().unwrap()
}

pub fn bin() -> PathBuf {
    std::env::var_os("RIG_BIN").map_or_else(built, PathBuf::from)
}

fn built() -> PathBuf {
    PathBuf::from(String::from_utf8(script(&["bin"]).stdout).unwrap().trim())
}

/// Takes the rig down and the folder away when this process is gone. It is its own session: a Ctrl-C in the terminal
/// does not reach it.
#[allow(clippy::zombie_processes)] // It outlives this process, and that is its purpose.
fn watch(folder: &Path, place: &Path) {
    // A helm that a killed platctl left behind runs from the cache in the folder.
    let text = r#"while kill -0 "$1" 2>/dev/null; do sleep 0.3; done
        for process in /proc/[0-9]*; do
            case $(readlink "$process/exe") in "$3"/*) kill -9 "${process#/proc/}" ;; esac
        done
        "$2" down "$4"; rm -rf "$3""#;
    let mut command = Command::new("setsid");
    command.args(["sh", "-c", text, "watch"]).arg(std::process::id().to_string()).arg(root().join("scripts/rig"));
    command.arg(folder).arg(place).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.process_group(0).spawn().unwrap();
}

/// What `scripts/rig env` says, as a shell understands it.
fn environment(place: &Path) -> BTreeMap<String, String> {
    let names = ["KUBECONFIG", "RIG_REGISTRY", "RIG_CLUSTER_UID"];
    let text = r#"eval "$("$1" env "$2")"; shift 2; for name; do eval "echo \"$name=\$$name\""; done"#;
    let mut command = Command::new("bash");
    command.args(["-c", text, "env"]).arg(root().join("scripts/rig")).arg(place).args(names);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let found: BTreeMap<String, String> =
        text.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    assert!(names.iter().all(|name| found.get(*name).is_some_and(|v| !v.is_empty())), "scripts/rig env: {found:?}");
    found
}
