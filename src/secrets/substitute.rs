//! Puts secrets where their tokens stand, in memory, on the way into a tool's standard input; and dummies where a
//! chart looks into a secret while nothing is installed. Only string leaves; must not touch keys.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use super::Revealed;
use crate::definition::{Encoding, SecretUse, replace_tokens};

/// Names that are asked for and not revealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no secret {}", .0.join(", "))]
pub struct NotRevealed(pub Vec<String>);

/// A secret as it is written in an encoding.
pub fn encoded(secret: &str, encoding: Encoding) -> String {
    match encoding {
        Encoding::Raw => secret.to_owned(),
        Encoding::B64 => STANDARD.encode(secret),
        Encoding::Url => percent_encoded(secret),
        Encoding::Json => {
            let quoted = Json::from(secret).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        }
    }
}

/// Everything but the unreserved characters of RFC 3986 is escaped.
pub(super) fn percent_encoded(text: &str) -> String {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if unreserved(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// A text with the secrets it asks for.
///
/// # Errors
/// [`NotRevealed`].
pub fn text(text: &str, uses: &[SecretUse], revealed: &Revealed) -> Result<String, NotRevealed> {
    check(uses, revealed)?;
    Ok(put(text, uses, revealed))
}

/// Values with the secrets they ask for.
///
/// # Errors
/// [`NotRevealed`].
pub fn values(mut values: Json, uses: &[SecretUse], revealed: &Revealed) -> Result<Json, NotRevealed> {
    check(uses, revealed)?;
    leaves(&mut values, &|leaf| put(leaf, uses, revealed));
    Ok(values)
}

/// Values as charts are shown them while nothing is installed: with tokens, and with dummies where these are declared.
pub fn offline(mut values: Json, uses: &[SecretUse]) -> Json {
    let dummy = |token: &str| uses.iter().find(|used| used.token == token)?.dummy.as_deref();
    if uses.iter().any(|used| used.dummy.is_some()) {
        leaves(&mut values, &|leaf| replace_tokens(leaf, dummy));
    }
    values
}

fn check(uses: &[SecretUse], revealed: &Revealed) -> Result<(), NotRevealed> {
    let missing: Vec<String> =
        uses.iter().filter(|used| revealed.get(&used.name).is_none()).map(|used| used.name.clone()).collect();
    if missing.is_empty() { Ok(()) } else { Err(NotRevealed(missing)) }
}

fn put(text: &str, uses: &[SecretUse], revealed: &Revealed) -> String {
    replace_tokens(text, |token| {
        let used = uses.iter().find(|used| used.token == token)?;
        Some(encoded(revealed.get(&used.name)?, used.encoding))
    })
}

fn leaves(node: &mut Json, change: &dyn Fn(&str) -> String) {
    match node {
        Json::String(text) => *text = change(text),
        Json::Array(items) => items.iter_mut().for_each(|item| leaves(item, change)),
        Json::Object(map) => map.values_mut().for_each(|value| leaves(value, change)),
        _ => {}
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::definition::{Definition, Tree};

    /// A definition with one release of these values and `secrets:`, and everything it asks for declared.
    pub(crate) fn definition(values: &str, secrets: &str) -> Definition {
        let mut tree = Tree::default();
        let environment =
            "apiVersion: platctl.dev/v1\nkubeVersion: \"1.34.4\"\ntools: {helm: 4.3.1, kubectl: 1.34.4}\n";
        tree.insert("environments/prod/environment.yaml", environment);
        tree.insert("templates/apps/tier.yaml", "apiVersion: platctl.dev/v1\norder: 1\n");
        let sealed = "a: {b: \"ENC[AES256_GCM,data:x]\"}\nsops: {mac: m}\n";
        tree.insert("environments/prod/secrets.yaml", sealed);
        let release = format!("apiVersion: platctl.dev/v1\nchart: {{path: ./chart}}\nnamespace: ns\n{secrets}");
        tree.insert("templates/apps/x/release.yaml", release);
        tree.insert("templates/apps/x/values.yaml", values);
        Definition::load(&tree, "prod").unwrap()
    }

    const HARD: &str = "q\"u'o: te\n- {{ x }} #%&\\é";

    #[test]
    fn secrets_come_out_as_they_are_whatever_is_in_them() {
        let definition = definition(
            "plain: \"{{ secret('a.b') }}\"\nurl: \"pg://u:{{ secret('a.b', encode='url') }}@h\"\n\
             json: '{\"p\": \"{{ secret(\"a.b\", encode=\"json\") }}\"}'\nlist: [\"{{ secret('a.b', encode='b64') }}\"]\n",
            "",
        );
        let release = &definition.releases[0];
        let revealed = Revealed::from_json(serde_json::json!({"a": {"b": HARD}}));
        let json = values(release.values.to_json(), &release.value_secrets, &revealed).unwrap();
        assert_eq!(json["plain"], HARD);
        assert_eq!(json["url"], "pg://u:q%22u%27o%3A%20te%0A-%20%7B%7B%20x%20%7D%7D%20%23%25%26%5C%C3%A9@h");
        let inner: Json = serde_json::from_str(json["json"].as_str().unwrap()).unwrap();
        assert_eq!(inner["p"], HARD);
        assert_eq!(json["list"][0], STANDARD.encode(HARD));
        let missing = values(release.values.to_json(), &release.value_secrets, &Revealed::default()).unwrap_err();
        assert!(missing.0.contains(&"a.b".to_owned()));
    }

    #[test]
    fn a_secret_that_looks_like_a_token_is_not_replaced_again() {
        let definition = definition("x: \"{{ secret('a.b') }}\"\n", "");
        let uses = &definition.releases[0].value_secrets;
        let revealed = Revealed::from_json(serde_json::json!({"a": {"b": format!("{0}{0}", uses[0].token)}}));
        assert_eq!(text(&uses[0].token, uses, &revealed).unwrap(), format!("{0}{0}", uses[0].token));
    }

    #[test]
    fn dummies_stand_in_only_while_nothing_is_installed() {
        let definition = definition("x: \"{{ secret('a.b', dummy='aGVsbG8=') }}\"\nz: \"{{ secret('a.b') }}\"\n", "");
        let release = &definition.releases[0];
        let json = offline(release.values.to_json(), &release.value_secrets);
        assert_eq!(json["x"], "aGVsbG8=");
        assert!(json["z"].as_str().unwrap().starts_with("platctl-secret-"));
        let revealed = Revealed::from_json(serde_json::json!({"a": {"b": "real"}}));
        let json = values(release.values.to_json(), &release.value_secrets, &revealed).unwrap();
        assert_eq!((json["x"].as_str(), json["z"].as_str()), (Some("real"), Some("real")));
    }
}
