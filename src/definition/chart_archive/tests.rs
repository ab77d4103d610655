//! Charts as helm takes them, and as it does not.

use tar::Header;

use super::*;

/// An archive of entries as they are, headers included.
struct Packed(tar::Builder<Vec<u8>>);

impl Packed {
    fn new() -> Packed {
        Packed(tar::Builder::new(Vec::new()))
    }

    fn entry(mut self, name: &[u8], kind: EntryType, bytes: &[u8]) -> Packed {
        let mut header = Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        self.0.append(&header, bytes).unwrap();
        self
    }

    fn file(self, name: &str, bytes: &[u8]) -> Packed {
        self.entry(name.as_bytes(), EntryType::Regular, bytes)
    }

    fn gz(self) -> Vec<u8> {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut gz, &self.0.into_inner().unwrap()).unwrap();
        gz.finish().unwrap()
    }
}

fn visited(archive: &[u8]) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let done = visit_chart(archive, &mut |path, _| {
        found.push(path.to_owned());
        Ok(())
    });
    done.map(|()| found).map_err(|error| error.to_string())
}

#[test]
fn a_chart_as_helm_packs_it() {
    let long = format!("x/templates/{}.yaml", "n".repeat(200));
    let archive = Packed::new()
        .entry(b"x/", EntryType::Directory, b"")
        .file("x/Chart.yaml", "\u{feff}name: x\n".as_bytes())
        .entry(b"././@LongLink", EntryType::GNULongName, format!("{long}\0").as_bytes())
        .file("x/cut", b"long")
        .entry(b"pax", EntryType::XHeader, b"23 path=x/templates/\xc3\xa4\n")
        .file("x/a", b"pax")
        .entry(b"x/link", EntryType::Symlink, b"")
        .file("x\\templates\\windows.yaml", b"w")
        .gz();
    let names = ["Chart.yaml", &long[2..], "templates/ä", "link", "templates/windows.yaml"];
    assert_eq!(visited(&archive).unwrap(), names);
    assert_eq!(chart_yaml_in(archive.as_slice()).unwrap(), "name: x\n");
}

#[test]
fn what_helm_refuses_is_refused_in_its_words() {
    for (name, words) in [
        ("x//etc/passwd", "chart illegally contains absolute paths"),
        ("/etc/passwd", ""),
        ("x/../../etc/passwd", "chart illegally references parent directory"),
        ("x/a/../../b", "chart illegally references parent directory"),
        ("x\\..\\b", "chart illegally references parent directory"),
        ("x/c:/windows", "chart contains illegally named files"),
        ("x/.", "chart illegally contains content outside the base directory: \"x/.\""),
        ("top.yaml", "chart illegally contains content outside the base directory: \"top.yaml\""),
        ("Chart.yaml/x", "chart yaml not in base directory"),
    ] {
        let archive = Packed::new().file("x/Chart.yaml", b"name: x").file(name, b"x").gz();
        match visited(&archive) {
            Err(error) => assert_eq!(error, words, "{name}"),
            // helm takes the first part for the chart's folder, whatever it is.
            Ok(names) => assert!(words.is_empty() && names[1] == "etc/passwd", "{name}: {names:?}"),
        }
    }
    assert_eq!(visited(&Packed::new().gz()).unwrap_err(), "no files in chart archive");
    let folder = Packed::new().entry(b"x/", EntryType::Directory, b"").gz();
    assert_eq!(visited(&folder).unwrap_err(), "no files in chart archive");
}

#[test]
fn sizes_are_helms() {
    let mib = vec![b' '; 1 << 20];
    let archive = |last: usize| {
        let many = (0..99).fold(Packed::new(), |packed, n| packed.file(&format!("x/{n}"), &mib));
        many.file("x/last", &mib[..last]).gz()
    };
    assert_eq!(visited(&archive((1 << 20) - 1)).unwrap().len(), 100);
    let words = "decompressed chart is larger than the maximum size 104857600";
    assert_eq!(visited(&archive(1 << 20)).unwrap_err(), words);
    // One file may be as large as all of them: helm has no other limit any more.
    assert!(visited(&Packed::new().file("x/large", &[b' '; 20 << 20]).gz()).is_ok());
    let mut header = Header::new_gnu();
    header.set_path("x/absurd").unwrap();
    for size in [LARGEST_CHART, u64::MAX / 2, u64::MAX] {
        header.set_size(size);
        header.set_cksum();
        let archive = Packed::new();
        let mut bytes = archive.file("x/Chart.yaml", b"name: x").0.into_inner().unwrap();
        bytes.truncate(1024);
        bytes.extend(header.as_bytes());
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut gz, &bytes).unwrap();
        let expected = if size == u64::MAX { "size overflow" } else { words };
        assert_eq!(visited(&gz.finish().unwrap()).unwrap_err(), expected, "{size}");
    }
}

#[test]
fn headers_take_no_memory_of_their_own() {
    let long = vec![b'n'; (1 << 20) + 1];
    for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader, EntryType::XGlobalHeader] {
        let archive = Packed::new().entry(b"h", kind, &long).file("x/Chart.yaml", b"name: x").gz();
        assert_eq!(visited(&archive).unwrap_err(), "chart contains a header that is too long");
    }
    let archive = Packed::new().entry(b"h", EntryType::XHeader, b"15 size=100000\n").file("x/a", b"").gz();
    assert_eq!(visited(&archive).unwrap_err(), "chart contains a file that says its size twice");
    let archive = Packed::new().entry(b"x/a", EntryType::GNUSparse, b"").gz();
    assert_eq!(visited(&archive).unwrap_err(), "chart contains a sparse file");
    let archive = Packed::new().file("x/Chart.yaml", b"").entry(b"x/\xff", EntryType::Regular, b"").gz();
    assert_eq!(visited(&archive).unwrap_err(), "chart contains a file whose name is not UTF-8");
}

#[test]
fn a_bomb_of_empty_files_is_given_up() {
    let mut block = Header::new_gnu();
    block.set_path("x/e").unwrap();
    block.set_size(0);
    block.set_cksum();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let chunk = block.as_bytes().repeat(2048);
    for _ in 0..257 {
        io::Write::write_all(&mut gz, &chunk).unwrap();
    }
    let bomb = gz.finish().unwrap();
    assert!(bomb.len() < 8 << 20, "{}", bomb.len());
    assert_eq!(visited(&bomb).unwrap_err(), "chart unpacks to more than 268435456 bytes");
}

#[test]
fn two_names_or_none_are_refused() {
    let twice = Packed::new().file("x/Chart.yaml", b"name: x").file("y/Chart.yaml", b"name: y").gz();
    assert_eq!(chart_yaml_in(twice.as_slice()).unwrap_err().to_string(), "Chart.yaml is there twice");
    let none = Packed::new().file("x/values.yaml", b"").gz();
    assert_eq!(chart_yaml_in(none.as_slice()).unwrap_err().to_string(), "Chart.yaml file is missing");
    for bytes in [b"".as_slice(), b"no gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03"] {
        assert!(chart_yaml_in(bytes).is_err());
    }
}
