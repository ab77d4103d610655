//! What has to outlive a release, and how helm is told to keep it: the annotation that charts use too, put into the
//! record that `helm uninstall` goes by. Text in, text out; a record holds secrets in the clear.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

use super::{Record, Remarks, UnreadableRecord, unpacked};
use crate::object::Stream;

/// Kinds whose removal takes data, or what belongs to others, with it.
const LASTING: [&str; 4] = ["PersistentVolumeClaim", "PersistentVolume", "CustomResourceDefinition", "Namespace"];
const POLICY: &str = "helm.sh/resource-policy";

/// What of a release lasts, by its record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lasting {
    /// Claims that its chart declares: namespace, if it names one, and name.
    pub claims: Vec<(Option<String>, String)>,
    /// Beginnings of the names of claims that its StatefulSets make: the number of a pod follows.
    pub claim_prefixes: Vec<String>,
    /// Definitions, of templates and of `crds/` folders. Those of subcharts' are known where platctl installed the release.
    pub definitions: Vec<String>,
    /// How many hooks it has: helm may wait for each of them.
    pub hooks: usize,
}

impl Lasting {
    /// Reads the JSON of a Secret of type `helm.sh/release.v1`.
    ///
    /// # Errors
    /// [`UnreadableRecord`] when it is none.
    pub fn read(secret: &str) -> Result<Lasting, UnreadableRecord> {
        let record = Record::read(secret)?;
        let (hooks, objects): (Vec<_>, Vec<_>) = record.stream.objects.iter().partition(|object| object.hook.is_some());
        let mut lasting = Lasting { hooks: hooks.len(), ..Lasting::default() };
        for object in objects {
            match object.kind.as_str() {
                "PersistentVolumeClaim" => lasting.claims.push((object.namespace.clone(), object.name.clone())),
                "CustomResourceDefinition" => lasting.definitions.push(object.name.clone()),
                "StatefulSet" => {
                    let json = object.node.to_json();
                    let templates = json["spec"]["volumeClaimTemplates"].as_array().cloned().unwrap_or_default();
                    let names = templates.iter().filter_map(|template| template["metadata"]["name"].as_str());
                    lasting.claim_prefixes.extend(names.map(|name| format!("{name}-{}-", object.name)));
                }
                _ => {}
            }
        }
        let (_, stored) = opened(secret)?;
        lasting.definitions.extend(of_crds_folder(&stored));
        lasting.definitions.extend(Remarks::read(record.stream.text()).definitions);
        lasting.definitions.sort();
        lasting.definitions.dedup();
        Ok(lasting)
    }

    /// Those of a list of such Secrets, each with its release, as `namespace/release`.
    ///
    /// # Errors
    /// [`UnreadableRecord`] when it is no list, or one of them is no record.
    pub fn read_list(list: &str) -> Result<Vec<(String, Lasting)>, UnreadableRecord> {
        let unknown =
            |e: serde_json::Error| UnreadableRecord { release: "a release".to_owned(), reason: e.to_string() };
        let list: Json = serde_json::from_str(list).map_err(unknown)?;
        let one = |secret: &Json| {
            let text = Zeroizing::new(secret.to_string());
            let record = Record::read(&text)?;
            Ok((format!("{}/{}", record.namespace, record.name), Lasting::read(&text)?))
        };
        list["items"].as_array().into_iter().flatten().map(one).collect()
    }

    /// Whether a claim of this name, in the release's own namespace, is one that it made.
    pub fn has_claim(&self, name: &str) -> bool {
        let numbered = |prefix: &String| {
            name.strip_prefix(prefix.as_str())
                .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
        };
        self.claims.iter().any(|(_, claim)| claim == name) || self.claim_prefixes.iter().any(numbered)
    }
}

