//! Packs a chart folder of the definition into the archive Helm reads: sorted, with fixed times and modes, so that
//! the same files give the same digest. Must not resolve anything: dependencies come vendored in `charts/`.

use std::io::Write;

use flate2::{Compression, GzBuilder};

use super::Tree;
use crate::digest::Digest;
use crate::yaml::{self, Fields, Problem, Sources};

/// A chart that is part of the definition, packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnChart {
    /// `name` of its Chart.yaml.
    pub name: String,
    /// `version` of its Chart.yaml.
    pub version: String,
    /// The archive.
    pub bytes: Vec<u8>,
    /// Digest of the archive.
    pub digest: Digest,
}

impl OwnChart {
    /// Packs the chart in a folder of the tree.
    ///
    /// # Errors
    /// A [`Problem`] when the folder is no chart.
    pub fn pack(tree: &Tree, folder: &str) -> Result<OwnChart, Problem> {
        let path = format!("{folder}/Chart.yaml");
        let Some(chart_yaml) = tree.get(&path) else {
            return Err(
                Problem::in_file(path, "no such file").help("`chart: {path: …}` names a folder with a Chart.yaml")
            );
        };
        let (name, version) = chart_name_and_version(&path, chart_yaml)?;
        let bytes = archive(&name, tree.below(folder)).map_err(|e| Problem::in_file(folder, e.to_string()))?;
        let digest = Digest::of(&bytes);
        Ok(OwnChart { name, version, bytes, digest })
    }
}

/// The name and version a Chart.yaml declares.
fn chart_name_and_version(path: &str, chart_yaml: &[u8]) -> Result<(String, String), Problem> {
    let text = std::str::from_utf8(chart_yaml).map_err(|_| Problem::in_file(path, "not UTF-8"))?;
    let mut sources = Sources::default();
    let id = sources.add(path, text);
    let node = yaml::parse(&sources, id, yaml::Author::Program)?.into_iter().next();
    let node = node.ok_or_else(|| Problem::in_file(path, "empty"))?;
    let mut fields = Fields::of(&sources, &node, "the chart")?;
    Ok((fields.need_string("name")?.to_owned(), fields.need_string("version")?.to_owned()))
}

fn archive<'a>(name: &str, files: impl Iterator<Item = (&'a str, &'a [u8])>) -> std::io::Result<Vec<u8>> {
    let gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
    let mut builder = tar::Builder::new(gzip);
    let mut files: Vec<_> = files.filter(|(path, _)| *path != ".helmignore").collect();
    // Helm reads Chart.yaml first when it can.
    files.sort_by_key(|(path, _)| (*path != "Chart.yaml", *path));
    for (path, bytes) in files {
        builder.append_data(&mut plain_header(bytes.len() as u64), format!("{name}/{path}"), bytes)?;
    }
    let mut gzip = builder.into_inner()?;
    gzip.flush()?;
    gzip.finish()
}

/// A tar header that says nothing about who made it or when.
pub(super) fn plain_header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        let mut tree = Tree::default();
        tree.insert("templates/infra/pg/chart/Chart.yaml", "apiVersion: v2\nname: pg\nversion: 0.1.0\n");
        tree.insert("templates/infra/pg/chart/templates/a.yaml", "a: 1\n");
        tree
    }

    #[test]
    fn the_same_files_give_the_same_archive() {
        let chart = OwnChart::pack(&tree(), "templates/infra/pg/chart").unwrap();
        assert_eq!((chart.name.as_str(), chart.version.as_str()), ("pg", "0.1.0"));
        assert_eq!(chart, OwnChart::pack(&tree(), "templates/infra/pg/chart").unwrap());
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(chart.bytes.as_slice()));
        let names: Vec<_> =
            archive.entries().unwrap().map(|e| e.unwrap().path().unwrap().display().to_string()).collect();
        assert_eq!(names, ["pg/Chart.yaml", "pg/templates/a.yaml"]);
    }

    #[test]
    fn a_folder_without_chart_yaml_is_named() {
        let problem = OwnChart::pack(&tree(), "templates/infra/x/chart").unwrap_err();
        assert_eq!(problem.to_string(), "templates/infra/x/chart/Chart.yaml: no such file");
    }
}
