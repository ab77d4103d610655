//! Bundles made to harm whoever opens them. Each is refused by every verb that reads the part it lies in, with the part
//! named, in little memory, and with nothing written anywhere but into platctl's own cache.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde_json::{Value, json};
use tar::{EntryType, Header};

use crate::assert_screen;
use crate::shop::Shop;
use crate::support::forged::{Forged, header, hex, put};
use crate::support::{Output, Platctl};

/// What a process may have for its data: many times what it needs for a good bundle.
const MEMORY: &str = "--data=402653184";

/// A site with a good bundle to forge others of.
struct Site {
    shop: Shop,
    good: Forged,
}

impl Site {
    fn new() -> Site {
        let shop = Shop::bundled("registry.site:5000");
        fs::create_dir(shop.path().join("site")).unwrap();
        let good = Forged::of(&shop.path().join("platform.tar"));
        Site { shop, good }
    }

    /// Runs a verb on the bad bundle; nothing but the cache may be another after it.
    fn run(&self, args: &[&str]) -> Output {
        let limited = ["prlimit", MEMORY, env!("CARGO_BIN_EXE_platctl")];
        let before = listing(self.shop.path());
        let program: Platctl = self.shop.platctl().folder(&self.shop.path().join("site"));
        let program = program.env("PLATCTL_MIRROR", "*=http://127.0.0.1:9").through(&limited);
        let output = program.args(args).run();
        assert_eq!(listing(self.shop.path()), before, "{args:?} wrote something: {}", output.screen());
        assert!(output.code == 1 || output.code == 4, "{args:?}: {}", output.screen());
        assert!(!output.stderr.contains("panicked"), "{}", output.screen());
        assert_eq!(self.shop.changing_calls(), Vec::<String>::new());
        output
    }

    fn write(&self, bytes: &[u8]) {
        fs::write(self.shop.path().join("bad.tar"), bytes).unwrap();
    }

    /// Refused on opening, so by every verb; the words.
    fn refused(&self, bytes: &[u8]) -> String {
        self.write(bytes);
        self.refused_file()
    }

    fn refused_file(&self) -> String {
        let first = first_line(&self.run(&["inspect", "../bad.tar"]));
        for args in [
            &["inspect", "../bad.tar", "--verify"][..],
            &["unpack", "../bad.tar", "../unpacked"],
            &["apply", "-e", "prod", "--bundle", "../bad.tar"],
        ] {
            assert_eq!(first_line(&self.run(args)), first, "{args:?}");
        }
        first
    }

    /// Refused by what reads the definition.
    fn definition_refused(&self, tar: Vec<u8>) -> String {
        let mut forged = self.good.clone();
        let old = forged.layer("definition");
        forged.replace(&old, tar);
        self.write(&forged.bytes());
        let first = first_line(&self.run(&["unpack", "../bad.tar", "../unpacked"]));
        for args in [
            &["inspect", "../bad.tar", "--releases"][..],
            &["values", "-e", "prod", "--bundle", "../bad.tar"],
            &["apply", "-e", "prod", "--bundle", "../bad.tar"],
        ] {
            assert_eq!(first_line(&self.run(args)), first, "{args:?}");
        }
        first
    }
}

fn first_line(output: &Output) -> String {
    output.stderr.lines().next().unwrap_or_default().to_owned()
}

/// Every file, folder and link but the cache and what the fakes note, with sizes.
fn listing(root: &Path) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if name == "home/cache" || name == "fake" {
                continue;
            }
            let facts = fs::symlink_metadata(&path).unwrap();
            found.insert(name, if facts.is_dir() { 0 } else { facts.len() });
            if facts.is_dir() {
                open.push(path);
            }
        }
    }
    found
}

/// A line for each case.
fn table(found: &[(String, String)]) -> String {
    found.iter().map(|(case, words)| format!("{case}\n    {words}\n")).collect()
}

