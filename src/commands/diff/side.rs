//! One side of a comparison that is a definition: its releases as they would be installed.

use std::collections::{BTreeMap, BTreeSet};

use crate::commands::Context;
use crate::commands::installation::Installation;
use crate::commands::workspace::Workspace;
use crate::definition::{Definition, Release};
use crate::diff::Veil;
use crate::image::{Reference, Site};
use crate::object::Stream;
use crate::plan::{Desired, Selector};
use crate::render::{RenderError, Rendered, Violation};
use crate::resolve;
use crate::secrets::{Masker, Revealed};
use crate::ui::failure::{Code, Failure, Failures, Kind};

/// A definition with everything it is installed from.
pub(super) struct Side {
    /// Definition, lock and where bytes come from.
    pub workspace: Workspace,
    /// What is wanted.
    pub installation: Installation,
}

/// What a release would be.
pub(super) struct Wanted {
    /// Its objects, rewritten for the site.
    pub stream: Stream,
    /// The images it needs, with what each is called where it is pulled.
    pub images: BTreeMap<Reference, String>,
    /// What may not run.
    pub violations: Vec<Violation>,
}

impl Wanted {
    /// The names of the definitions from `crds/`, which helm does not record.
    pub fn outside_records(&self) -> impl Iterator<Item = &str> {
        let from_folder = self.stream.objects.iter().filter(|object| object.is_from_crds_folder());
        from_folder.map(|object| object.name.as_str())
    }
}

/// What releases would be, and what of them can't be told.
pub(super) struct Rendering {
    /// By name.
    pub wanted: BTreeMap<String, Wanted>,
    /// One for each release that does not render.
    pub failures: Vec<Failure>,
}

impl Rendering {
    /// The releases that do not render, of these.
    pub fn failed(&self, releases: &[&Release]) -> Vec<String> {
        let missing = releases.iter().filter(|release| !self.wanted.contains_key(&release.name));
        missing.map(|release| release.name.clone()).collect()
    }
}

impl Side {
    /// The definition of a workspace, in the environment that is named, or that the flags name.
    pub fn of(workspace: Workspace, context: &Context, environment: Option<&str>) -> Result<Side, Failures> {
        let definition = match environment {
            Some(name) => Definition::load(&workspace.tree, name)?,
            None => workspace.definition(context)?,
        };
        let installation = Installation::new(&workspace, definition)?;
        Ok(Side { workspace, installation })
    }

    /// The definition.
    pub fn definition(&self) -> &Definition {
        &self.installation.definition
    }

