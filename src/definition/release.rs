//! `release.yaml`, typed, strict and not templated: which chart, where to, after what.

use std::time::Duration;

use super::ComputedImages;
use super::declared_secret::{self, DeclaredSecret};
use super::exception::Exception;
use super::file::{check_api_version, dns_label, duration_field, wildcard};
use super::hooks::{self, Hooks};
use super::render_guard::RenderGuard;
use crate::image::Reference;
use crate::yaml::{Fields, Node, Problem, Sources, Span};

/// Where a release's chart comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChartSource {
    /// A repository, by HTTP or `oci://`.
    Repository {
        /// Address of the repository.
        repository: String,
        /// Name of the chart.
        name: String,
        /// Its exact version, as the repository writes it.
        version: String,
    },
    /// A folder of the definition.
    Own {
        /// Path of the folder inside the definition.
        folder: String,
    },
}

/// An image that is left out on purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoredImage {
    /// The reference; a `*` stands for any text.
    pub pattern: String,
    /// Why it is left out.
    pub reason: String,
}

/// A release as its file declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReleaseFile {
    pub chart: ChartSource,
    pub namespace: String,
    pub needs: Vec<(String, Span)>,
    pub wait: bool,
    pub timeout: Option<Duration>,
    pub extra_images: Vec<Reference>,
    pub ignored_images: Vec<IgnoredImage>,
    pub computed_images: Vec<ComputedImages>,
    pub exceptions: Vec<Exception>,
    pub guard: RenderGuard,
    pub secrets: Vec<DeclaredSecret>,
    pub hooks: Hooks,
}

impl IgnoredImage {
    /// Whether a reference, as written or in full, is meant.
    pub fn matches(&self, image: &Reference) -> bool {
        let full = image.to_string();
        let plain = self.pattern.parse::<Reference>().is_ok_and(|pattern| pattern == *image);
        let short = full.strip_prefix("docker.io/library/").or_else(|| full.strip_prefix("docker.io/"));
        plain || wildcard(&self.pattern, &full) || short.is_some_and(|short| wildcard(&self.pattern, short))
    }
}

impl IgnoredImage {
    /// Whether a place is meant, by the image it names or by its text.
    pub fn means(&self, image: Option<&Reference>, text: &str) -> bool {
        wildcard(&self.pattern, text) || image.is_some_and(|image| self.matches(image))
    }
}

/// Reads the file of the release in `folder`.
pub(super) fn typed(sources: &Sources, node: &Node, folder: &str) -> Result<ReleaseFile, Problem> {
    let mut fields = Fields::of(sources, node, "the release")?;
    check_api_version(&mut fields)?;
    let chart_node = fields.need("chart")?;
    let mut release = ReleaseFile {
        chart: chart(sources, chart_node, folder)?,
        namespace: namespace(&mut fields)?,
        needs: fields.strings("needs")?,
        wait: fields.boolean("wait")?.unwrap_or(true),
        timeout: duration_field(&mut fields, "timeout")?,
        extra_images: Vec::new(),
        ignored_images: Vec::new(),
        computed_images: Vec::new(),
        exceptions: Vec::new(),
        guard: fields.get("render").map(|node| RenderGuard::typed(sources, node)).transpose()?.unwrap_or_default(),
        secrets: declared_secret::typed(sources, fields.list("secrets")?)?,
        hooks: hooks::typed(sources, fields.get("hooks"), folder)?,
    };
    if let Some(node) = fields.get("images") {
        images(sources, node, &mut release)?;
    }
    if let Some(node) = fields.get("lint") {
        let mut lint = Fields::of(sources, node, "`lint`")?;
        let ignored = lint.list("ignore")?.iter();
        release.exceptions = ignored.map(|node| Exception::typed(sources, node)).collect::<Result<_, _>>()?;
        lint.finish()?;
    }
    fields.finish()?;
    Ok(release)
}

fn chart(sources: &Sources, node: &Node, folder: &str) -> Result<ChartSource, Problem> {
    let mut fields = Fields::of(sources, node, "`chart`")?;
    let source = if let Some(path) = fields.string("path")? {
        let path = path.strip_prefix("./").unwrap_or(path).trim_end_matches('/');
        if path != "chart" {
            let span = fields.need("path")?.span;
            return Err(fields
                .problem("an own chart lies in the folder `chart` of its release", span)
                .help("write path: ./chart"));
        }
        ChartSource::Own { folder: format!("{folder}/{path}") }
    } else {
        let repository = fields.need_string("repository")?.to_owned();
        if !["https://", "http://", "oci://"].iter().any(|scheme| repository.starts_with(scheme)) {
            let span = fields.need("repository")?.span;
            return Err(fields.problem("a chart repository starts with https:// or oci://", span));
        }
        let name = fields.need_string("name")?.to_owned();
        let version = fields.need_string("version")?.to_owned();
        if !version.starts_with(|c: char| c.is_ascii_digit() || c == 'v')
            || version.contains(['*', ' ', '^', '~', '>', '<', '='])
        {
            let span = fields.need("version")?.span;
            return Err(fields
                .problem(format!("`{version}` is no exact version"), span)
                .help("pin one version, such as 5.4.0"));
        }
        ChartSource::Repository { repository, name, version }
    };
    fields.finish()?;
    Ok(source)
}

