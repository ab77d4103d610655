//! What outlives the releases that are removed, and which Secrets go with them. Pure: what the cluster says is given.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::observe;
use super::{BackStep, label};
use crate::definition::Definition;
use crate::record::Lasting;

/// What stays when releases are removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Keeps {
    /// Claims, with their data.
    pub claims: Vec<Claim>,
    /// Custom resource definitions, with all objects of theirs.
    pub definitions: Vec<String>,
    /// Namespaces.
    pub namespaces: BTreeSet<String>,
}

/// A PersistentVolumeClaim of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// How large it is.
    pub size: Option<String>,
    /// Whose it is.
    pub release: String,
    /// The object that it goes with all the same, because that owns it.
    pub owner: Option<String>,
}

impl Keeps {
    /// Looks for them: what the records of releases say that lasts (by `namespace/release`), the claims of their namespaces
    /// as kubectl lists them, and the names of all definitions there are.
    pub fn find(
        steps: &[&BackStep],
        lasting: &BTreeMap<String, Lasting>,
        claims: &BTreeMap<String, Value>,
        definitions: &[String],
    ) -> Keeps {
        let nothing = Lasting::default();
        let of = |step: &BackStep| lasting.get(&step.id()).unwrap_or(&nothing);
        let named: BTreeSet<&String> = steps.iter().flat_map(|step| &of(step).definitions).collect();
        let whose = |namespace: &str, claim: &Value| {
            let name = claim["metadata"]["name"].as_str().unwrap_or_default();
            let instance = claim["metadata"]["labels"]["app.kubernetes.io/instance"].as_str();
            let here = || steps.iter().filter(|step| step.namespace == namespace);
            let by_record = here().find(|step| of(step).has_claim(name));
            by_record.or_else(|| here().find(|step| instance == Some(&step.release))).map(|step| step.release.clone())
        };
        let mut found = Vec::new();
        for (namespace, list) in claims {
            for claim in list["items"].as_array().into_iter().flatten() {
                let Some(release) = whose(namespace, claim) else { continue };
                let text = |value: &Value| value.as_str().map(str::to_owned);
                let owner = claim["metadata"]["ownerReferences"].as_array().and_then(|owners| {
                    let owner = owners.first()?;
                    Some(format!("{} {}", owner["kind"].as_str()?, owner["name"].as_str()?))
                });
                found.push(Claim {
                    namespace: namespace.clone(),
                    name: text(&claim["metadata"]["name"]).unwrap_or_default(),
                    size: text(&claim["spec"]["resources"]["requests"]["storage"]),
                    release,
                    owner,
                });
            }
        }
        Keeps {
            claims: found,
            definitions: definitions.iter().filter(|name| named.contains(name)).cloned().collect(),
            namespaces: steps.iter().map(|step| step.namespace.clone()).collect(),
        }
    }
}

