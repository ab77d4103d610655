//! Reads a chart's archive as helm does, and refuses in helm's own words what helm refuses, so that no site finds it out
//! first. Must not keep more in memory than one file of it, nor write anything.

use std::io::{self, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use tar::{EntryType, PaxExtensions};

/// The most bytes of a chart's files; helm's `MaxDecompressedChartSize`. One that has exactly as many is refused, too.
pub const LARGEST_CHART: u64 = 100 << 20;
/// The most bytes that are unpacked for it, headers and padding included. helm has no such limit: it would take a chart
/// of a million empty files.
const MOST_UNPACKED: u64 = 256 << 20;
/// The longest header that says a long name; Go's `maxSpecialFileSize`.
const LONGEST_HEADER: u64 = 1 << 20;

/// Calls `visit` with every file of a chart's archive: its path below the chart's folder, and its bytes.
///
/// # Errors
/// Whatever helm would refuse, or `visit`.
pub fn visit_chart(archive: impl Read, visit: &mut dyn FnMut(&str, &mut dyn Read) -> io::Result<()>) -> io::Result<()> {
    let mut archive = tar::Archive::new(Capped { from: MultiGzDecoder::new(archive), left: MOST_UNPACKED });
    let (mut left, mut files, mut long_name) = (LARGEST_CHART, 0, None);
    // Raw: the reader of long names would take as much memory as they ask for.
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        match entry.header().entry_type() {
            EntryType::GNULongName => {
                let mut name = header_bytes(&mut entry)?;
                name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
                long_name = Some(name);
                continue;
            }
            EntryType::XHeader => {
                long_name = pax_path(&header_bytes(&mut entry)?)?.or(long_name);
                continue;
            }
            EntryType::GNULongLink | EntryType::XGlobalHeader => {
                header_bytes(&mut entry)?;
                continue;
            }
            EntryType::GNUSparse => return refused("chart contains a sparse file"),
            _ => {}
        }
        let name = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
        let name = String::from_utf8(name).or_else(|_| refused("chart contains a file whose name is not UTF-8"))?;
        if entry.header().entry_type().is_dir() || name.ends_with('/') {
            continue;
        }
        let path = path_inside(&name)?;
        let size = entry.size();
        // The last byte is one too many, as helm 4.3 counts.
        if size >= left {
            return refused(format!("decompressed chart is larger than the maximum size {LARGEST_CHART}"));
        }
        left -= size;
        files += 1;
        visit(&path, &mut entry)?;
    }
    if files == 0 { refused("no files in chart archive") } else { Ok(()) }
}

/// The text of the Chart.yaml at the top of a chart's archive, all of which is read.
///
/// # Errors
/// When helm would refuse the archive, or when it has none or two.
pub fn chart_yaml(archive: &Path) -> io::Result<String> {
    chart_yaml_in(io::BufReader::new(std::fs::File::open(archive)?))
}

/// The same of an archive that is no file.
///
/// # Errors
/// As [`chart_yaml`].
pub fn chart_yaml_in(archive: impl Read) -> io::Result<String> {
    let mut found: Option<String> = None;
    visit_chart(archive, &mut |path, bytes| {
        if path != "Chart.yaml" {
            return Ok(());
        }
        let mut text = String::new();
        bytes.read_to_string(&mut text)?;
        match found.replace(text) {
            None => Ok(()),
            Some(_) => refused("Chart.yaml is there twice"),
        }
    })?;
    match found {
        Some(text) => Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
        None => refused("Chart.yaml file is missing"),
    }
}

/// The path below the chart's folder, by helm's rules.
fn path_inside(name: &str) -> io::Result<String> {
    let separator = if name.contains('\\') { '\\' } else { '/' };
    let (folder, rest) = name.split_once(separator).unwrap_or((name, ""));
    let rest = rest.replace(separator, "/");
    if rest.starts_with('/') {
        return refused("chart illegally contains absolute paths");
    }
    let path = cleaned(&rest);
    if path.is_empty() {
        return refused(format!("chart illegally contains content outside the base directory: {name:?}"));
    }
    if path.starts_with("..") {
        return refused("chart illegally references parent directory");
    }
    if matches!(path.as_bytes(), [drive, b':', b'/', ..] if drive.is_ascii_alphabetic()) {
        return refused("chart contains illegally named files");
    }
    if folder == "Chart.yaml" {
        return refused("chart yaml not in base directory");
    }
    Ok(path)
}

/// The shortest form of a path; `..` stays at its front only.
fn cleaned(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The bytes of an entry that says something about the next one.
fn header_bytes(entry: &mut (impl Read + Sized)) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if entry.take(LONGEST_HEADER + 1).read_to_end(&mut bytes)? as u64 > LONGEST_HEADER {
        return refused("chart contains a header that is too long");
    }
    Ok(bytes)
}

fn pax_path(records: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut path = None;
    for record in PaxExtensions::new(records) {
        let record = record?;
        match record.key_bytes() {
            b"path" => path = Some(record.value_bytes().to_owned()),
            b"size" => return refused("chart contains a file that says its size twice"),
            _ => {}
        }
    }
    Ok(path)
}

fn refused<T>(why: impl Into<String>) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidData, why.into()))
}

/// Fails where more is unpacked than anybody packs.
struct Capped<R> {
    from: R,
    left: u64,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && !buffer.is_empty() {
            return refused(format!("chart unpacks to more than {MOST_UNPACKED} bytes"));
        }
        let most = self.left.min(buffer.len() as u64) as usize;
        let read = self.from.read(&mut buffer[..most])?;
        self.left -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