    /// Its releases that are meant, with the hash of what decides each.
    pub fn desired(&self, selector: &Selector) -> Result<Vec<Desired<'_>>, Failures> {
        self.installation.desired(&self.workspace, selector)
    }

    /// The name of a release's tier.
    pub fn tier(&self, release: &Release) -> String {
        self.definition().tiers[release.tier].name.clone()
    }

    /// Renders releases; with secrets in the clear where they are revealed. One that does not render takes no other with it.
    pub async fn render(
        &self,
        context: &Context,
        releases: &[&Release],
        upgrades: &BTreeSet<String>,
        revealed: Option<&Revealed>,
    ) -> Result<Rendering, Failures> {
        let mut rendering = Rendering { wanted: BTreeMap::new(), failures: Vec::new() };
        if releases.is_empty() {
            return Ok(rendering);
        }
        let kitchen = self.workspace.kitchen(context, self.definition(), &self.workspace.lock).await?;
        let mut definition = self.definition().clone();
        let mut left = releases.to_vec();
        loop {
            let renderer = kitchen.renderer(&definition, &self.installation.capabilities).upgrading(upgrades);
            let done = renderer.render(&left).await;
            let (rendered, secret) = match (done, revealed) {
                (Ok(rendered), None) => (rendered, Ok(Vec::new())),
                (Ok(rendered), Some(revealed)) => {
                    let secret: Vec<&Release> = with_secrets(&left).collect();
                    (rendered, renderer.render_revealed(&secret, revealed).await)
                }
                (Err(error), _) => (Vec::new(), Err(error)),
            };
            match secret {
                Ok(secret) => {
                    self.collect(&left, rendered, secret, &mut rendering);
                    return Ok(rendering);
                }
                Err(error) => {
                    // Without it, and without what it brings, the others are what they are.
                    let Some(culprit) = of_release(&error) else { return Err(error.into()) };
                    definition.releases.retain(|release| release.name != culprit);
                    left.retain(|release| release.name != culprit);
                    rendering.failures.extend(Failures::from(error).failures);
                }
            }
        }
    }

    fn collect(&self, releases: &[&Release], plain: Vec<Rendered>, secret: Vec<Rendered>, to: &mut Rendering) {
        let mut secret: BTreeMap<&str, Rendered> =
            with_secrets(releases).map(|release| release.name.as_str()).zip(secret).collect();
        for (release, rendered) in releases.iter().zip(plain) {
            let images = self.images(release, &rendered);
            let shown = secret.remove(release.name.as_str()).unwrap_or(rendered);
            let (text, violations) = self.installation.rewritings[&release.name].apply_where_allowed(&shown.stream);
            match Stream::parse(text) {
                Ok(stream) => _ = to.wanted.insert(release.name.clone(), Wanted { stream, images, violations }),
                Err(error) => {
                    let title = format!("{}: what it renders can't be read after rewriting", release.name);
                    to.failures.push(Failure::new(Code::Render, Kind::Permanent, title).detail(error.to_string()));
                }
            }
        }
    }

    /// The images that a release needs, with what they are called where they are pulled.
    fn images(&self, release: &Release, rendered: &Rendered) -> BTreeMap<Reference, String> {
        let (needs, _) = resolve::needs(self.definition(), release, rendered);
        needs.into_keys().map(|image| (image.clone(), self.pulled(release, &image))).collect()
    }

    /// What an image is called where it is pulled, as far as it is locked.
    fn pulled(&self, release: &Release, image: &Reference) -> String {
        let rewriting = &self.installation.rewritings[&release.name];
        let site = rewriting
            .registry
            .as_ref()
            .map(|(address, prefix)| Site { address: address.clone(), prefix: prefix.clone() });
        match (site, rewriting.images.get(&image.to_string())) {
            (Some(site), Some(digest)) => site.pinned(image, digest),
            _ => image.to_string(),
        }
    }

    /// What each locked image is called where it is pulled, and upstream.
    pub fn names(&self) -> Vec<(String, String)> {
        let all = self.definition().releases.iter().flat_map(|release| {
            let images = self.installation.rewritings[&release.name].images.keys();
            let parsed = images.filter_map(|name| name.parse::<Reference>().ok());
            parsed.map(|image| (self.pulled(release, &image), image.to_string())).collect::<Vec<_>>()
        });
        all.collect()
    }

    /// How texts of a release look to people: secrets that `masker` knows are hidden, tokens are the names they stand for.
    /// Where ciphertexts can be compared, another one is another secret.
    pub fn veil(&self, masker: Masker, with_ciphertexts: bool) -> Veil {
        let mut veil = Veil::new(masker);
        for release in &self.definition().releases {
            for used in release.secret_uses() {
                let sealed = self.definition().sealed.get(&used.name).filter(|_| with_ciphertexts);
                veil.token(&used.token, &used.name, sealed.map_or("", String::as_str));
            }
        }
        veil
    }
}

/// The releases whose values hold secrets.
fn with_secrets<'r, 'a>(releases: &'r [&'a Release]) -> impl Iterator<Item = &'a Release> + use<'r, 'a> {
    releases.iter().copied().filter(|release| !release.value_secrets.is_empty())
}

/// The release that did not render.
fn of_release(error: &RenderError) -> Option<String> {
    match error {
        RenderError::Helm { release, .. } | RenderError::Object { release, .. } | RenderError::Lost { release, .. } => {
            Some(release.clone())
        }
        RenderError::Secrets(_) => None,
    }
}