/// The Secrets that were made for releases that are removed, by `namespace/release`. `table` lists those with our labels.
/// One that a release which stays asks for too, such as the registry's login, stays with it.
pub fn own_secrets(
    definition: &Definition,
    removed: &[&BackStep],
    staying: &[(String, String)],
    table: &str,
) -> BTreeMap<String, Vec<String>> {
    let mut wanted: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (namespace, name) in staying {
        let release = definition.releases.iter().find(|r| r.namespace == *namespace && r.name == *name);
        let secrets = release.into_iter().flat_map(|release| &release.secrets);
        wanted.extend(secrets.map(|secret| (namespace.as_str(), secret.name.as_str())));
        let login = definition.environment.registry.as_ref().and_then(|registry| registry.pull_secret.as_ref());
        wanted.extend(login.map(|(name, _)| (namespace.as_str(), name.as_str())));
    }
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (namespace, name, labels) in observe::objects(table) {
        if wanted.contains(&(namespace, name)) {
            continue;
        }
        let owner = labels.get(label::RELEASE).map_or("", String::as_str);
        let stays = staying.iter().any(|(place, release)| place == namespace && release == owner);
        // The one whose label it has may be gone for long, when several asked for it.
        let here = || removed.iter().filter(|step| step.namespace == namespace);
        let step = here().find(|step| step.release == owner).or_else(|| here().next().filter(|_| !stays));
        if let Some(step) = step {
            found.entry(step.id()).or_default().push(name.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::definition::Tree;
    use crate::plan::{Deed, Reason};

    fn step(namespace: &str, release: &str) -> BackStep {
        BackStep {
            release: release.to_owned(),
            namespace: namespace.to_owned(),
            needs: Vec::new(),
            status: "deployed".to_owned(),
            revision: 1,
            version: None,
            deed: Deed::Remove { because: Reason::Asked },
        }
    }

    #[test]
    fn claims_are_found_by_record_and_by_label_and_never_those_of_others() {
        let (db, web) = (step("n", "db"), step("n", "web"));
        let lasting = Lasting { claim_prefixes: vec!["data-db-".into()], ..Lasting::default() };
        let claim = |name: &str, instance: &str, owners: Value| {
            json!({"metadata": {"name": name, "labels": {"app.kubernetes.io/instance": instance}, "ownerReferences": owners},
                "spec": {"resources": {"requests": {"storage": "8Gi"}}}})
        };
        let owner = json!([{"kind": "StatefulSet", "name": "cache"}]);
        let list = json!({"items": [claim("data-db-0", "other", Value::Null), claim("disk", "web", owner), claim("mine", "foreign", Value::Null)]});
        let claims = BTreeMap::from([("n".to_owned(), list)]);
        let lasting = BTreeMap::from([("n/db".to_owned(), lasting)]);
        let keeps = Keeps::find(&[&db, &web], &lasting, &claims, &[]);
        let said: Vec<_> =
            keeps.claims.iter().map(|c| (c.name.as_str(), c.release.as_str(), c.owner.as_deref())).collect();
        assert_eq!(said, [("data-db-0", "db", None), ("disk", "web", Some("StatefulSet cache"))]);
    }

    #[test]
    fn only_definitions_that_are_there_are_told() {
        let db = step("n", "db");
        let lasting = Lasting { definitions: vec!["a.x.io".into(), "b.x.io".into()], ..Lasting::default() };
        let lasting = BTreeMap::from([("n/db".to_owned(), lasting)]);
        let there = ["b.x.io".to_owned(), "c.x.io".to_owned()];
        assert_eq!(Keeps::find(&[&db], &lasting, &BTreeMap::new(), &there).definitions, ["b.x.io"]);
    }

    fn definition() -> Definition {
        let mut tree = Tree::default();
        tree.insert(
            "environments/prod/environment.yaml",
            "apiVersion: platctl.dev/v1\nkubeVersion: \"1.34.4\"\ntools: {helm: 4.3.1, kubectl: 1.34.4}\nplatform: ml\nregistry: {address: registry.site, pullSecret: shared}\n",
        );
        let sealed = "shared: \"ENC[AES256_GCM,data:x]\"\nsops: {mac: m}\n";
        tree.insert("environments/prod/secrets.yaml", sealed);
        tree.insert("templates/apps/tier.yaml", "apiVersion: platctl.dev/v1\norder: 1\n");
        for name in ["db", "web"] {
            let text = "apiVersion: platctl.dev/v1\nchart: {path: ./chart}\nnamespace: data\n";
            tree.insert(format!("templates/apps/{name}/release.yaml"), text);
        }
        Definition::load(&tree, "prod").unwrap()
    }

    #[test]
    fn a_secret_goes_with_the_last_that_asks_for_it() {
        let table = "data own Opaque 1 5m platctl.dev/release=db\ndata shared Opaque 1 5m platctl.dev/release=db\n\
            other own Opaque 1 5m platctl.dev/release=db\ndata webs Opaque 1 5m platctl.dev/release=web\n";
        let (db, web) = (step("data", "db"), step("data", "web"));
        let pair = |name: &str| ("data".to_owned(), name.to_owned());
        let found = own_secrets(&definition(), &[&db], &[pair("web")], table);
        assert_eq!(found, BTreeMap::from([("data/db".to_owned(), vec!["own".to_owned()])]));
        let found = own_secrets(&definition(), &[&web], &[], table);
        assert_eq!(found["data/web"], ["own", "shared", "webs"], "what db left behind goes too");
    }
}
