//! What containers would fetch from the internet while they run: packages, files, charts, models. Only commands that a
//! shell would run, variables that are known for it, and addresses of model hubs count; an address in a text is none.
//! Must not decide whether it is allowed.

use super::shell::{Command, commands};
use crate::object::{Object, Path, Step, Stream, decoded, walk};
use crate::yaml::{Author, Node, Sources, Value, parse};

/// Something that is fetched at run time, and where that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// Index of the object in its stream.
    pub object: usize,
    /// Where in it.
    pub path: Path,
    /// What does it: the command, shortened, or the variable.
    pub what: String,
}

/// Programs, the words of theirs that fetch something, and their options that keep them from it.
const FETCHING: &[(&[&str], &[&str], &[&str])] = &[
    (&["apk"], &["add", "update", "upgrade", "fetch"], &["--no-network"]),
    (
        &["apt", "apt-get", "aptitude"],
        &["install", "update", "upgrade", "download", "dist-upgrade"],
        &["--no-download"],
    ),
    (&["yum", "dnf", "microdnf", "tdnf", "zypper"], &["install", "update", "upgrade", "makecache"], &["--cacheonly"]),
    (&["pip", "pip3", "pipx"], &["install", "download"], &["--no-index"]),
    (&["uv"], &["sync", "add", "install", "run"], &["--offline", "--no-index"]),
    (&["poetry"], &["install", "add", "update"], &[]),
    (&["conda", "mamba", "micromamba"], &["install", "create", "update"], &["--offline"]),
    (&["npm", "pnpm", "yarn"], &["install", "i", "ci", "add"], &["--offline"]),
    (&["go"], &["install", "get"], &[]),
    (&["cargo", "gem", "krew"], &["install"], &["--offline", "--local"]),
    (&["git"], &["clone", "fetch", "pull"], &[]),
    (&["helm"], &["repo", "pull", "dependency"], &[]),
    (&["huggingface-cli", "hf"], &["download"], &[]),
    (&["ansible-galaxy"], &["install"], &["--offline"]),
];
/// Programs that fetch whatever address outside they are given.
const GIVEN: [&str; 6] = ["curl", "wget", "aria2c", "kubectl", "helm", "git"];
/// Variables whose packages or plugins known images fetch when they start.
const VARIABLES: [&str; 9] = [
    "GF_INSTALL_PLUGINS",
    "GF_PLUGINS_PREINSTALL",
    "GF_PLUGINS_PREINSTALL_SYNC",
    "_PIP_ADDITIONAL_REQUIREMENTS",
    "EXTRA_PIP_PACKAGES",
    "EXTRA_CONDA_PACKAGES",
    "EXTRA_APT_PACKAGES",
    "PIP_PACKAGES",
    "APT_PACKAGES",
];
/// Addresses that only a client of the model hub on the internet understands.
const HUB: &str = "hf://";
/// Texts inside texts end somewhere.
const DEEPEST: usize = 64;
/// What a command is shortened to.
const SHOWN: usize = 80;

/// Finds every download of a stream.
pub fn downloads(stream: &Stream) -> Vec<Download> {
    let mut found = Vec::new();
    for (object, of) in stream.objects.iter().enumerate() {
        if of.kind == "CustomResourceDefinition" || of.is_test() {
            continue;
        }
        in_object(of, &mut |path, what| {
            let download = Download { object, path: path.clone(), what };
            if !found.contains(&download) {
                found.push(download);
            }
        });
    }
    found
}

fn in_object(object: &Object, add: &mut dyn FnMut(&Path, String)) {
    let secret = object.kind == "Secret" && object.group().is_empty();
    in_node(&object.node, &Path::default(), add);
    let encoded = object.node.get("data").filter(|_| secret).and_then(Node::as_map);
    for entry in encoded.into_iter().flat_map(|map| &map.0) {
        if let Some(text) = entry.node.as_str().and_then(decoded) {
            in_text(&Path::default().child("data").child(&entry.key), &text, add);
        }
    }
}

