//! The Kubernetes Secrets of a release as the API server takes them. The text holds secrets in the clear: it may only
//! go into kubectl's standard input.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use zeroize::Zeroizing;

use super::{NotRevealed, Revealed, substitute};
use crate::definition::KubernetesSecret;

/// A list of the Secrets, with labels of ours beside their own; nothing when there are none.
///
/// # Errors
/// [`NotRevealed`].
pub fn objects(
    secrets: &[KubernetesSecret],
    namespace: &str,
    labels: &BTreeMap<String, String>,
    revealed: &Revealed,
) -> Result<Option<Zeroizing<String>>, NotRevealed> {
    let mut items = Vec::new();
    for secret in secrets {
        let mut data = BTreeMap::new();
        for (key, text) in &secret.data {
            let text = Zeroizing::new(substitute::text(text, &secret.uses, revealed)?);
            data.insert(key, STANDARD.encode(text.as_bytes()));
        }
        let mut all = secret.labels.clone();
        all.extend(labels.clone());
        let metadata = json!({"name": secret.name, "namespace": namespace, "labels": all});
        items.push(
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": secret.kind, "data": data}),
        );
    }
    let list = || json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    Ok((!secrets.is_empty()).then(|| Zeroizing::new(list())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::substitute::tests::definition;

    #[test]
    fn entries_are_base64_and_labels_ours() {
        let definition = definition(
            "{}",
            "secrets:\n- {name: db, labels: {x: z}, data: {user: {value: me}, uri: {template: \"pg://{{ secret('a.b', encode='url') }}\"}}}\n",
        );
        let revealed = Revealed::from_json(json!({"a": {"b": "p/w"}}));
        let labels = BTreeMap::from([("platctl.dev/platform".to_owned(), "ml".to_owned())]);
        let text = objects(&definition.releases[0].secrets, "ns", &labels, &revealed).unwrap().unwrap();
        let list: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": "db", "namespace": "ns", "labels": {"x": "z", "platctl.dev/platform": "ml"}},
            "data": {"user": STANDARD.encode("me"), "uri": STANDARD.encode("pg://p%2Fw")}});
        assert_eq!(list["items"], json!([expected]));
        assert_eq!(objects(&[], "ns", &labels, &revealed).unwrap(), None);
    }
}
