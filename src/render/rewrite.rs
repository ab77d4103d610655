//! Points every image of a stream at the site's registry, and refuses one that is not locked. Only the places that
//! were found change; all other text stays byte for byte.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::discover::{Finding, Found, Known, discover};
use super::downloads::{Download, downloads};
use super::rules::Shape;
use super::violation::{Rule, Violation};
use crate::definition::{ClusterNode, ComputedImages, Exception, IgnoredImage};
use crate::digest::Digest;
use crate::image::{Reference, Site};
use crate::object::{Edit, Stream};

/// What a release's images become. It crosses a process border on its way to the post-renderer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewriting {
    /// The release, for errors.
    pub release: String,
    /// The site's registry: address and prefix; without one nothing is rewritten.
    pub registry: Option<(String, String)>,
    /// Every locked image of the release and the digest its pods are given.
    pub images: BTreeMap<String, Digest>,
    /// References known to stand in places that no rule knows.
    pub declared: Vec<String>,
    /// Patterns of images that are left alone, with the reason.
    pub ignored: Vec<(String, String)>,
    /// Places whose tag an operator completes.
    pub computed: Vec<ComputedImages>,
    /// What it completes them from.
    pub nodes: Vec<ClusterNode>,
    /// Findings that are let pass on purpose.
    pub exceptions: Vec<Exception>,
}

impl Rewriting {
    /// Rewrites a stream.
    ///
    /// # Errors
    /// Every [`Violation`] found; nothing is rewritten then.
    pub fn apply(&self, stream: &Stream) -> Result<String, Vec<Violation>> {
        let site =
            self.registry.as_ref().map(|(address, prefix)| Site { address: address.clone(), prefix: prefix.clone() });
        let declared: Vec<Reference> = self.declared.iter().filter_map(|text| text.parse().ok()).collect();
        let known = Known { declared: &declared, computed: &self.computed, nodes: &self.nodes };
        let (mut edits, mut violations) = (Vec::new(), Vec::new());
        for finding in discover(stream, known) {
            match self.target(site.as_ref(), &finding) {
                Ok(Some(value)) => edits.extend(place(&finding, value)),
                Ok(None) => {}
                Err(why) => violations.push(Violation::of(stream, &finding, why).of_release(&self.release)),
            }
        }
        let told =
            |image: &&Reference| violations.iter().any(|v| v.what.parse().is_ok_and(|told: Reference| told == **image));
        let untold: Vec<&Reference> = declared.iter().filter(|image| !told(image)).collect();
        violations.extend(untold.into_iter().filter_map(|image| self.undeliverable(image)));
        violations.extend(fetched(stream, &self.exceptions).map(|violation| violation.of_release(&self.release)));
        if violations.is_empty() { Ok(stream.edited(&edits)) } else { Err(violations) }
    }

    /// A declared image that no object has to show, and that is not locked.
    fn undeliverable(&self, image: &Reference) -> Option<Violation> {
        let (rule, reason) = self.locked(image).err()?;
        let (release, what) = (self.release.clone(), image.to_string());
        let (object, path) = ("release.yaml".to_owned(), "images.extra".to_owned());
        Some(Violation { rule, release, object, origin: None, path, what, reason })
    }

    /// Everything that may not run, without rewriting anything.
    pub fn violations(&self, stream: &Stream) -> Vec<Violation> {
        self.apply(stream).err().unwrap_or_default()
    }

    /// What a finding becomes; `None` when it stays as it is.
    fn target(&self, site: Option<&Site>, finding: &Finding) -> Result<Option<Target>, (Rule, String)> {
        if site.is_some_and(|site| site.holds(&finding.text)) {
            return Ok(None);
        }
        match &finding.image {
            Found::Invalid(reason) => Err((Rule::NoReference, reason.clone())),
            Found::Image(image) => Ok(match (self.locked(image)?, site) {
                (Some(digest), Some(site)) => Some(Target::pinned(site, image, &digest)),
                _ => None,
            }),
            Found::Computed(images) => {
                for image in images {
                    self.locked(image).map_err(|(rule, reason)| (rule, format!("it comes to {image}: {reason}")))?;
                }
                let image: Option<Reference> = finding.text.parse().ok();
                Ok(site.zip(image).map(|(site, image)| Target::tagged(site, &image)))
            }
        }
    }

    /// The digest an image is locked by; none when it is left alone on purpose.
    fn locked(&self, image: &Reference) -> Result<Option<Digest>, (Rule, String)> {
        let ignored = |(pattern, reason): &(String, String)| {
            IgnoredImage { pattern: pattern.clone(), reason: reason.clone() }.matches(image)
        };
        match self.images.get(&image.to_string()) {
            _ if self.ignored.iter().any(ignored) => Ok(None),
            _ if image.floats() => Err(floats()),
            Some(digest) => Ok(Some(*digest)),
            None => Err((Rule::NotLocked, "it is not in the lock".to_owned())),
        }
    }
}

/// Why an image that floats is refused.
pub fn floats() -> (Rule, String) {
    (Rule::Floating, "it floats: it has neither a digest nor a tag other than `latest`".to_owned())
}

/// Everything that is fetched at run time, but for what is let pass on purpose.
pub fn fetched<'a>(stream: &'a Stream, exceptions: &'a [Exception]) -> impl Iterator<Item = Violation> + 'a {
    let let_pass = |download: &Download| {
        let (object, path) = (&stream.objects[download.object], download.path.to_string());
        exceptions.iter().any(|e| e.covers(&Rule::Download.code(), &object.kind, &object.name, &path))
    };
    let reason = || (Rule::Download, "it would be fetched while it runs".to_owned());
    downloads(stream)
        .into_iter()
        .filter(move |download| !let_pass(download))
        .map(move |d| Violation::at(stream, d.object, &d.path, &d.what, reason()))
}

