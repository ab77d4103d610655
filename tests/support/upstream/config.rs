//! Owns what this internet holds: the settings, as a file gives them or as a test builds them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::Result;
use super::once::lock;

/// Where an upstream finds its parts.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// The settings file; `charts/` and `files/` are looked for beside it. It may change between requests.
    pub config: PathBuf,
    /// The folder with the executables `helm`, `kubectl` and `sops`.
    pub tools: Option<PathBuf>,
    /// Layers and packed tools go here. It may be kept: a second run then starts in no time.
    pub cache: PathBuf,
}

/// What this internet holds. Images need no mention, but for those of a special size or shape.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    pub repositories: Vec<Repository>,
    pub images: Vec<Image>,
    /// The one version of each tool that there is, by the tool's name.
    pub tools: BTreeMap<String, String>,
    /// The folder of the chart folders.
    pub charts: PathBuf,
    /// Who may ask: `user:password` by a part of the path. Nobody else gets anything there.
    pub logins: BTreeMap<String, String>,
    /// The folder of extra files: `HOST/PATH` in it is served as `https://HOST/PATH`.
    pub files: PathBuf,
}

/// A chart repository: `https://…` with an index, or `oci://…`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    pub url: String,
    /// Names of folders in [`Settings::charts`]. Several folders may hold versions of one chart.
    #[serde(default)]
    pub charts: Vec<String>,
    /// What the index of an HTTP repository says about where the archives are.
    #[serde(default)]
    pub urls: Links,
    /// For OCI: whether images may lie beside the charts (`oci://docker.io/envoyproxy`). Where they may not, a name
    /// in the repository that is no chart is not found, rather than made up.
    #[serde(default)]
    pub images: bool,
}

/// The form of the archive URLs in an index: `relative`, `absolute` or a base URL, possibly of another host.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(from = "String")]
pub enum Links {
    #[default]
    Relative,
    Absolute,
    Base(String),
}

impl From<String> for Links {
    fn from(text: String) -> Self {
        match text.as_str() {
            "relative" => Links::Relative,
            "absolute" => Links::Absolute,
            _ => Links::Base(text),
        }
    }
}

/// An image with something special about it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// `HOST/REPO:TAG`, or `HOST/REPO` for all tags.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The sizes of the image's own layers; the base layer of the host comes before them.
    #[serde(default)]
    pub layers: Vec<Size>,
    /// `os/architecture` or `os/architecture/variant`; linux/amd64 and linux/arm64 if none is given.
    #[serde(default)]
    pub platforms: Vec<String>,
    /// A plain Docker schema 2 manifest of the first platform, no index.
    #[serde(default)]
    pub single: bool,
    /// Docker's media types: a manifest list in place of an OCI index.
    #[serde(default)]
    pub docker: bool,
    /// The first layer is at its vendor's, and not in the registry.
    #[serde(default)]
    pub foreign: bool,
    /// The media type that the platforms' manifests say they have, in place of the usual one.
    #[serde(default)]
    pub manifest: Option<String>,
    /// Its own layers are bare noise, made while it is sent: they take no room on a disk, however large they are.
    #[serde(default)]
    pub noise: bool,
    /// What the registry has beside it: `sig`, `att` and `sbom` under cosign's tags, any other text as the type of an
    /// artifact that refers to it.
    #[serde(default)]
    pub referrers: Vec<String>,
}

/// A number of bytes: `65536`, `64KiB`, `20MiB`, `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size(pub u64);

impl Size {
    fn parse(text: &str) -> Option<Size> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (count, unit) = text.split_at(digits);
        let factor = match unit.trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        count.parse::<u64>().ok()?.checked_mul(factor).map(Size)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(u64),
            Text(String),
        }
        match Form::deserialize(source)? {
            Form::Number(count) => Ok(Size(count)),
            Form::Text(text) => Size::parse(&text).ok_or_else(|| D::Error::custom(format!("{text}: no size"))),
        }
    }
}

/// The settings as they are now: fixed ones, or a file that is looked at again for every request.
pub struct Live {
    file: Option<PathBuf>,
    last: Mutex<(String, Arc<Settings>)>,
}

impl Live {
    pub fn fixed(settings: Settings) -> Live {
        Live { file: None, last: Mutex::new((String::new(), Arc::new(settings))) }
    }

    pub fn file(path: PathBuf) -> Result<Live> {
        let text = read(&path)?;
        let settings = Arc::new(parse(&path, &text)?);
        Ok(Live { file: Some(path), last: Mutex::new((text, settings)) })
    }

    pub fn current(&self) -> Result<Arc<Settings>> {
        let mut last = lock(&self.last);
        if let Some(path) = &self.file {
            let text = read(path)?;
            if text != last.0 {
                let settings = Arc::new(parse(path, &text)?);
                *last = (text, settings);
            }
        }
        Ok(last.1.clone())
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()).into())
}

fn parse(path: &Path, text: &str) -> Result<Settings> {
    let mut settings: Settings = serde_yaml::from_str(text).map_err(|e| format!("{}: {e}", path.display()))?;
    let home = path.parent().unwrap_or(Path::new(""));
    settings.charts = beside(home, &settings.charts, "charts");
    settings.files = beside(home, &settings.files, "files");
    Ok(settings)
}

fn beside(home: &Path, given: &Path, usual: &str) -> PathBuf {
    if given.as_os_str().is_empty() { home.join(usual) } else { home.join(given) }
}