fn entry(name: &[u8], kind: EntryType, size: u64, bytes: &[u8]) -> Vec<u8> {
    let mut all = header(name, size, kind).to_vec();
    all.extend(bytes);
    all.resize(all.len().next_multiple_of(512), 0);
    all
}

/// The same with the header changed.
fn strange(change: impl FnOnce(&mut Header), bytes: &[u8]) -> Vec<u8> {
    let block = header(format!("blobs/sha256/{}", "ab".repeat(32)).as_bytes(), bytes.len() as u64, EntryType::Regular);
    let mut header = Header::from_byte_slice(&block).clone();
    change(&mut header);
    header.set_cksum();
    [header.as_bytes().as_slice(), bytes, &vec![0; bytes.len().next_multiple_of(512) - bytes.len()]].concat()
}

#[test]
fn hostile_entries() {
    let site = Site::new();
    let fresh = format!("blobs/sha256/{}", "ab".repeat(32));
    let fresh = fresh.as_bytes();
    let known = format!("blobs/sha256/{}", site.good.blobs.keys().next().unwrap());
    let upper = format!("blobs/sha256/{}", "AB".repeat(32));
    let file = EntryType::Regular;
    let link = |kind: EntryType, to: &'static str| {
        strange(
            move |header| {
                header.set_entry_type(kind);
                header.set_link_name_literal(to).unwrap();
            },
            b"",
        )
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a name that goes up", entry(b"../../evil", file, 1, b"x")),
        ("a name that goes up below blobs", entry(b"blobs/sha256/../../../evil", file, 1, b"x")),
        ("an absolute name", entry(b"/tmp/evil", file, 1, b"x")),
        ("a name that is no digest", entry(b"blobs/sha256/xyz", file, 1, b"x")),
        ("a name in capitals", entry(upper.as_bytes(), file, 1, b"x")),
        ("a folder's name in capitals", entry(b"BLOBS/SHA256/ab", file, 1, b"x")),
        ("a name that is not UTF-8", entry(b"blobs/sha256/\xff\xfe", file, 1, b"x")),
        ("a name for terminals", entry(b"blobs/\x1b[2J\x1b]0;x\x07", file, 1, b"x")),
        ("no name", entry(b"", file, 1, b"x")),
        ("a name cut by a zero", entry(b"blobs/sha256/ab\0../evil", file, 1, b"x")),
        ("a name in two parts", strange(|h| h.as_ustar_mut().unwrap().prefix[..5].copy_from_slice(b"../.."), b"x")),
        ("a symbolic link out", link(EntryType::Symlink, "/etc/passwd")),
        ("a hard link out", link(EntryType::Link, "/etc/passwd")),
        ("a hard link up", link(EntryType::Link, "../../evil")),
        ("a second link to platctl", link(EntryType::Link, "platctl")),
        ("a character device", entry(fresh, EntryType::Char, 0, b"")),
        ("a block device", entry(fresh, EntryType::Block, 0, b"")),
        ("a fifo", entry(fresh, EntryType::Fifo, 0, b"")),
        ("a folder", entry(fresh, EntryType::Directory, 0, b"")),
        ("a contiguous file", entry(fresh, EntryType::Continuous, 1, b"x")),
        ("a sparse file", entry(fresh, EntryType::GNUSparse, 1, b"x")),
        ("a long name", entry(b"././@LongLink", EntryType::GNULongName, 9, b"../evil\0\0")),
        ("a long link", entry(b"././@LongLink", EntryType::GNULongLink, 9, b"../evil\0\0")),
        ("a header of POSIX", entry(b"x", EntryType::XHeader, 17, b"17 path=../evil\n\n")),
        ("a header for all of POSIX", entry(b"x", EntryType::XGlobalHeader, 17, b"17 path=../evil\n\n")),
        ("a kind that nobody knows", strange(|h| h.set_entry_type(EntryType::new(b'Z')), b"x")),
        ("a blob twice", entry(known.as_bytes(), file, 1, b"x")),
        ("an index twice", entry(b"index.json", file, 2, b"{}")),
        ("platctl twice", entry(b"platctl", file, 1, b"x")),
        ("a signature that comes late", entry(b"index.json.minisig", file, 1, b"x")),
        ("a blob that nothing needs", entry(fresh, file, 1, b"x")),
        ("a size beyond the file", entry(fresh, file, 1 << 30, b"x")),
        ("the largest size", entry(fresh, file, u64::MAX, b"x")),
        ("a size near the largest", entry(fresh, file, u64::MAX - 511, b"x")),
        ("a negative size", strange(|h| h.as_mut_bytes()[124..136].fill(0xff), b"x")),
        ("a size in 96 bits", strange(|h| h.as_mut_bytes()[124..128].copy_from_slice(&[0x80, 0, 0, 1]), b"x")),
        ("a size that is no number", strange(|h| h.as_mut_bytes()[124..130].copy_from_slice(b"abcdef"), b"x")),
        ("a size written otherwise", strange(|h| h.as_mut_bytes()[124..136].copy_from_slice(b"     1      "), b"x")),
        ("no checksum", [[b'x'; 512].as_slice(), &[0; 512]].concat()),
        ("an owner", strange(|h| h.set_uid(1000), b"x")),
    ];
    let mut found = Vec::new();
    for (case, extra) in cases {
        let mut forged = site.good.clone();
        forged.extra = extra;
        found.push((case.to_owned(), site.refused(&forged.bytes())));
    }
    let mut forged = site.good.clone();
    forged.after = b"more".to_vec();
    found.push(("bytes after the end".to_owned(), site.refused(&forged.bytes())));
    forged.after = entry(fresh, file, 1, b"x");
    found.push(("an entry after the end".to_owned(), site.refused(&forged.bytes())));
    assert_eq!(found.len(), 42);
    assert_screen!(site.shop.path(), "entries", table(&found));
}