fn in_node(node: &Node, above: &Path, add: &mut dyn FnMut(&Path, String)) {
    walk(node, &mut |path, node| {
        if in_annotations(path) {
            return;
        }
        let path = &Path(above.0.iter().chain(&path.0).cloned().collect());
        match &node.value {
            Value::String(text) => in_text(path, text, add),
            // A command in words: no shell, or a shell's name before the script.
            Value::List(items) if matches!(path.key(), Some("command" | "args")) => {
                let words: Vec<&str> = items.iter().filter_map(Node::as_str).collect();
                if let [program, arguments @ ..] = &words[..] {
                    let program = program.rsplit('/').next().unwrap_or(program);
                    if let Some(what) = fetches(&Command { program, arguments: arguments.to_vec() }) {
                        add(path, what);
                    }
                }
            }
            Value::Map(map) => {
                let text = |key: &str| map.get(key).and_then(Node::as_str).unwrap_or_default();
                let (name, value) = (text("name"), text("value").trim());
                // A chart may keep the list in a ConfigMap.
                if VARIABLES.contains(&name) && (!value.is_empty() || map.get("valueFrom").is_some()) {
                    add(path, if value.is_empty() { name.to_owned() } else { format!("{name}={}", shortened(value)) });
                }
            }
            _ => {}
        }
    });
}

fn in_annotations(path: &Path) -> bool {
    path.0.iter().any(|step| matches!(step, Step::Key(key) if key == "annotations"))
}

fn in_text(path: &Path, text: &str, add: &mut dyn FnMut(&Path, String)) {
    // The bare scheme is a list of what is understood.
    if text.len() > HUB.len() && text.starts_with(HUB) {
        add(path, shortened(text));
    }
    // Manifests inside a text: what installs them applies them as they are.
    if ["command:", "args:", "env:"].iter().any(|key| text.contains(key)) && path.0.len() <= DEEPEST {
        let mut sources = Sources::default();
        let id = sources.add("text", text);
        if let Ok(documents) = parse(&sources, id, Author::Program)
            && documents.iter().all(|document| document.as_map().is_some())
        {
            let below = Path(path.0.iter().cloned().chain([Step::Text(None)]).collect());
            documents.iter().for_each(|document| in_node(document, &below, add));
            return;
        }
    }
    commands(text, &mut |command| {
        if let Some(what) = fetches(&command) {
            add(path, what);
        }
    });
}

/// The command as it is shown, when it fetches something from outside.
fn fetches(command: &Command) -> Option<String> {
    let Command { program, arguments } = command;
    let shown = || shortened(&format!("{program} {}", arguments.join(" ")));
    let module = match &arguments[..] {
        ["-m", module, rest @ ..] if program.starts_with("python") => Some((*module, rest)),
        ["pip", rest @ ..] if *program == "uv" => Some(("pip", rest)),
        _ => None,
    };
    let does = module.is_some_and(|(module, rest)| fetches_by(module, rest)) || fetches_by(program, arguments);
    does.then(shown)
}

fn fetches_by(program: &str, arguments: &[&str]) -> bool {
    let addresses: Vec<bool> = arguments.iter().filter_map(|argument| is_outside(argument)).collect();
    let outside = addresses.contains(&true);
    let by_word = FETCHING.iter().any(|(programs, words, offline)| {
        // The word is the first that is no option: `apt-get -y install`.
        let word = arguments.iter().find(|argument| !argument.starts_with('-'));
        programs.contains(&program)
            && word.is_some_and(|word| words.contains(word))
            && !arguments.iter().any(|argument| offline.contains(argument))
            // An index or repository inside the site was named.
            && (addresses.is_empty() || outside)
    });
    by_word || (GIVEN.contains(&program) && outside)
}