fn namespace(fields: &mut Fields) -> Result<String, Problem> {
    let span = fields.need("namespace")?.span;
    let namespace = fields.need_string("namespace")?;
    if !dns_label(namespace, 63) {
        return Err(fields.problem(format!("`{namespace}` is no legal namespace name"), span));
    }
    Ok(namespace.to_owned())
}

fn images(sources: &Sources, node: &Node, release: &mut ReleaseFile) -> Result<(), Problem> {
    let mut fields = Fields::of(sources, node, "`images`")?;
    for (text, span) in fields.strings("extra")? {
        let image = text.parse().map_err(|e| fields.problem(format!("{e}"), span))?;
        release.extra_images.push(image);
    }
    for node in fields.list("ignore")? {
        let mut ignored = Fields::of(sources, node, "an ignored image")?;
        let pattern = ignored.need_string("ref")?.to_owned();
        let reason = ignored.need_string("reason")?.to_owned();
        ignored.finish()?;
        release.ignored_images.push(IgnoredImage { pattern, reason });
    }
    for node in fields.list("computed")? {
        release.computed_images.push(ComputedImages::typed(sources, node)?);
    }
    fields.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ReleaseFile, Problem> {
        let mut sources = Sources::default();
        let id = sources.add("release.yaml", format!("apiVersion: platctl.dev/v1\n{text}"));
        let node = sources.read(id)?;
        typed(&sources, &node, "templates/apps/x")
    }

    #[test]
    fn a_whole_release() {
        let release = read(
            "chart: {repository: https://charts.min.io/, name: minio, version: 5.4.0}\nnamespace: minio\nneeds: [pg]\n\
             timeout: 5m\nwait: false\nimages:\n  extra: [\"busybox:1.36\"]\n  ignore: [{ref: \"example/x:*\", reason: off}]\n",
        );
        assert_eq!(release.unwrap_err().message, "`reason` must be a string, not a boolean");
        let release = read(
            "chart: {path: ./chart}\nnamespace: minio\nneeds: [pg]\ntimeout: 5m\nwait: false\n\
             images:\n  extra: [\"busybox:1.36\"]\n  ignore: [{ref: \"example/x:*\", reason: \"only with auth\"}]\n",
        )
        .unwrap();
        assert_eq!(release.chart, ChartSource::Own { folder: "templates/apps/x/chart".into() });
        assert_eq!(release.timeout, Some(Duration::from_secs(300)));
        assert_eq!(release.extra_images[0].to_string(), "docker.io/library/busybox:1.36");
        assert!(release.ignored_images[0].matches(&"docker.io/example/x:2".parse().unwrap()));
        assert!(!release.ignored_images[0].matches(&"quay.io/example/x:2".parse().unwrap()));
    }

    #[test]
    fn mistakes_name_their_line() {
        for (text, expected) in [
            ("namespace: x\n", "release.yaml:1:1: the release has no `chart`"),
            ("chart: {path: ../x}\nnamespace: x\n", "release.yaml:2:15: an own chart lies in"),
            (
                "chart: {repository: x, name: a, version: 1.0.0}\nnamespace: x\n",
                "release.yaml:2:21: a chart repository",
            ),
            (
                "chart: {repository: oci://x/y, name: a, version: ^1.0.0}\nnamespace: x\n",
                "release.yaml:2:50: `^1.0.0` is no exact",
            ),
            ("chart: {path: ./chart}\nnamespace: No_\n", "release.yaml:3:12: `No_` is no legal namespace"),
            ("chart: {path: ./chart}\nnamespace: x\nhook: {}\n", "release.yaml:4:1: unknown key `hook`"),
            (
                "chart: {path: ./chart}\nnamespace: x\nimages: {extra: [\"A b\"]}\n",
                "release.yaml:4:18: not an image reference",
            ),
        ] {
            let problem = read(text).unwrap_err();
            assert!(problem.to_string().starts_with(expected), "{problem}");
        }
    }
}