/// A case of an index: what is changed.
type Change = Box<dyn Fn(&mut Forged)>;

#[test]
fn hostile_indexes() {
    let site = Site::new();
    let named = |part: &'static str, key: &'static str, value: Value| -> Change {
        Box::new(move |forged| forged.top(part)["annotations"][key] = value.clone())
    };
    let own = |part: &'static str, key: &'static str, value: Value| -> Change {
        Box::new(move |forged| forged.top(part)[key] = value.clone())
    };
    let digest = format!("sha256:{}", "ab".repeat(32));
    let cases: Vec<(&str, Change)> = vec![
        ("an environment that goes up", named("definition", "dev.platctl.name", json!("../x"))),
        ("an environment for terminals", named("definition", "dev.platctl.name", json!("\u{1b}[2Jx"))),
        ("a chart that goes up", named("\"queue\"", "dev.platctl.name", json!("../../queue"))),
        ("a version that goes up", named("\"queue\"", "dev.platctl.version", json!("/etc"))),
        ("a tool that goes up", named("kubectl", "dev.platctl.name", json!(".."))),
        ("a tool for no platform", named("kubectl", "dev.platctl.platform", json!("../x"))),
        ("an image that is none", named("shop/api", "org.opencontainers.image.ref.name", json!("../../x:y"))),
        (
            "an image twice",
            Box::new(|forged| {
                let twin = forged.top("shop/api").clone();
                forged.index["manifests"].as_array_mut().unwrap().push(twin);
            }),
        ),
        (
            "something of no kind",
            Box::new(|forged| {
                forged.top("shop/api")["annotations"].as_object_mut().unwrap().remove("dev.platctl.kind");
            }),
        ),
        ("something of an unknown kind", named("shop/api", "dev.platctl.kind", json!("script"))),
        ("another platctl than the first entry", named("\"platctl\"", "dev.platctl.file", json!(digest))),
        (
            "no places",
            Box::new(|forged| {
                forged.index["manifests"].as_array_mut().unwrap().retain(|top| !top.to_string().contains("\"places\""));
            }),
        ),
        ("a digest that is not there", own("shop/api", "digest", json!(digest))),
        ("a digest that is none", own("shop/api", "digest", json!("sha256:../../x"))),
        ("a digest of another kind", own("shop/api", "digest", json!(format!("sha512:{}", "ab".repeat(64))))),
        ("a negative size", own("shop/api", "size", json!(-1))),
        ("a size with a point", own("shop/api", "size", json!(1.5))),
        ("a size of a million digits", own("shop/api", "size", json!(u64::MAX))),
        ("a wrong size", own("shop/api", "size", json!(7))),
        ("an annotation that is no text", named("shop/api", "dev.platctl.kind", json!({"a": []}))),
        ("no list", Box::new(|forged| forged.index["manifests"] = json!({}))),
        (
            "an index of indexes",
            Box::new(|forged| {
                let child = forged.top("shop/web").clone();
                let index = json!({"schemaVersion": 2, "manifests": [
                {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": child["digest"], "size": child["size"]}]});
                let old = hex(&forged.top("shop/api")["digest"]);
                forged.top("shop/api")["mediaType"] = json!("application/vnd.oci.image.index.v1+json");
                forged.replace(&old, index.to_string().into_bytes());
            }),
        ),
        (
            "a layer with a wrong size",
            Box::new(|forged| {
                forged.change("shop/api", |manifest| manifest["layers"][0]["size"] = json!(1u64 << 40));
            }),
        ),
        (
            "a layer that is not there",
            Box::new(|forged| {
                let digest = format!("sha256:{}", "cd".repeat(32));
                forged.change("shop/api", move |manifest| manifest["layers"][0]["digest"] = json!(digest));
            }),
        ),
        (
            "a manifest that is no JSON",
            Box::new(|forged| {
                let old = hex(&forged.top("shop/api")["digest"]);
                forged.replace(&old, b"not JSON".to_vec());
            }),
        ),
        (
            "a deep manifest",
            Box::new(|forged| {
                let old = hex(&forged.top("shop/api")["digest"]);
                forged.replace(&old, format!("{{\"config\":{}", "[".repeat(1 << 20)).into_bytes());
            }),
        ),
        (
            "a manifest of a million layers",
            Box::new(|forged| {
                let old = hex(&forged.top("shop/api")["digest"]);
                let manifest: Value = serde_json::from_slice(&forged.blobs[&old]).unwrap();
                let (layer, config) = (manifest["layers"][0].to_string(), manifest["config"].to_string());
                let layers = format!("{layer},").repeat(1_000_000);
                let text = format!("{{\"schemaVersion\":2,\"config\":{config},\"layers\":[{layers}{layer}]}}");
                forged.replace(&old, text.into_bytes());
            }),
        ),
        (
            "a manifest of many layers, for many images",
            Box::new(|forged| {
                forged.change("shop/api", |manifest| {
                    let layer = manifest["layers"][0].clone();
                    manifest["layers"] = vec![layer; 20_000].into();
                });
                let top = forged.top("shop/api").clone();
                for n in 0..1000 {
                    let mut twin = top.clone();
                    twin["annotations"]["org.opencontainers.image.ref.name"] = json!(format!("a.example/b:{n}"));
                    forged.index["manifests"].as_array_mut().unwrap().push(twin);
                }
            }),
        ),
        (
            "a hundred thousand images",
            Box::new(|forged| {
                let twin = forged.top("shop/api").clone();
                forged.index["manifests"].as_array_mut().unwrap().extend(vec![twin; 100_000]);
            }),
        ),
    ];
    let mut found = Vec::new();
    for (case, change) in cases {
        let mut forged = site.good.clone();
        change(&mut forged);
        found.push((case.to_owned(), site.refused(&forged.bytes())));
    }
    for (case, index) in [
        ("an index that is no JSON", b"not JSON".to_vec()),
        ("an index of a wrong kind", b"[]".to_vec()),
        ("a deep index", "[".repeat(1 << 20).into_bytes()),
        ("a deep index of maps", "{\"a\":".repeat(1 << 20).into_bytes()),
        ("an index of 17 MiB", vec![b' '; 17 << 20]),
        ("an index that is not right about itself", site.good.index.to_string().into_bytes()),
    ] {
        let mut bytes = site.good.front();
        put(&mut bytes, "index.json", &index);
        bytes.extend([0; 1024]);
        found.push((case.to_owned(), site.refused(&bytes)));
    }
    assert_eq!(found.len(), 35);
    assert_screen!(site.shop.path(), "indexes", table(&found));
}

#[test]
fn absurdly_large_files_take_no_memory() {
    let site = Site::new();
    let path = site.shop.path().join("bad.tar");
    let mut found = Vec::new();
    // Holes: nothing of it is on the disk.
    let mut index = site.good.front();
    index.extend(header(b"index.json", 1 << 30, EntryType::Regular));
    let mut forged = site.good.clone();
    let front = forged.bytes();
    forged.extra = entry(format!("blobs/sha256/{}", "ab".repeat(32)).as_bytes(), EntryType::Regular, 20 << 30, b"");
    for (case, start, size) in [
        ("an index of 1 GiB", index, 2 << 30),
        ("a good beginning, and 20 GiB of nothing", front, 20u64 << 30),
        ("a blob of 20 GiB that nothing needs", forged.bytes(), 21 << 30),
        ("20 GiB of nothing", Vec::new(), 20 << 30),
    ] {
        let file = fs::File::create(&path).unwrap();
        file.write_all_at(&start, 0).unwrap();
        file.set_len(size).unwrap();
        found.push((case.to_owned(), site.refused_file()));
    }
    assert_screen!(site.shop.path(), "large", table(&found));
}

#[test]
fn hostile_definitions() {
    let site = Site::new();
    let plain = |name: &[u8]| entry(name, EntryType::Regular, 1, b"x");
    let kind = |kind| entry(b"environments/prod/values.yaml", kind, 0, b"");
    let link = |kind: EntryType, to: &str| {
        let mut header = Header::new_ustar();
        header.set_path("environments/prod/values.yaml").unwrap();
        header.set_entry_type(kind);
        header.set_link_name_literal(to).unwrap();
        header.set_size(0);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    let long = "environments/".to_owned() + &"../".repeat(60) + "evil";
    let chart = "templates/apps/web/chart";
    let two = |a: &str, b: &str| {
        [plain(format!("{chart}/{a}").as_bytes()), plain(format!("{chart}/{b}").as_bytes())].concat()
    };
    let large = vec![b'#'; (5 << 20) + 1];
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a name that goes up", plain(b"../evil")),
        ("a name that goes up from an allowed place", plain(b"templates/apps/web/chart/../../../../evil")),
        ("an environment that goes up", plain(b"environments/../values.yaml")),
        ("an absolute name", plain(b"/etc/cron.d/evil")),
        ("a name for another system", plain(b"templates/apps/web/chart/..\\..\\evil")),
        ("a name for terminals", plain(b"templates/apps/web/chart/\x1b[2J")),
        ("a name that is not UTF-8", plain(b"templates/apps/web/chart/\xff\xfe")),
        ("an empty part", plain(b"templates/apps/web/chart//x")),
        (
            "a part of 300 bytes",
            [
                entry(b"././@LongLink", EntryType::GNULongName, 325, format!("{chart}/{}", "n".repeat(300)).as_bytes()),
                plain(b"x"),
            ]
            .concat(),
        ),
        (
            "a long name that goes up",
            [entry(b"././@LongLink", EntryType::GNULongName, long.len() as u64, long.as_bytes()), plain(b"x")].concat(),
        ),
        (
            "a name of POSIX that goes up",
            [
                entry(b"x", EntryType::XHeader, 29, b"29 path=environments/../evil\n"),
                plain(b"environments/prod/values.yaml"),
            ]
            .concat(),
        ),
        ("a file that is none of a definition", plain(b"etc/passwd")),
        ("a hidden file", plain(b".bashrc")),
        ("a symbolic link", link(EntryType::Symlink, "/etc/passwd")),
        ("a hard link", link(EntryType::Link, "../../evil")),
        ("a character device", kind(EntryType::Char)),
        ("a block device", kind(EntryType::Block)),
        ("a fifo", kind(EntryType::Fifo)),
        ("a folder", kind(EntryType::Directory)),
        ("a file twice", [plain(b"environments/prod/values.yaml"), plain(b"environments/prod/values.yaml")].concat()),
        ("two files by case", two("values.yaml", "VALUES.yaml")),
        ("two files by the form of a letter", two("\u{e4}", "a\u{308}")),
        ("a size beyond the tar", entry(b"environments/prod/values.yaml", EntryType::Regular, 1 << 40, b"x")),
        ("the largest size", entry(b"environments/prod/values.yaml", EntryType::Regular, u64::MAX, b"x")),
        (
            "a file of more than 5 MiB",
            entry(b"environments/prod/values.yaml", EntryType::Regular, large.len() as u64, &large),
        ),
        ("no tar", vec![b'x'; 2000]),
        ("nothing", Vec::new()),
        ("130 MiB", vec![0; 130 << 20]),
    ];
    let mut found = Vec::new();
    for (case, tar) in cases {
        let end = if case == "nothing" { 0 } else { 1024 };
        found.push((case.to_owned(), site.definition_refused([tar, vec![0; end]].concat())));
    }
    assert_eq!(found.len(), 28);
    assert_screen!(site.shop.path(), "definitions", table(&found));
}

#[test]
fn hostile_places() {
    let site = Site::new();
    let mut found = Vec::new();
    for (case, bytes) in [
        ("no JSON", b"not JSON".to_vec()),
        ("an unknown key", b"{\"images\":{},\"run\":\"x\"}".to_vec()),
        ("a deep one", format!("{{\"images\":{}", "[".repeat(1 << 20)).into_bytes()),
    ] {
        let mut forged = site.good.clone();
        let old = forged.layer("\"places\"");
        forged.replace(&old, bytes);
        site.write(&forged.bytes());
        found.push((case.to_owned(), first_line(&site.run(&["inspect", "../bad.tar", "--images"]))));
    }
    assert_screen!(site.shop.path(), "places", table(&found));
}

fn gzipped(write: impl FnOnce(&mut dyn Write)) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    write(&mut gz);
    gz.finish().unwrap()
}

/// Archives of a tool from which nothing may come but its executable.
#[test]
fn hostile_tools() {
    let site = Site::new();
    let member = b"linux-amd64/helm".as_slice();
    let link = |kind: EntryType, to: &str| {
        let mut header = Header::new_gnu();
        header.set_path("linux-amd64/helm").unwrap();
        header.set_entry_type(kind);
        header.set_link_name_literal(to).unwrap();
        header.set_size(0);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("no archive", b"not gzip".to_vec()),
        ("a symbolic link", gzipped(|gz| gz.write_all(&link(EntryType::Symlink, "/bin/sh")).unwrap())),
        ("a hard link", gzipped(|gz| gz.write_all(&link(EntryType::Link, "/bin/sh")).unwrap())),
        ("a device", gzipped(|gz| gz.write_all(&entry(member, EntryType::Char, 0, b"")).unwrap())),
        (
            "only names that go up",
            gzipped(|gz| {
                gz.write_all(&entry(b"../../linux-amd64/helm", EntryType::Regular, 1, b"x")).unwrap();
                gz.write_all(&entry(b"/linux-amd64/helm", EntryType::Regular, 1, b"x")).unwrap();
            }),
        ),
        ("cut short", gzipped(|gz| gz.write_all(&header(member, 1 << 20, EntryType::Regular)).unwrap())),
        (
            "a bomb before it",
            gzipped(|gz| {
                gz.write_all(&header(b"x", 3 << 30, EntryType::Regular)).unwrap();
                let zeros = vec![0; 1 << 20];
                (0..64).for_each(|_| gz.write_all(&zeros).unwrap());
            }),
        ),
        (
            "a long name of 64 MiB",
            gzipped(|gz| {
                gz.write_all(&header(b"././@LongLink", 512 << 20, EntryType::GNULongName)).unwrap();
                let zeros = vec![b'n'; 1 << 20];
                (0..512).for_each(|_| gz.write_all(&zeros).unwrap());
            }),
        ),
    ];
    let mut found = Vec::new();
    for (case, archive) in cases {
        let mut forged = site.good.clone();
        let old = forged.layer("\"helm\"");
        forged.replace_locked(&old, archive);
        site.write(&forged.bytes());
        let _ = fs::remove_dir_all(site.shop.path().join("home/cache"));
        let output = site.run(&["apply", "-e", "prod", "--bundle", "../bad.tar"]);
        found.push((case.to_owned(), output.stderr.lines().take(2).collect::<Vec<_>>().join(" ")));
        let tools = site.shop.path().join("home/cache/tools");
        let left: Vec<_> = if tools.exists() { crate::support::files(&tools) } else { Vec::new() };
        let helm: Vec<_> = left.iter().filter(|path| path.to_string_lossy().contains("helm")).collect();
        assert!(helm.is_empty(), "{case}: {helm:?}");
    }
    assert_screen!(site.shop.path(), "tools", table(&found));
}

/// Charts that would fill a memory: whoever looks into them gives up in time. Refusing them is helm's work then, as it
/// is anywhere; the end-to-end tests compare its words with platctl's.
#[test]
fn hostile_charts() {
    let site = Site::new();
    let zeros = vec![0; 1 << 20];
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("no archive", b"not gzip".to_vec()),
        (
            "a bomb",
            gzipped(|gz| {
                gz.write_all(&header(b"x/bomb", 2 << 30, EntryType::Regular)).unwrap();
                (0..512).for_each(|_| gz.write_all(&zeros).unwrap());
            }),
        ),
        (
            "a bomb of names",
            gzipped(|gz| {
                gz.write_all(&header(b"././@LongLink", 512 << 20, EntryType::GNULongName)).unwrap();
                (0..512).for_each(|_| gz.write_all(&zeros).unwrap());
            }),
        ),
        (
            "a hundred thousand files",
            gzipped(|gz| {
                let file = header(b"x/e", 0, EntryType::Regular);
                (0..100_000).for_each(|_| gz.write_all(&file).unwrap());
            }),
        ),
        ("bombs in bombs", {
            let bomb = gzipped(|gz| {
                gz.write_all(&header(b"y/bomb", 90 << 20, EntryType::Regular)).unwrap();
                (0..90).for_each(|_| gz.write_all(&zeros).unwrap());
            });
            gzipped(|gz| {
                for n in 0..40 {
                    let mut entry = Vec::new();
                    put(&mut entry, &format!("x/charts/{n}.tgz"), &bomb);
                    gz.write_all(&entry).unwrap();
                }
            })
        }),
    ];
    for (case, archive) in cases {
        let mut forged = site.good.clone();
        let old = forged.layer("\"queue\"");
        forged.replace_locked(&old, archive);
        site.write(&forged.bytes());
        let limited = ["prlimit", MEMORY, env!("CARGO_BIN_EXE_platctl")];
        let before = listing(site.shop.path());
        let program = site.shop.platctl().folder(&site.shop.path().join("site")).through(&limited);
        let output = program.args(["template", "-e", "prod", "--bundle", "../bad.tar"]).run();
        assert!([0, 1, 4].contains(&output.code), "{case}: {}", output.screen());
        assert_eq!(listing(site.shop.path()), before, "{case}");
    }
}
