//! The Kubernetes Secrets of a release as the API server takes them. The text holds secrets in the clear: it may only
//! go into kubectl's standard input.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

use super::{NotRevealed, Revealed, substitute};
use crate::definition::KubernetesSecret;

/// The kind of a Secret that is a Docker configuration.
const REGISTRY_LOGIN: &str = "kubernetes.io/dockerconfigjson";

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
            let text = if secret.kind == REGISTRY_LOGIN { with_auth(text) } else { text };
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

/// A Docker configuration whose logins also stand in the one form that everybody reads: `auth`. A kubelet is content with
/// `username` and `password`; skopeo, for one, is not.
fn with_auth(text: Zeroizing<String>) -> Zeroizing<String> {
    let Ok(mut config) = serde_json::from_str::<Json>(&text) else { return text };
    let logins = config.get_mut("auths").and_then(Json::as_object_mut);
    for login in logins.into_iter().flat_map(|logins| logins.values_mut()) {
        if let (Some(user), Some(password), None) =
            (login["username"].as_str(), login["password"].as_str(), login["auth"].as_str())
        {
            login["auth"] = STANDARD.encode(format!("{user}:{password}")).into();
        }
    }
    Zeroizing::new(config.to_string())
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

    #[test]
    fn a_registry_login_is_one_that_everybody_reads() {
        let plain = r#"{"auths":{"r:5000":{"username":"me","password":"p:w"}}}"#;
        let whole = r#"{"auths":{"r:5000":{"username":"me","password":"p:w","auth":"bWU6cDp3"}}}"#;
        let made = |text: &str| with_auth(Zeroizing::new(text.to_owned())).to_string();
        assert_eq!((made(plain), made(whole)), (whole.to_owned(), whole.to_owned()));
        for other in
            [r#"{"auths":{"r":{"auth":"eDp5"}}}"#, r#"{"credsStore":"x"}"#, "no json", "[1]", r#"{"auths":[]}"#]
        {
            assert_eq!(made(other), other);
        }
    }
}
