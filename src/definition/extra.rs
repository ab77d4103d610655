//! `extras` of environment.yaml: files that travel in the bundle beside charts and images. Must not fetch them.

use std::collections::BTreeSet;

use url::Url;

use crate::digest::Digest;
use crate::yaml::{Fields, Node, Problem, Sources};

const LONGEST_NAME: usize = 128;

/// A file by its address and content: model weights, data, packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extra {
    /// The name of the file at the site.
    pub name: String,
    /// Where it is fetched.
    pub url: String,
    /// What it must be.
    pub digest: Digest,
}

pub(super) fn extras(sources: &Sources, fields: &mut Fields) -> Result<Vec<Extra>, Problem> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for node in fields.list("extras")? {
        let extra = extra(sources, node)?;
        if !seen.insert(extra.name.clone()) {
            return Err(fields.problem(format!("the extra `{}` is there twice", extra.name), node.span));
        }
        all.push(extra);
    }
    all.sort_by(|a: &Extra, b| a.name.cmp(&b.name));
    Ok(all)
}

fn extra(sources: &Sources, node: &Node) -> Result<Extra, Problem> {
    let mut fields = Fields::of(sources, node, "an extra")?;
    let [name_at, url_at, digest_at] =
        [fields.need("name")?.span, fields.need("url")?.span, fields.need("digest")?.span];
    let name = fields.need_string("name")?.to_owned();
    if !is_file_name(&name) {
        let problem = fields.problem(format!("`{name}` is no name for an extra"), name_at);
        return Err(problem.help(format!(
            "use at most {LONGEST_NAME} letters, digits, dots, dashes and underscores, no dot in front: it names a file"
        )));
    }
    let url = fields.need_string("url")?.to_owned();
    let address = Url::parse(&url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(address) = address else {
        return Err(fields.problem("the url of an extra begins with https:// or http://", url_at));
    };
    if !address.username().is_empty() || address.password().is_some() {
        let mut problem = fields.problem(format!("the url of the extra `{name}` holds a login"), url_at);
        // The line would show it.
        problem.at.iter_mut().for_each(|at| (at.text, at.width) = ("…".to_owned(), 0));
        return Err(problem.help("put the login into helm's repositories.yaml: environment.yaml goes into the bundle"));
    }
    let digest = fields.need_string("digest")?.parse();
    let Ok(digest) = digest else {
        let problem = fields.problem("the digest of an extra is no sha256 digest", digest_at);
        return Err(problem.help("write sha256: and what `sha256sum` prints of the file"));
    };
    fields.finish()?;
    Ok(Extra { name, url, digest })
}

fn is_file_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !name.is_empty() && name.len() <= LONGEST_NAME && !name.starts_with('.') && name.chars().all(plain)
}
