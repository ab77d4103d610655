//! Which images releases need, and where each is needed: what their objects show, and what is declared. Must not ask a
//! registry for any.

use std::collections::{BTreeMap, BTreeSet};

use super::{Event, Events, ResolveError};
use crate::definition::{Definition, Release};
use crate::image::Reference;
use crate::render::{self, Confidence, Finding, Found, Known, Rendered, Renderer, Rule, Violation};

/// A place that needs an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// The release: `prod/applications/minio`.
    pub release: String,
    /// The object: `Deployment minio/minio`; for what only a declaration tells, `release.yaml`.
    pub object: String,
    /// The way to the place in it.
    pub path: String,
    /// How sure it is that an image stands there.
    pub confidence: Confidence,
}

/// The places of every image.
pub type Needs = BTreeMap<Reference, BTreeSet<Need>>;

/// The images that all releases of a definition need.
///
/// # Errors
/// [`ResolveError`] with everything that may not be locked or run.
pub async fn wanted_images(renderer: &Renderer<'_>, events: Events<'_>) -> Result<Needs, ResolveError> {
    let definition = renderer.definition;
    let rendered = renderer.render(&definition.releases.iter().collect::<Vec<_>>()).await?;
    let mut wanted = Needs::new();
    let mut refused = Vec::new();
    for (release, rendered) in definition.releases.iter().zip(&rendered) {
        if let Some(computed) = render::without_place(&rendered.stream, &release.computed_images).first() {
            return Err(ResolveError::NoPlace { declared_at: computed.declared_at.clone(), place: computed.place() });
        }
        let (needs, violations) = needs(definition, release, rendered);
        events(Event::Rendered { place: definition.place(release), images: needs.len() });
        refused.extend(violations);
        for (image, places) in needs {
            wanted.entry(image).or_default().extend(places);
        }
    }
    if refused.is_empty() { Ok(wanted) } else { Err(ResolveError::Images(refused)) }
}

/// The images that one release needs, and what of it may not be locked or run.
pub fn needs(definition: &Definition, release: &Release, rendered: &Rendered) -> (Needs, Vec<Violation>) {
    let nodes = &definition.environment.nodes;
    let known = Known { declared: &release.extra_images, computed: &release.computed_images, nodes };
    let (mut needs, mut refused) = (Needs::new(), Vec::new());
    let place = definition.place(release);
    for finding in render::discover(&rendered.stream, known) {
        match images(release, &finding) {
            Ok(images) => images.into_iter().for_each(|image| {
                let (release, object, path) = (place.clone(), finding.title.clone(), finding.path.to_string());
                let need = Need { release, object, path, confidence: finding.confidence };
                needs.entry(image).or_default().insert(need);
            }),
            Err(why) => refused.push(Violation::of(&rendered.stream, &finding, why).of_release(&release.name)),
        }
    }
    for image in &release.extra_images {
        needs.entry(image.clone()).or_insert_with(|| {
            let (object, path) = ("release.yaml".to_owned(), "images.extra".to_owned());
            [Need { release: place.clone(), object, path, confidence: Confidence::Certain }].into()
        });
    }
    refused.extend(render::fetched(&rendered.stream, &release.exceptions).map(|v| v.of_release(&release.name)));
    (needs, refused)
}

/// The images a finding comes to; none where it is left alone on purpose.
fn images(release: &Release, finding: &Finding) -> Result<Vec<Reference>, (Rule, String)> {
    let ignored = |image: &Reference| release.ignored_images.iter().any(|ignored| ignored.matches(image));
    let left = release.ignored_images.iter().any(|ignored| ignored.means(finding.image(), &finding.text));
    match &finding.image {
        Found::Invalid(_) | Found::Image(_) if left => Ok(Vec::new()),
        _ if finding.confidence == Confidence::Probable => Err(render::undecided()),
        Found::Invalid(reason) => Err((Rule::NoReference, reason.clone())),
        Found::Image(image) if image.floats() => Err(render::floats()),
        Found::Image(image) => Ok(vec![image.clone()]),
        Found::Computed(computed) => Ok(computed.iter().filter(|image| !ignored(image)).cloned().collect()),
    }
}
