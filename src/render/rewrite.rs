//! Points every image of a stream at the site's registry, and refuses one that is not locked. Only the places that
//! were found change; all other text stays byte for byte.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::discover::{Confidence, Finding, Found, Known, Place, discover};
use super::downloads::{Download, downloads};
use super::violation::{Rule, Violation};
use crate::definition::{ClusterNode, ComputedImages, Exception, IgnoredImage};
use crate::digest::Digest;
use crate::image::{Reference, Site};
use std::sync::Arc;

use crate::object::{Conflict, Edit, Stream, Text};

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
        let (edits, violations) = self.edits(stream);
        if !violations.is_empty() {
            return Err(violations);
        }
        stream.edited(&edits).map_err(|conflict| vec![self.ambiguous(conflict)])
    }

    /// The same for those who only look: what is refused stays as it is, and is told beside the text.
    pub fn apply_where_allowed(&self, stream: &Stream) -> (String, Vec<Violation>) {
        let (edits, violations) = self.edits(stream);
        match stream.edited(&edits) {
            Ok(text) => (text, violations),
            Err(conflict) => (stream.text().to_owned(), vec![self.ambiguous(conflict)]),
        }
    }

    /// What images are called where they are pulled, and upstream; nothing when they are pulled from there.
    pub fn names(&self) -> Vec<(String, String)> {
        let Some(site) = self.site() else { return Vec::new() };
        let name = |image: Reference, digest| (site.pinned(&image, digest), image.to_string());
        self.images.iter().filter_map(|(image, digest)| Some(name(image.parse().ok()?, digest))).collect()
    }

    fn site(&self) -> Option<Site> {
        self.registry.as_ref().map(|(address, prefix)| Site { address: address.clone(), prefix: prefix.clone() })
    }

    fn edits(&self, stream: &Stream) -> (Vec<Edit>, Vec<Violation>) {
        let site = self.site();
        let declared: Vec<Reference> = self.declared.iter().filter_map(|text| text.parse().ok()).collect();
        // A locked image that stands anywhere and stays as it is would be pulled from the internet.
        let locked = self.images.keys().filter_map(|text| text.parse().ok());
        let images: Vec<Reference> = declared.iter().cloned().chain(locked).collect();
        let known = Known { declared: &images, computed: &self.computed, nodes: &self.nodes };
        let (mut edits, mut violations) = (Vec::new(), Vec::new());
        for finding in discover(stream, known) {
            match self.target(site.as_ref(), &finding) {
                Ok(Some(target)) => edits.extend(place(&finding, &target)),
                Ok(None) => {}
                Err(why) => violations.push(Violation::of(stream, &finding, why).of_release(&self.release)),
            }
        }
        let told =
            |image: &&Reference| violations.iter().any(|v| v.what.parse().is_ok_and(|told: Reference| told == **image));
        let untold: Vec<&Reference> = declared.iter().filter(|image| !told(image)).collect();
        violations.extend(untold.into_iter().filter_map(|image| self.undeliverable(image)));
        violations.extend(fetched(stream, &self.exceptions).map(|violation| violation.of_release(&self.release)));
        (edits, violations)
    }

    /// Places that share a text and want it to become two, as aliases of YAML can.
    fn ambiguous(&self, conflict: Conflict) -> Violation {
        let reason = format!("images stand in one place that can't be told apart: {conflict}");
        let (release, object) = (self.release.clone(), "the whole release".to_owned());
        let (what, path) = (String::new(), String::new());
        Violation { rule: Rule::NoReference, release, object, origin: None, path, what, reason }
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
        if finding.confidence == Confidence::Probable {
            return if self.is_ignored(finding) { Ok(None) } else { Err(undecided()) };
        }
        match &finding.image {
            Found::Invalid(_) if self.is_ignored(finding) => Ok(None),
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

    /// Whether a place is left alone on purpose, by its image or by its text.
    fn is_ignored(&self, finding: &Finding) -> bool {
        let ignored = |(pattern, reason): &(String, String)| {
            IgnoredImage { pattern: pattern.clone(), reason: reason.clone() }.means(finding.image(), &finding.text)
        };
        self.ignored.iter().any(ignored)
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

/// Why a text that may be an image is refused.
pub fn undecided() -> (Rule, String) {
    (Rule::Undecided, "nobody has decided whether it is an image".to_owned())
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
    /// The tag that an operator goes on with, where it is asked for; else the digest.
    tag: Option<String>,
    /// The digest that pods are given.
    digest: Option<Digest>,
}

impl Target {
    fn pinned(site: &Site, image: &Reference, digest: &Digest) -> Target {
        Target { repository: site.repository(image), tag: None, digest: Some(*digest) }
    }

    fn tagged(site: &Site, image: &Reference) -> Target {
        Target { repository: site.repository(image), tag: Some(Site::tag(image)), digest: None }
    }

    fn reference(&self) -> String {
        let tag = self.tag.iter().map(|tag| format!(":{tag}"));
        let digest = self.digest.iter().map(|digest| format!("@{digest}"));
        [self.repository.clone()].into_iter().chain(tag).chain(digest).collect()
    }
}

/// The edits for one place.
fn place(finding: &Finding, target: &Target) -> Vec<Edit> {
    match &finding.place {
        Place::Scalar { text, range } => {
            vec![Edit { text: Arc::clone(text), range: range.clone(), value: target.reference() }]
        }
        Place::Parts { names, digests } => {
            let digest = target.digest.iter().flat_map(|digest| digests.iter().map(|text| repinned(text, digest)));
            head(names, &target.repository).into_iter().chain(digest).collect()
        }
    }
}

/// Parts keep their names but the first, which takes everything before the others; and their tag, because somebody puts
/// a colon before it, which a digest would not survive. The same tag is pushed.
fn head(names: &[Arc<Text>], repository: &str) -> Option<Edit> {
    let (first, others) = names.split_first()?;
    let before = others.iter().rev().try_fold(repository, |rest, name| {
        rest.strip_suffix(name.value().trim().trim_matches('/')).map(|rest| rest.trim_end_matches('/'))
    });
    let value = before.unwrap_or(repository).to_owned();
    Some(Edit { text: Arc::clone(first), range: 0..first.value().len(), value })
}

/// A digest among parts is upstream's of all platforms, which the site's registry does not have; it gets the one that is
/// there, written as it was: `sha256:…`, behind a tag, or its digits alone.
fn repinned(text: &Arc<Text>, digest: &Digest) -> Edit {
    let value = text.value();
    let (start, new) = match value.find("sha256:") {
        Some(start) => (start, digest.to_string()),
        None => (value.len() - value.trim_start().len(), digest.hex()),
    };
    Edit { text: Arc::clone(text), range: start..value.trim_end().len(), value: new }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
