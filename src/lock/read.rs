//! Reads the lock, strictly: it decides what is trusted, so nothing in it is guessed.

use super::{ChartOrigin, Lock, LockedChart, LockedImage, LockedTool};
use crate::definition::API_VERSION;
use crate::digest::Digest;
use crate::image::{Platform, Reference};
use crate::yaml::{Fields, Node, Problem, Sources};

impl Lock {
    /// Reads the text of a lock; `path` is for errors.
    ///
    /// # Errors
    /// The first [`Problem`] in it.
    pub fn parse(path: &str, text: &str) -> Result<Lock, Problem> {
        let mut sources = Sources::default();
        let id = sources.add(path, text);
        let node = sources.read(id)?;
        read(&sources, &node).map_err(|problem| match problem.help {
            Some(_) => problem,
            None => problem.help("the file is written by `platctl lock`; restore it or lock again"),
        })
    }
}

fn read(sources: &Sources, node: &Node) -> Result<Lock, Problem> {
    let mut fields = Fields::of(sources, node, "the lock")?;
    let span = fields.need("apiVersion")?.span;
    if fields.need_string("apiVersion")? != API_VERSION {
        return Err(fields
            .problem("unknown apiVersion", span)
            .help("this lock was written by another version of platctl"));
    }
    let mut lock = Lock::default();
    for node in fields.list("charts")? {
        lock.charts.push(chart(sources, node)?);
    }
    for node in fields.list("images")? {
        let (reference, image) = image(sources, node)?;
        if lock.images.insert(reference.clone(), image).is_some() {
            return Err(Problem::new(format!("image `{reference}` is in the lock twice")).at(sources, node.span));
        }
    }
    for node in fields.list("tools")? {
        lock.tools.push(tool(sources, node)?);
    }
    fields.finish()?;
    Ok(lock)
}

fn chart(sources: &Sources, node: &Node) -> Result<LockedChart, Problem> {
    let mut fields = Fields::of(sources, node, "a locked chart")?;
    let origin = match fields.string("path")? {
        Some(path) => ChartOrigin::Own { path: path.to_owned() },
        None => ChartOrigin::Repository {
            repository: fields.need_string("repository")?.to_owned(),
            url: fields.need_string("url")?.to_owned(),
        },
    };
    let chart = LockedChart {
        name: fields.need_string("name")?.to_owned(),
        version: fields.need_string("version")?.to_owned(),
        origin,
        digest: digest(&mut fields)?,
    };
    fields.finish()?;
    Ok(chart)
}

fn image(sources: &Sources, node: &Node) -> Result<(Reference, LockedImage), Problem> {
    let mut fields = Fields::of(sources, node, "a locked image")?;
    let span = fields.need("ref")?.span;
    let reference: Reference = fields.need_string("ref")?.parse().map_err(|e| fields.problem(format!("{e}"), span))?;
    let digest = digest(&mut fields)?;
    let span = fields.need("size")?.span;
    let size = fields.int("size")?.and_then(|size| u64::try_from(size).ok());
    let size = size.ok_or_else(|| fields.problem("a size is a number of bytes", span))?;
    let mut image = LockedImage { digest, platforms: Default::default(), size, from: Default::default() };
    for entry in fields.map("platforms")? {
        let platform: Platform = entry.key.parse().map_err(|e| fields.problem(format!("{e}"), entry.key_span))?;
        let text = fields.text(&entry.node, &entry.key)?;
        let digest: Digest = text.parse().map_err(|e| fields.problem(format!("{e}"), entry.node.span))?;
        image.platforms.insert(platform, digest);
    }
    image.from = fields.strings("from")?.into_iter().map(|(place, _)| place).collect();
    fields.finish()?;
    Ok((reference, image))
}

fn tool(sources: &Sources, node: &Node) -> Result<LockedTool, Problem> {
    let mut fields = Fields::of(sources, node, "a locked tool")?;
    let span = fields.need("platform")?.span;
    let tool = LockedTool {
        name: fields.need_string("name")?.to_owned(),
        version: fields.need_string("version")?.to_owned(),
        platform: fields.need_string("platform")?.parse().map_err(|e| fields.problem(format!("{e}"), span))?,
        url: fields.need_string("url")?.to_owned(),
        digest: digest(&mut fields)?,
    };
    fields.finish()?;
    Ok(tool)
}

fn digest(fields: &mut Fields) -> Result<Digest, Problem> {
    let span = fields.need("digest")?.span;
    fields.need_string("digest")?.parse().map_err(|e| fields.problem(format!("{e}"), span))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Lock {
        let digest = Digest::of("x");
        let image = LockedImage {
            digest,
            platforms: [("linux/amd64".parse().unwrap(), digest)].into(),
            size: 7,
            from: ["prod/apps/minio".to_owned()].into(),
        };
        Lock {
            charts: vec![
                LockedChart {
                    name: "minio".into(),
                    version: "5.4.0".into(),
                    origin: ChartOrigin::Repository {
                        repository: "https://charts.min.io/".into(),
                        url: "https://charts.min.io/minio-5.4.0.tgz".into(),
                    },
                    digest,
                },
                LockedChart {
                    name: "8".into(),
                    version: "1.10".into(),
                    origin: ChartOrigin::Own { path: "templates/a/b/chart".into() },
                    digest,
                },
            ],
            images: [("quay.io/minio/minio:R".parse().unwrap(), image)].into(),
            tools: vec![LockedTool {
                name: "helm".into(),
                version: "4.3.1".into(),
                platform: "linux/amd64".parse().unwrap(),
                url: "https://get.helm.sh/x".into(),
                digest,
            }],
        }
    }

    #[test]
    fn writing_and_reading_round_trip() {
        let mut lock = sample();
        let text = lock.to_yaml();
        lock.charts.sort();
        assert_eq!(Lock::parse("charts-lock.yaml", &text).unwrap(), lock);
        assert_eq!(Lock::parse("charts-lock.yaml", &text).unwrap().to_yaml(), text);
        assert_eq!(Lock::parse("x", &Lock::default().to_yaml()).unwrap(), Lock::default());
    }

    #[test]
    fn a_damaged_lock_is_refused_with_its_line() {
        let text = sample().to_yaml();
        for (from, to) in [
            ("sha256:", "sha512:"),
            ("linux/amd64", "linux"),
            ("  from:", "  frm:"),
            ("size: 7", "size: -7"),
            ("platctl.dev/v1", "v0"),
        ] {
            let problem = Lock::parse("charts-lock.yaml", &text.replace(from, to)).unwrap_err();
            assert!(problem.to_string().starts_with("charts-lock.yaml:"), "{problem}");
        }
    }
}
