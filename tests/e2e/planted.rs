//! Planted secrets on the real tools: whatever is in them arrives in the cluster as it is, and is in nothing that is
//! written, kept or given to a process as an argument.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::platform::Small;
use crate::rig::rig;
use crate::support::planted::Planted;
use crate::support::{Output, read, static_executable};

const HARD: &str = "q\"uo'te: co:lon\n{{ braces }} - %41&é\\end";
/// helm 4 refuses what a chart makes of these; a Secret that we make takes them.
const ODD: &str = "odd-Planted\u{85}\u{2028}\u{7f}\u{feff}end";
const LIKE_YAML: &str = "- a: &anchor b\n- *anchor\n- !!binary planted";
const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMIIPlantedMIIPlanted\nAbCdEfPlanted0123\n-----END PRIVATE KEY-----\n";
const PULL: &str = "pull-Planted-word";

const SECRETS: &str = "secrets:
- name: app-db
  data:
    password: {ref: app.hard}
    odd: {ref: app.odd}
    uri: {template: \"pg://{{ release.name }}:{{ secret('app.hard', encode='url') }}@db\"}
    tls.key: {ref: app.tls, part: key}
";
const VALUES: &str = "hard: \"{{ secret('app.hard') }}\"
config: |
  {\"yaml\": \"{{ secret('app.yaml', encode='json') }}\"}
decoded: \"{{ secret('app.yaml', encode='b64', dummy='aGVsbG8=') }}\"
";
/// What comes out of helm, how a chart looks into a secret, and a chart that says it aloud, in the cluster only.
const CHART: &str = "apiVersion: v1
kind: Secret
metadata: {name: app-values, namespace: {{ .Release.Namespace }}}
stringData:
  hard: {{ .Values.hard | quote }}
  config: {{ .Values.config | quote }}
  decoded: {{ .Values.decoded | b64dec | quote }}
{{- if and .Values.aloud (lookup \"v1\" \"Namespace\" \"\" \"kube-system\") }}
{{ fail (printf \"bad password %s, or %q, or %s\" .Values.hard .Values.hard (.Values.hard | b64enc)) }}
{{- end }}
";

struct Place {
    small: Small,
    key: PathBuf,
}

impl Place {
    fn new() -> Place {
        let small = Small::new("planted").release("one", "app", SECRETS);
        small.put("templates/one/app/values.yaml", VALUES);
        small.put("templates/one/app/chart/templates/secret.yaml", CHART);
        small.edit("environments/site/environment.yaml", "kubectl: 1.34.4", "kubectl: 1.34.4, sops: 3.13.3");
        small.edit(
            "environments/site/environment.yaml",
            "plainHTTP: true",
            "plainHTTP: true, pullSecret: registry-pull",
        );
        let key = small.key();
        let place = Place { small, key };
        let plain = json!({
            "app": {"hard": HARD, "odd": ODD, "yaml": LIKE_YAML, "tls": {"key": PEM}},
            "registry-pull": {"username": "planted-puller", "password": PULL},
        });
        place.small.seal(&plain);
        place
    }

    /// Runs the program; nothing planted may be seen or kept, during and after.
    #[track_caller]
    fn silent(&self, args: &[&str], with_key: bool) -> Output {
        let temporary = self.small.folder().join("tmp");
        fs::create_dir_all(&temporary).unwrap();
        let program = self.small.platctl().env("TMPDIR", &temporary).args(args);
        let program = if with_key { program.env("SOPS_AGE_KEY_FILE", &self.key) } else { program };
        let folders = [self.small.folder().to_owned(), rig().cache()];
        let (output, during) = planted().during(&folders, published, || program.run());
        assert_eq!(during, Vec::<String>::new(), "during {args:?}");
        assert_eq!(planted().below(&folders, &published), Vec::<String>::new(), "after {args:?}");
        assert_eq!(planted().in_bytes(output.screen().as_bytes()), Vec::<String>::new(), "{}", output.screen());
        assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "left behind by {args:?}");
        output
    }
}

fn planted() -> Planted {
    Planted::new([("hard", HARD), ("odd", ODD), ("yaml", LIKE_YAML), ("pem", PEM), ("pull", PULL)])
}

/// Tools as their publishers made them are large, and nobody's secret.
fn published(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() > 10_000_000)
}

/// The entries of a Secret in the cluster.
fn entry(name: &str, key: &str) -> String {
    let secret: Value = rig().get(&["secret", name, "--namespace=planted"]);
    let text = secret["data"][key].as_str().unwrap_or_else(|| panic!("{name} has no {key}"));
    String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
}

#[test]
fn planted_secrets_arrive_whole_and_show_nowhere() {
    let place = Place::new();
    assert!(read(&place.small.path("environments/site/secrets.yaml")).contains("ENC[AES256_GCM"));
    static_executable(&place.small.folder().join("platctl-to-carry"));
    for args in [
        &["lock"][..],
        &["bundle", "-e", "site", "--platctl", "../platctl-to-carry", "-o", "../planted.tar"],
        &["template", "-e", "site"],
        &["plan", "-e", "site"],
    ] {
        place.silent(args, false).ok();
    }
    let output = place.silent(&["apply", "-e", "site"], false).exits(1);
    assert!(output.stderr.contains("error[E0104]"), "{}", output.screen());
    assert!(place.small.states().is_empty());

    place.silent(&["apply", "-e", "site", "-v", "--bundle", "../planted.tar"], true).ok();
    assert_eq!(entry("app-values", "hard"), HARD);
    assert_eq!(entry("app-values", "decoded"), LIKE_YAML);
    let config: Value = serde_json::from_str(&entry("app-values", "config")).unwrap();
    assert_eq!(config["yaml"], LIKE_YAML);
    assert_eq!((entry("app-db", "password"), entry("app-db", "tls.key")), (HARD.to_owned(), PEM.to_owned()));
    assert_eq!(entry("app-db", "odd"), ODD);
    assert!(entry("app-db", "uri").starts_with("pg://app:q%22uo%27te%3A%20co%3Alon%0A"));
    let login: Value = serde_json::from_str(&entry("registry-pull", ".dockerconfigjson")).unwrap();
    assert_eq!(login["auths"][&rig().registry]["password"], PULL);
    let secret = rig().get(&["secret", "app-db", "--namespace=planted", "--show-managed-fields"]);
    assert_eq!(secret["metadata"]["labels"]["platctl.dev/release"], "app");
    assert_eq!(secret["metadata"]["managedFields"][0]["manager"], "platctl");

    // Without a key: nothing changes, and it says so.
    let output = place.silent(&["apply", "-e", "site"], false).ok();
    assert!(output.stderr.contains("1 unchanged"), "{}", output.screen());
    place.silent(&["status", "-e", "site"], false).ok();

    place.small.values("app", "aloud: true\n");
    let output = place.silent(&["apply", "-e", "site"], true).exits(1);
    assert!(output.stderr.contains("bad password ******"), "{}", output.screen());
    place.small.values("app", "behaviour: crash-loop\n");
    place.small.edit("templates/one/app/release.yaml", "secrets:", "timeout: 4s\nsecrets:");
    place.silent(&["apply", "-e", "site"], true).exits(1);
}