/// Whether an argument holds an address outside the site; none when it holds no address, or one that nobody can know
/// yet because it has a variable for a host.
fn is_outside(argument: &str) -> Option<bool> {
    let (_, rest) =
        ["https://", "http://", "git://", "ssh://", "oci://"].iter().find_map(|scheme| argument.split_once(scheme))?;
    let authority = rest.split(['/', '?', '"', '\'']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    if host.contains(['$', '{', '<', '%']) || host.is_empty() {
        return None;
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_end_matches('.');
    let inside = !name.contains('.')
        || name.starts_with('[')
        || name.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        || ["svc", "local", "internal", "localhost", "localdomain", "test", "lan"]
            .iter()
            .any(|end| name.rsplit('.').next() == Some(end));
    Some(!inside)
}

fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let stream = Stream::parse(text).unwrap();
        downloads(&stream).into_iter().map(|d| format!("{}: {}", d.path, d.what)).collect()
    }

    fn of_script(script: &str) -> Vec<String> {
        let text = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"s": script}});
        found(&text.to_string()).into_iter().map(|found| found.replacen("data.s: ", "", 1)).collect()
    }

    #[test]
    fn commands_that_fetch() {
        for script in [
            "apk add --no-cache kubectl",
            "apt-get -y install curl",
            "pip install mlflow==3.1 psycopg2",
            "python3 -m pip install boto3",
            "uv pip install boto3",
            "npm ci",
            "git clone https://github.com/a/b",
            "git clone $REPOSITORY",
            "curl -fsSL https://get.example.com/x.sh",
            "wget -qO- http://dl.min.io/mc",
            "kubectl apply -f https://raw.githubusercontent.com/a/b/crds.yaml",
            "helm repo add x https://charts.example.com",
            "huggingface-cli download a/b",
            "go install example.com/x@latest",
        ] {
            assert_eq!(of_script(&format!("set -e\nif true; then {script}; fi")), [script]);
        }
    }

    #[test]
    fn what_stays_inside_or_is_only_text_is_none() {
        for script in [
            "curl -s http://minio.minio.svc:9000/minio/health/live",
            "curl -s http://10.0.0.1/x; wget http://localhost:8080/ready; curl https://mlflow.example.internal/",
            "curl \"$URL/api\"; curl http://$HOST:80/",
            "pip install --no-index --find-links=/wheels x",
            "pip install --index-url http://pypi.site.internal/simple x",
            "apk add --no-network /packages/x.apk",
            "echo \"run: apk add kubectl\"",
            "# apk add kubectl",
            "description: run pip install mlflow to get it",
            "See https://example.com/docs for curl https://example.com",
            "kubectl apply -f /crds",
            "helm upgrade --install x ./chart",
            "git config user.name x",
            "{\"title\": \"curl https://example.com\"}",
            "hf://",
        ] {
            assert_eq!(of_script(script), [] as [&str; 0], "{script}");
        }
    }

    #[test]
    fn where_it_stands() {
        let text = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j, annotations: {x: apk add y}}\nspec: {template: {spec: {containers: [\n\
            {image: a:1, command: [apk, add, kubectl]},\n\
            {image: a:1, command: [sh, -c], args: [\"apk add kubectl && kubectl get x\"]},\n\
            {image: g:1, env: [{name: GF_INSTALL_PLUGINS, value: \"a,b\"}, {name: GF_PLUGINS_PREINSTALL, value: \"\"}, {name: GF_PLUGINS_PREINSTALL_SYNC, valueFrom: {configMapKeyRef: {name: g, key: plugins}}}]}]}}}\n---\n\
            apiVersion: x.io/v1\nkind: Model\nmetadata: {name: m}\nspec: {storageUri: \"hf://org/model\"}\n";
        let inside = "kind: Job\nspec:\n  containers: [{args: [sh, -c, \"pip install x\"]}]\n---\nenv: []\n";
        let secret = "YXBrIGFkZCBqcQ==";
        let objects = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"r.yaml": inside}});
        let text = format!(
            "{text}---\n{objects}\n---\napiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\ndata: {{x: {secret}}}\n"
        );
        let expected = [
            "spec.template.spec.containers[0].command: apk add kubectl",
            "spec.template.spec.containers[1].args[0]: apk add kubectl",
            "spec.template.spec.containers[2].env[0]: GF_INSTALL_PLUGINS=a,b",
            "spec.template.spec.containers[2].env[2]: GF_PLUGINS_PREINSTALL_SYNC",
            "spec.storageUri: hf://org/model",
            "data[\"r.yaml\"]: spec.containers[0].args[2]: pip install x",
            "data.x: apk add jq",
        ];
        assert_eq!(found(&text), expected);
        let test = text.replace(
            "metadata: {name: j, annotations: {x: apk add y}}",
            "metadata: {name: j, annotations: {helm.sh/hook: test}}",
        );
        assert_eq!(found(&test), expected[4..]);
    }

    #[test]
    fn long_commands_are_shortened() {
        let long = format!("pip install {}", "x ".repeat(100));
        assert!(of_script(&long)[0].chars().count() == SHOWN + 1);
    }
}
