//! Reads what an API server says of itself: `/version`, `/api`, `/apis` and the list of every group/version. Helm
//! makes its `.Capabilities.APIVersions` of the same answers.

use serde::Deserialize;

use super::{Capabilities, file};

/// An answer of the API server that is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("the answer of {path} can't be read: {reason}")]
pub struct Unreadable {
    /// What was asked for.
    pub path: String,
    /// Why it can't be read.
    pub reason: String,
}

/// One question of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// Its group/version.
    pub group_version: String,
    /// The path that lists its kinds.
    pub path: String,
}

#[derive(Deserialize)]
struct Versions {
    versions: Vec<String>,
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    versions: Vec<GroupVersion>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupVersion {
    group_version: String,
}

#[derive(Deserialize)]
struct Resources {
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    kind: String,
}

/// All group/versions, not only preferred ones, from the answers of `/api` and `/apis`.
///
/// # Errors
/// [`Unreadable`].
pub fn group_versions(api: &str, apis: &str) -> Result<Vec<Discovery>, Unreadable> {
    let core: Versions = json("/api", api)?;
    let named: Groups = json("/apis", apis)?;
    let core = core.versions.into_iter().map(|version| (format!("/api/{version}"), version));
    let named = named.groups.into_iter().flat_map(|group| group.versions).map(|version| version.group_version);
    let named = named.map(|version| (format!("/apis/{version}"), version));
    let all = core.chain(named).map(|(path, group_version)| Discovery { group_version, path });
    Ok(all.filter(|found| file::is_group_version(&found.group_version)).collect())
}

impl Discovery {
    /// Adds its kinds, those of subresources included, from the answer of its path.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn record(&self, answer: &str, into: &mut Capabilities) -> Result<(), Unreadable> {
        let list: Resources = json(&self.path, answer)?;
        let kinds = list.resources.into_iter().map(|resource| resource.kind).filter(|kind| file::is_kind(kind));
        into.add(&self.group_version, kinds);
        Ok(())
    }
}

fn json<'a, T: Deserialize<'a>>(path: &str, text: &'a str) -> Result<T, Unreadable> {
    serde_json::from_str(text).map_err(|e| Unreadable { path: path.to_owned(), reason: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_become_capabilities() {
        let apis = r#"{"kind":"APIGroupList","groups":[{"name":"apps","versions":[{"groupVersion":"apps/v1","version":"v1"},{"groupVersion":"apps/v1beta1"}],"preferredVersion":{"groupVersion":"apps/v1"}}]}"#;
        let found = group_versions(r#"{"kind":"APIVersions","versions":["v1"]}"#, apis).unwrap();
        let paths: Vec<&str> = found.iter().map(|d| d.path.as_str()).collect();
        assert_eq!(paths, ["/api/v1", "/apis/apps/v1", "/apis/apps/v1beta1"]);
        let mut recorded = Capabilities::new("1.34.4", "");
        let list = r#"{"resources":[{"name":"deployments","kind":"Deployment"},{"name":"deployments/scale","group":"autoscaling","version":"v1","kind":"Scale"}]}"#;
        found[1].record(list, &mut recorded).unwrap();
        assert!(recorded.to_yaml().ends_with("apis:\n  apps/v1: [Deployment, Scale]\n"));
        let error = found[0].record("404 page not found", &mut recorded).unwrap_err();
        assert!(error.to_string().starts_with("the answer of /api/v1 can't be read"), "{error}");
    }
}
