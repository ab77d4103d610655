//! What releases ask of secrets: their Kubernetes Secrets with tokens, what they declare to be generated, and which
//! names are not there yet. Must not know any secret.

use std::collections::BTreeSet;

use super::declared_secret::DeclaredSecret;
use super::desired::Loader;
use super::release::ReleaseFile;
use super::{Definition, KubernetesSecret, Release, SecretUse, generate, pull_secret};
use crate::yaml::{Problem, Sources};

/// The Kubernetes Secrets that are made before a release; the registry's first.
pub(super) fn secrets(
    loader: &mut Loader<'_>,
    sources: &Sources,
    file: &ReleaseFile,
    name: &str,
) -> Result<Vec<KubernetesSecret>, Problem> {
    for (name, declaration) in file.secrets.iter().flat_map(DeclaredSecret::generated) {
        generate::add(&mut loader.generated, sources, name, declaration.clone())?;
    }
    let mut made = Vec::new();
    if let Some(registry) = &loader.environment.registry {
        made.extend(pull_secret::made(sources, registry, loader.sealed, loader.asked)?);
    }
    let scope = loader.names.of_release(name, &file.namespace);
    for declared in &file.secrets {
        made.push(declared.evaluated(sources, loader.evaluator, loader.asked, &scope)?);
    }
    Ok(made)
}

impl Release {
    /// Every secret that it asks for, in its values and in its Kubernetes Secrets.
    pub fn secret_uses(&self) -> impl Iterator<Item = &SecretUse> {
        self.value_secrets.iter().chain(self.secrets.iter().flat_map(|secret| &secret.uses))
    }
}

impl Definition {
    /// The names that releases ask for and that secrets.yaml does not have yet.
    pub fn missing_secrets<'a>(&'a self, releases: impl Iterator<Item = &'a Release>) -> BTreeSet<&'a str> {
        let names = releases.flat_map(Release::secret_uses).map(|used| used.name.as_str());
        names.filter(|name| !self.sealed.contains_key(*name)).collect()
    }
}