/// What a place becomes.
struct Target {
    /// The repository at the site.
    repository: String,
    /// What names the image in it, with its separator: `@sha256:…`, or a tag that an operator goes on with.
    version: String,
}

impl Target {
    fn pinned(site: &Site, image: &Reference, digest: &Digest) -> Target {
        Target { repository: site.repository(image), version: format!("@{digest}") }
    }

    fn tagged(site: &Site, image: &Reference) -> Target {
        Target { repository: site.repository(image), version: format!(":{}", Site::tag(image)) }
    }
}

/// The edits for one place. A group keeps its version: an operator joins the parts with a colon, which a digest would
/// not survive, and the same tag is pushed.
fn place(finding: &Finding, target: Target) -> Vec<Edit> {
    let edit = |span, value| Edit { object: finding.object, span, value };
    let Target { repository: whole, version } = target;
    match &finding.shape {
        Shape::Scalar { span, prefix } => vec![edit(*span, format!("{prefix}{whole}{version}"))],
        Shape::Group { registry, repository, last } => {
            let head = last.as_ref().and_then(|last| whole.strip_suffix(last.as_str())?.strip_suffix('/'));
            match (head, registry) {
                (Some(head), Some(registry)) => vec![edit(*registry, head.to_owned())],
                (Some(head), None) => vec![edit(*repository, head.to_owned())],
                (None, _) => vec![edit(*repository, whole)],
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewriting(images: &[&str]) -> Rewriting {
        Rewriting {
            release: "p".into(),
            registry: Some(("r:5000".into(), "m".into())),
            images: images.iter().map(|i| (i.parse::<Reference>().unwrap().to_string(), Digest::of("x"))).collect(),
            declared: vec!["quay.io/r:2".into()],
            ignored: vec![("quay.io/ignored:*".into(), "never".into())],
            ..Rewriting::default()
        }
    }

    const TEXT: &str = "---\n# Source: c/templates/a.yaml\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - image: a:1 # note\n    args: [--x=quay.io/r:2]\n  - image: \"quay.io/ignored:7\"\n  - image: r:5000/m/already:1\n---\n\
        apiVersion: nvidia.com/v1\nkind: ClusterPolicy\nmetadata: {name: p}\nspec:\n  t: {repository: nvcr.io/nvidia, image: t, version: v2}\n  x: {registry: docker.io, repository: busybox, tag: v3}\n";

    #[test]
    fn exactly_the_places_change() {
        let images = ["a:1", "quay.io/r:2", "nvcr.io/nvidia/t:v2", "busybox:v3"];
        let rewritten = rewriting(&images).apply(&Stream::parse(TEXT).unwrap()).unwrap();
        let digest = Digest::of("x");
        let expected = TEXT
            .replace("image: a:1 #", &format!("image: \"r:5000/m/docker.io/library/a@{digest}\" #"))
            .replace("[--x=quay.io/r:2]", &format!("[\"--x=r:5000/m/quay.io/r@{digest}\"]"))
            .replace("repository: nvcr.io/nvidia", "repository: \"r:5000/m/nvcr.io/nvidia\"")
            .replace("registry: docker.io", "registry: \"r:5000/m/docker.io/library\"");
        assert_eq!(rewritten, expected);
        let again = rewriting(&images).apply(&Stream::parse(rewritten.clone()).unwrap()).unwrap();
        assert_eq!(again, rewritten, "rewriting twice changes nothing");
    }

    const DRIVER: &str = "apiVersion: nvidia.com/v1\nkind: ClusterPolicy\nmetadata: {name: p}\nspec:\n  driver: {repository: nvcr.io/nvidia, image: driver, version: \"595\"}\n";

    fn with_driver(locked: &[&str]) -> Rewriting {
        let json = serde_json::json!([{"kind": "ClusterPolicy", "name": "*", "path": "spec.driver", "declared_at": "r:1:1",
            "images": ["nvcr.io/nvidia/driver:{{ item.version }}-{{ node.os }}"]}]);
        let nodes = vec![ClusterNode { os: "ubuntu24.04".into(), kernel: None, arch: "amd64".into() }];
        let computed = serde_json::from_value(json).unwrap();
        Rewriting { computed, nodes, declared: Vec::new(), ..rewriting(locked) }
    }

    #[test]
    fn a_place_that_an_operator_completes_keeps_its_tag() {
        let stream = Stream::parse(DRIVER).unwrap();
        let rewritten = with_driver(&["nvcr.io/nvidia/driver:595-ubuntu24.04"]).apply(&stream).unwrap();
        assert_eq!(rewritten, DRIVER.replace("nvcr.io/nvidia,", "\"r:5000/m/nvcr.io/nvidia\","));
        let violations = with_driver(&["nvcr.io/nvidia/driver:595"]).apply(&stream).unwrap_err();
        assert_eq!(violations[0].reason, "it comes to nvcr.io/nvidia/driver:595-ubuntu24.04: it is not in the lock");
    }

    #[test]
    fn what_is_not_locked_is_refused_with_its_place() {
        let violations = rewriting(&["a:1"]).apply(&Stream::parse(TEXT).unwrap()).unwrap_err();
        let seen: Vec<_> = violations.iter().map(|v| format!("{} {} {}", v.object, v.path, v.what)).collect();
        let expected = [
            "Pod p spec.containers[0].args[0] quay.io/r:2",
            "ClusterPolicy p spec.t nvcr.io/nvidia/t:v2",
            "ClusterPolicy p spec.x docker.io/busybox:v3",
        ];
        assert_eq!(seen, expected);
        assert_eq!(violations[0].origin.as_deref(), Some("c/templates/a.yaml"));
    }
}
