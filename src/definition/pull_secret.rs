//! The Secret that pods pull images with: made in every namespace from what secrets.yaml has for the site's registry.
//! Must not patch pods or accounts: charts name the Secret in their values.

use std::collections::BTreeMap;

use super::asked::Asked;
use super::environment::Registry;
use super::token::Encoding;
use super::{KubernetesSecret, Sealed};
use crate::yaml::{Problem, Sources};

const KIND: &str = "kubernetes.io/dockerconfigjson";
const KEY: &str = ".dockerconfigjson";

/// The Secret, where the environment declares one: of `username` and `password`, or of a whole Docker configuration.
pub(super) fn made(
    sources: &Sources,
    registry: &Registry,
    sealed: &Sealed,
    asked: &Asked,
) -> Result<Option<KubernetesSecret>, Problem> {
    let Some((name, span)) = &registry.pull_secret else { return Ok(None) };
    let [user, password] = ["username", "password"].map(|key| format!("{name}.{key}"));
    let text = if sealed.contains_key(name) {
        asked.place(name, Encoding::Raw, *span)
    } else if sealed.contains_key(&user) && sealed.contains_key(&password) {
        let [user, password] = [user, password].map(|name| asked.place(&name, Encoding::Json, *span));
        let login = serde_json::json!({"username": user, "password": password});
        let mut auths = serde_json::Map::new();
        auths.insert(registry.site.address.clone(), login);
        serde_json::json!({"auths": auths}).to_string()
    } else {
        let problem = Problem::new(format!("secrets.yaml has no `{name}` with `username` and `password`"));
        return Err(problem.at(sources, *span).help("add both with `platctl secrets edit`, or take `pullSecret` away"));
    };
    let mut uses = Vec::new();
    asked.in_text(sources, &text, *span, &mut uses);
    let data = BTreeMap::from([(KEY.to_owned(), text)]);
    Ok(Some(KubernetesSecret {
        name: name.clone(),
        kind: KIND.to_owned(),
        labels: BTreeMap::new(),
        data,
        uses,
        span: *span,
    }))
}
