//! Small platforms made for one test: own charts in a namespace that has the test's name.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::rig::{Rig, bin, rig};
use crate::support::{Output, Platctl, put, read};

/// A platform with the environment `site` for the rig. Releases are in the tiers `one` and `two`.
pub struct Small {
    pub name: &'static str,
    rig: &'static Rig,
    folder: TempDir,
}

/// A Deployment whose pods do what the value `behaviour` says.
pub const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}, namespace: {{ .Release.Namespace }}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app.kubernetes.io/instance: {{ .Release.Name }}}}
  template:
    metadata:
      labels:
        app.kubernetes.io/instance: {{ .Release.Name }}
        {{- with .Values.behaviour }}
        rig.platctl.dev/behaviour: {{ . }}
        {{- end }}
    spec:
      containers:
      - {name: main, image: \"registry.example.org/e2e/app:1\"}
";

/// Jobs that helm runs one after the other before it installs or upgrades: some seconds of work.
pub const HOOKS: &str = "{{- range $i := until (int .Values.hooks) }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ $.Release.Name }}-{{ $i }}
  namespace: {{ $.Release.Namespace }}
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-weight: {{ $i | quote }}
    helm.sh/hook-delete-policy: before-hook-creation
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - {name: job, image: \"registry.example.org/e2e/job:1\"}
{{- end }}
";

impl Small {
    pub fn new(name: &'static str) -> Small {
        Small::on(rig(), name)
    }

    /// As [`Small::new`], on a rig of the test's own.
    pub fn on(rig: &'static Rig, name: &'static str) -> Small {
        let small = Small { name, rig, folder: TempDir::new().unwrap() };
        let Rig { registry, uid, .. } = rig;
        small.put(
            "environments/site/environment.yaml",
            &format!(
                "apiVersion: platctl.dev/v1\nplatform: {name}\nkubeVersion: \"1.34.4\"\ntools: {{helm: 4.3.1, kubectl: 1.34.4}}\n\
                 cluster: {{context: rig, uid: {uid}}}\nregistry: {{address: \"{registry}\", prefix: {name}, plainHTTP: true}}\n\
                 timeouts: {{release: 60s}}\n"
            ),
        );
        for (tier, order) in [("one", 10), ("two", 20)] {
            small.put(&format!("templates/{tier}/tier.yaml"), &format!("apiVersion: platctl.dev/v1\norder: {order}\n"));
        }
        small
    }

    /// A release with a chart of its own: one Deployment, and what else is put into `templates`.
    pub fn release(self, tier: &str, name: &str, rest: &str) -> Small {
        let folder = format!("templates/{tier}/{name}");
        let text = format!("apiVersion: platctl.dev/v1\nchart: {{path: ./chart}}\nnamespace: {}\n{rest}", self.name);
        self.put(&format!("{folder}/release.yaml"), &text);
        self.put(&format!("{folder}/chart/Chart.yaml"), &format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\n"));
        self.put(&format!("{folder}/chart/values.yaml"), "replicas: 1\nbehaviour: \"\"\nhooks: 0\n");
        self.put(&format!("{folder}/chart/templates/deployment.yaml"), DEPLOYMENT);
        self.put(&format!("{folder}/chart/templates/hooks.yaml"), HOOKS);
        self
    }

    /// Values of the site laid over a release's own.
    pub fn values(&self, release: &str, text: &str) {
        self.put(&format!("environments/site/releases/{release}.yaml"), text);
    }

    pub fn put(&self, file: &str, text: &str) {
        put(&self.path(file), text);
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join("platform").join(file)
    }

    /// The folder of everything; the platform is in `platform`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let text = read(&self.path(file));
        assert!(text.contains(from), "{file} holds no {from}");
        fs::write(self.path(file), text.replace(from, to)).unwrap();
    }

    pub fn platctl(&self) -> Platctl {
        self.rig.platctl(self.folder.path()).folder(&self.path(""))
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.platctl().args(args).run()
    }

    pub fn locked(self) -> Small {
        self.run(&["lock"]).ok();
        self
    }

    /// A key of age, which this makes.
    pub fn key(&self) -> PathBuf {
        let key = self.folder.path().join("key");
        assert!(
            Command::new(bin().join("age-keygen"))
                .arg("-o")
                .arg(&key)
                .stderr(Stdio::null())
                .status()
                .unwrap()
                .success()
        );
        key
    }

    /// Seals the environment's secrets for that key.
    pub fn seal(&self, plain: &Value) {
        let recipient = Command::new(bin().join("age-keygen")).arg("-y").arg(self.folder.path().join("key")).output();
        let recipient = String::from_utf8(recipient.unwrap().stdout).unwrap();
        let mut sops = Command::new(bin().join("sops"));
        let sops =
            sops.args(["encrypt", "--input-type=json", "--output-type=yaml", "--filename-override=secrets.yaml"]);
        let sops = sops.args(["--age", recipient.trim()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut sops = sops.spawn().unwrap();
        sops.stdin.take().unwrap().write_all(plain.to_string().as_bytes()).unwrap();
        let sealed = sops.wait_with_output().unwrap();
        assert!(sealed.status.success());
        put(&self.path("environments/site/secrets.yaml"), sealed.stdout);
    }

    /// The rig it is on.
    pub fn rig(&self) -> &'static Rig {
        self.rig
    }

    /// The namespace, tools and records of the helms at work in it: their pids.
    pub fn helms(&self) -> Vec<i32> {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let at_work = processes.filter(|process| {
            let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let has = |wanted: &str| line.split(|byte| *byte == 0).any(|arg| arg == wanted.as_bytes());
            has("upgrade") && has(self.name)
        });
        at_work.filter_map(|process| process.file_name().to_str()?.parse().ok()).collect()
    }

    /// Whether helm has left nothing in the middle of an operation, and everything is deployed.
    #[track_caller]
    pub fn is_well(&self, releases: &[&str], said: &str) {
        let deployed: Vec<(String, String)> =
            releases.iter().map(|name| ((*name).to_owned(), "deployed".to_owned())).collect();
        assert_eq!(self.states(), deployed, "{said}");
    }

    pub fn apply(&self) -> Output {
        self.run(&["apply", "-e", "site"])
    }

    /// The status of the newest record of every release.
    pub fn states(&self) -> Vec<(String, String)> {
        self.rig.states(self.name).into_iter().collect()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let args = ["delete", "namespace", self.name, "--wait=false", "--ignore-not-found"];
        let _ = self.rig.tool("kubectl", &args);
    }
}
