//! Functions of templates. They read what lies on the desk, and note there what a release thereby needs. Must not
//! reach disk, network, clock or environment.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tera::{Error, Kwargs, State, Tera, TeraResult, Value};

use super::Tree;
use super::budget::Budget;
use super::budget::too_much;
use crate::image::Reference;

/// The most items that a range may have.
const MAX_RANGE: i128 = 100_000;

/// What functions read and note; it changes with the release whose templates run.
#[derive(Debug, Default)]
pub(super) struct Desk(Mutex<Papers>);

/// What lies on the desk.
#[derive(Debug, Default)]
struct Papers {
    /// Files by the path that `file()` is given; none where templates may not read any.
    files: Option<BTreeMap<String, Vec<u8>>>,
    /// Images that templates named.
    images: Vec<Reference>,
}

impl Desk {
    /// Lays out what the templates of the next release may read.
    pub(super) fn lay(&self, files: BTreeMap<String, Vec<u8>>) {
        *self.open() = Papers { files: Some(files), images: Vec::new() };
    }

    /// The images that templates named since.
    pub(super) fn images(&self) -> Vec<Reference> {
        std::mem::take(&mut self.open().images)
    }

    /// Everything on it.
    fn open(&self) -> MutexGuard<'_, Papers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the functions known: a line each.
pub(super) fn register(tera: &mut Tera, budget: &Arc<Budget>, desk: &Arc<Desk>) {
    let left = Arc::clone(budget);
    tera.register_function("range", move |kwargs: Kwargs, _: &State| range(&kwargs, &left));
    let papers = Arc::clone(desk);
    tera.register_function("file", move |kwargs: Kwargs, _: &State| file(&kwargs, &papers));
    let papers = Arc::clone(desk);
    tera.register_function("image", move |kwargs: Kwargs, _: &State| image(&kwargs, &papers));
}

/// As the engine's own, on the budget.
fn range(kwargs: &Kwargs, budget: &Budget) -> TeraResult<Vec<Value>> {
    let start = kwargs.get::<i64>("start")?.unwrap_or_default();
    let end = kwargs.must_get::<i64>("end")?;
    let step = kwargs.get::<i64>("step_by")?.unwrap_or(1);
    if step == 0 || (step > 0 && start > end) {
        return Err(Error::message("`range` never reaches its end"));
    }
    let (start, end, step) = (i128::from(start), i128::from(end), i128::from(step));
    let length = ((end - start + step - step.signum()) / step).max(0);
    if length > MAX_RANGE {
        return Err(Error::message(format!("`range` gives {length} items, more than {MAX_RANGE}")));
    }
    budget.take(length as u64 * 16).map_err(too_much)?;
    Ok((0..length).map(|i| Value::from((start + i * step) as i64)).collect())
}

/// The text of a file of the release, else of the environment.
fn file(kwargs: &Kwargs, desk: &Desk) -> TeraResult<String> {
    let path = kwargs.must_get::<&str>("path")?;
    let papers = desk.open();
    let Some(files) = &papers.files else {
        return Err(Error::message("`file` reads a release's files: it is for the values.yaml of a release"));
    };
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Error::message(format!("`{path}` is no path inside the release's folder")));
    }
    let Some(bytes) = files.get(path) else {
        let known: Vec<&str> = files.keys().map(String::as_str).take(10).collect();
        let known =
            if known.is_empty() { "there are none".to_owned() } else { format!("there are {}", known.join(", ")) };
        return Err(Error::message(format!("no file `{path}` below the release or the environment: {known}")));
    };
    String::from_utf8(bytes.clone()).map_err(|_| Error::message(format!("the file `{path}` is not UTF-8")))
}

/// A part of an image's reference. What it names is locked and bundled.
fn image(kwargs: &Kwargs, desk: &Desk) -> TeraResult<Value> {
    let text = kwargs.must_get::<&str>("ref")?;
    let reference: Reference = text.parse().map_err(|e: crate::image::InvalidReference| Error::message(e))?;
    let digest = reference.digest.as_ref().map(ToString::to_string);
    let part = match kwargs.get::<&str>("part")?.unwrap_or("reference") {
        "reference" => reference.to_string().into(),
        "registry" => reference.host.clone().into(),
        "repository" => reference.path.clone().into(),
        "name" => reference.repository().into(),
        "tag" => reference.tag.clone().map_or_else(Value::none, Value::from),
        "digest" => digest.map_or_else(Value::none, Value::from),
        other => {
            let parts = "reference, name, registry, repository, tag, digest";
            return Err(Error::message(format!("an image has no part `{other}`; it has {parts}")));
        }
    };
    let mut papers = desk.open();
    if !papers.images.contains(&reference) {
        papers.images.push(reference);
    }
    Ok(part)
}

/// What `file()` may read: the release's folder, else the environments', the last one first.
pub(super) fn readable(tree: &Tree, folder: &str, layers: &[String]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for folder in layers.iter().map(|layer| format!("environments/{layer}")).chain([folder.to_owned()]) {
        let inside = tree.below(&folder).filter(|(path, _)| path.starts_with("files/"));
        files.extend(inside.map(|(path, bytes)| (path.to_owned(), bytes.to_vec())));
    }
    files
}
