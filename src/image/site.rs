//! The name an image has at the site: `<registry>/<prefix>/<original host>/<path>`. The whole original name is
//! kept, so that two images never share one.

use super::Reference;
use crate::digest::Digest;

/// The site's registry, as the environment declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Host and port.
    pub address: String,
    /// Path below which everything lies; may be empty.
    pub prefix: String,
}

impl Site {
    /// The repository's path inside the site registry. A port's colon is not legal in a path and becomes a dash.
    pub fn path(&self, image: &Reference) -> String {
        let host = image.host.replace(':', "-").to_lowercase();
        match self.prefix.trim_matches('/') {
            "" => format!("{host}/{}", image.path),
            prefix => format!("{prefix}/{host}/{}", image.path),
        }
    }

    /// The repository with the registry's address.
    pub fn repository(&self, image: &Reference) -> String {
        format!("{}/{}", self.address, self.path(image))
    }

    /// The reference pods are given.
    pub fn pinned(&self, image: &Reference, digest: &Digest) -> String {
        format!("{}@{digest}", self.repository(image))
    }

    /// Whether a text already points into the site registry.
    pub fn holds(&self, text: &str) -> bool {
        text.strip_prefix(&self.address).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The tag an image gets at the site: its own, or one made of its digest, because registries collect
    /// manifests without a tag.
    pub fn tag(image: &Reference) -> String {
        match (&image.tag, &image.digest) {
            (Some(tag), _) => tag.clone(),
            (None, Some(digest)) => format!("sha256-{}", digest.hex()),
            (None, None) => "latest".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_original_name_is_kept_whole() {
        let site = Site { address: "r.internal:5000".into(), prefix: "mirror".into() };
        let image: Reference = "localhost:5000/a/b:1".parse().unwrap();
        assert_eq!(site.repository(&image), "r.internal:5000/mirror/localhost-5000/a/b");
        assert!(site.holds("r.internal:5000/x"));
        assert!(!site.holds("r.internal:50001/x"));
    }
}