/// The Secret with everything that lasts marked to be kept; none when the chart has marked it all, or has nothing of it.
///
/// # Errors
/// [`UnreadableRecord`] when it is no record.
pub fn keeping(secret: &str) -> Result<Option<Zeroizing<String>>, UnreadableRecord> {
    let (mut whole, mut stored) = opened(secret)?;
    let broken = |reason: String| UnreadableRecord { release: name(&whole), reason };
    let manifest = stored["manifest"].as_str().unwrap_or_default();
    let stream = Stream::parse(manifest).map_err(|e| broken(e.to_string()))?;
    let Some(marked) = marked(&stream) else { return Ok(None) };
    stored["manifest"] = marked.into();
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let json = Zeroizing::new(stored.to_string());
    let packed = packer.write_all(json.as_bytes()).and_then(|()| packer.finish());
    let packed = packed.map_err(|e| broken(e.to_string()))?;
    whole["data"]["release"] = STANDARD.encode(STANDARD.encode(packed)).into();
    // The API server refuses a list of who set which field together with a resourceVersion that is not the last one.
    if let Some(metadata) = whole["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    Ok(Some(Zeroizing::new(whole.to_string())))
}

/// The manifest with the annotation on each lasting object that lacks it. Such an object becomes JSON, which is YAML; comments at
/// its head stay, because remarks are among them.
fn marked(stream: &Stream) -> Option<String> {
    let (mut text, mut changed) = (String::new(), false);
    for object in &stream.objects {
        text.push_str("---\n");
        let mut json = object.node.to_json();
        let kept = json["metadata"]["annotations"][POLICY].as_str() == Some("keep");
        if LASTING.contains(&object.kind.as_str()) && !kept {
            if !json["metadata"]["annotations"].is_object() {
                json["metadata"]["annotations"] = json!({});
            }
            json["metadata"]["annotations"][POLICY] = "keep".into();
            let comments = stream.text_of(object).lines().take_while(|line| line.starts_with('#'));
            comments.for_each(|line| text.push_str(&format!("{line}\n")));
            text.push_str(&format!("{json}\n"));
            changed = true;
        } else {
            text.push_str(stream.text_of(object));
            text.push('\n');
        }
    }
    changed.then_some(text)
}

/// The Secret, and what helm packed into it.
pub(super) fn opened(secret: &str) -> Result<(Json, Json), UnreadableRecord> {
    let unknown = |reason: String| UnreadableRecord { release: "a release".to_owned(), reason };
    let whole: Json = serde_json::from_str(secret).map_err(|e| unknown(e.to_string()))?;
    let broken = |reason: String| UnreadableRecord { release: name(&whole), reason };
    let json = Zeroizing::new(unpacked(whole["data"]["release"].as_str().unwrap_or_default()).map_err(broken)?);
    let stored = serde_json::from_slice(&json).map_err(|e| broken(e.to_string()))?;
    Ok((whole, stored))
}

pub(super) fn name(secret: &Json) -> String {
    secret["metadata"]["name"].as_str().unwrap_or("a release").to_owned()
}

/// The names of the definitions in the chart's own `crds/`.
fn of_crds_folder(stored: &Json) -> Vec<String> {
    let files = stored["chart"]["files"].as_array().cloned().unwrap_or_default();
    let texts = files
        .iter()
        .filter(|file| file["name"].as_str().is_some_and(|name| name.starts_with("crds/")))
        .filter_map(|file| String::from_utf8(STANDARD.decode(file["data"].as_str()?).ok()?).ok());
    let streams = texts.filter_map(|text| Stream::parse(text).ok());
    let objects = streams.flat_map(|stream| stream.objects);
    objects.filter(|object| object.kind == "CustomResourceDefinition").map(|object| object.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "---\n# platctl.dev/definition: subs.example.org\n# Source: c/templates/a.yaml\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: data\n  annotations: {team: a}\n\
        ---\n# Source: c/templates/b.yaml\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: kept, annotations: {helm.sh/resource-policy: keep}}\n\
        ---\n# Source: c/templates/c.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain} # as it is\n\
        ---\n# Source: c/templates/d.yaml\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.example.org}\n\
        ---\n# Source: c/templates/e.yaml\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec: {volumeClaimTemplates: [{metadata: {name: disk}}]}\n";

    #[test]
    fn hooks_are_counted_and_last_by_themselves() {
        let hook = "---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: h, annotations: {helm.sh/hook: pre-delete}}\n";
        let lasting = Lasting::read(&secret(&format!("{MANIFEST}{hook}"))).unwrap();
        assert_eq!((lasting.hooks, lasting.has_claim("h")), (1, false));
    }

    fn secret(manifest: &str) -> String {
        let file = STANDARD.encode("apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: others.example.org}\n");
        let stored = json!({"name": "a", "namespace": "n", "version": 1, "info": {"status": "deployed"},
            "config": {"password": "s3cret"}, "manifest": manifest,
            "chart": {"metadata": {"name": "c", "version": "1.0.0"}, "files": [{"name": "crds/others.yaml", "data": file}]}});
        let release = STANDARD.encode(STANDARD.encode(stored.to_string()));
        json!({"metadata": {"name": "sh.helm.release.v1.a.v1", "resourceVersion": "7", "managedFields": []}, "data": {"release": release}})
            .to_string()
    }

    #[test]
    fn what_lasts_is_known() {
        let lasting = Lasting::read(&secret(MANIFEST)).unwrap();
        assert_eq!(lasting.definitions, ["others.example.org", "subs.example.org", "things.example.org"]);
        for (name, expected) in [
            ("data", true),
            ("kept", true),
            ("disk-db-0", true),
            ("disk-db-12", true),
            ("disk-db-", false),
            ("disk-db-x", false),
            ("disk-db-0-copy", false),
            ("other", false),
        ] {
            assert_eq!(lasting.has_claim(name), expected, "{name}");
        }
    }

    #[test]
    fn helm_is_told_to_keep_it_and_nothing_else_changes() {
        let marked = keeping(&secret(MANIFEST)).unwrap().unwrap();
        let (whole, stored) = opened(&marked).unwrap();
        assert_eq!(whole["metadata"]["resourceVersion"], "7", "nobody else may have changed it meanwhile");
        assert!(whole["metadata"]["managedFields"].is_null());
        assert_eq!(stored["config"]["password"], "s3cret");
        let stream = Stream::parse(stored["manifest"].as_str().unwrap()).unwrap();
        let policy = |name: &str| {
            let object = stream.objects.iter().find(|object| object.name == name).unwrap();
            object.node.to_json()["metadata"]["annotations"][POLICY].as_str().map(str::to_owned)
        };
        let keep = Some("keep".to_owned());
        assert_eq!(["data", "kept", "things.example.org"].map(policy), [keep.clone(), keep.clone(), keep]);
        assert_eq!(["plain", "db"].map(policy), [None, None]);
        assert!(stream.text().contains("metadata: {name: plain} # as it is"));
        assert!(stream.text().contains("\"team\":\"a\""));
        assert!(keeping(&marked).unwrap().is_none(), "once is enough");
        assert_eq!(Lasting::read(&marked).unwrap(), Lasting::read(&secret(MANIFEST)).unwrap());
    }

    #[test]
    fn what_is_no_record_is_told() {
        assert!(keeping("{").is_err());
        assert!(keeping(r#"{"metadata":{"name":"x"},"data":{"release":"AA=="}}"#).is_err());
        assert!(Lasting::read("{}").is_err());
    }
}
