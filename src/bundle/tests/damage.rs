//! Whatever is altered, cut off or slipped in is noticed and named.

use std::path::{Path, PathBuf};

use tar::EntryType;

use crate::bundle::entry::{BLOCK, END, header};
use crate::bundle::fixture::Rig;
use crate::bundle::{Bundle, Error, index};
use crate::digest::Digest;
use crate::layout::{Descriptor, annotation, blob_path};

struct Copy {
    rig: Rig,
    bytes: Vec<u8>,
    bad: PathBuf,
}

impl Copy {
    async fn new() -> Copy {
        let rig = Rig::plain();
        rig.write().await.unwrap();
        let bytes = std::fs::read(rig.output()).unwrap();
        let bad = rig.dir.path().join("bad.tar");
        Copy { rig, bytes, bad }
    }

    fn open(&self, bytes: &[u8]) -> Result<Bundle, Error> {
        std::fs::write(&self.bad, bytes).unwrap();
        Bundle::open(&self.bad)
    }

    fn altered(&self, at: usize) -> Result<Bundle, Error> {
        let mut bytes = self.bytes.clone();
        bytes[at] ^= 0x40;
        self.open(&bytes)
    }

    /// Where an entry's bytes begin.
    fn place(&self, name: &str) -> usize {
        let mut archive = tar::Archive::new(&self.bytes[..]);
        let found = archive.entries().unwrap().map(Result::unwrap).find(|e| e.path().unwrap() == Path::new(name));
        found.unwrap().raw_file_position() as usize
    }

    /// The entries after the index, and what the index lists.
    fn parts(&self) -> (Vec<Descriptor>, Vec<u8>) {
        let bundle = Bundle::open(&self.rig.output()).unwrap();
        let (top, rest) = index::read(bundle.index()).unwrap();
        (top, self.bytes[self.bytes.len() - rest as usize..self.bytes.len() - END as usize].to_vec())
    }

    /// A file whose index is right about itself, whatever it lists and whatever follows it.
    fn forged(&self, top: Vec<Descriptor>, entries: &[u8]) -> Error {
        let index = index::write(top, entries.len() as u64 + END).unwrap();
        let mut bytes = self.bytes[..self.place("index.json") - BLOCK as usize].to_vec();
        bytes.extend(header("index.json", index.len() as u64, EntryType::Regular));
        bytes.extend(&index);
        bytes.resize(bytes.len().next_multiple_of(BLOCK as usize), 0);
        bytes.extend(entries);
        bytes.extend([0; END as usize]);
        self.open(&bytes).unwrap_err()
    }

    /// With an entry put before the end.
    fn with(&self, entry: &[u8]) -> Error {
        let (top, mut entries) = self.parts();
        entries.extend_from_slice(entry);
        self.forged(top, &entries)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_index_is_refused() {
    let copy = Copy::new().await;
    let start = copy.place("index.json");
    for at in [start, start + 100, start + 1000] {
        assert!(matches!(copy.altered(at).unwrap_err(), Error::Index { .. }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn altered_blobs_are_named() {
    let copy = Copy::new().await;
    let good = Bundle::open(&copy.rig.output()).unwrap();
    let layer = &good.images()[1].manifests[0].layers[1];
    let blobs: [(&Descriptor, &str); 4] = [
        (&good.charts()[0].package, "chart minio 5.4.0"),
        (&good.tools()[0].file, "tool helm 4.3.1"),
        (&good.platctl().file, "platctl"),
        (layer, "quay.io/team/a:1"),
    ];
    for (blob, who) in blobs {
        let name = if who == "platctl" { who.to_owned() } else { blob_path(&blob.digest) };
        let bad = copy.altered(copy.place(&name) + blob.size as usize / 2).unwrap();
        let Error::Damaged(damage) = bad.read(blob).unwrap_err() else { panic!() };
        assert_eq!((&damage.entry, damage.expected, &damage.needed_by), (&name, blob.digest, &vec![who.to_owned()]));
        assert_eq!(bad.verify(&|_| {}).unwrap().damaged, [damage]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_definition_is_not_given_out() {
    let copy = Copy::new().await;
    let name = blob_path(&Digest::of(&copy.rig.contents.definition));
    let bad = copy.altered(copy.place(&name)).unwrap();
    assert!(matches!(bad.definition().unwrap_err(), Error::Damaged(damage) if damage.entry == name));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_manifest_is_found_on_opening() {
    let copy = Copy::new().await;
    let digest = copy.rig.contents.images[0].platforms.values().next().unwrap();
    let error = copy.altered(copy.place(&blob_path(digest)) + 3).unwrap_err();
    let Error::Damaged(damage) = error else { panic!("{error:?}") };
    assert_eq!((damage.entry, damage.needed_by), (blob_path(digest), vec!["quay.io/team/a:1".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_bytes_of_a_damaged_blob_are_not_read() {
    use std::io::Read;
    let copy = Copy::new().await;
    let good = Bundle::open(&copy.rig.output()).unwrap();
    let blob = &good.platctl().file;
    let bad = copy.altered(512 + 10).unwrap();
    let mut reader = bad.reader(blob).unwrap();
    let mut bytes = Vec::new();
    assert!(reader.read_to_end(&mut bytes).is_err());
    assert!((bytes.len() as u64) < blob.size);
    assert_eq!(reader.read(&mut [0; 10]).unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_cut_short_says_by_how_much() {
    let copy = Copy::new().await;
    let whole = copy.bytes.len();
    let index = copy.place("index.json");
    for length in [whole - 1, whole - 512, whole - 1024, whole - 100_000, index + 8192] {
        match copy.open(&copy.bytes[..length]).unwrap_err() {
            Error::Truncated { missing, least: false, .. } => assert_eq!(missing, (whole - length) as u64),
            other => panic!("{length}: {other:?}"),
        }
    }
    for length in [0, 1, 511, 512, 1000, 70_000, index - 512, index, index + 10] {
        match copy.open(&copy.bytes[..length]).unwrap_err() {
            Error::Truncated { missing, least: true, .. } => assert!(missing <= (whole - length) as u64),
            other => panic!("{length}: {other:?}"),
        }
    }
    let longer = [&copy.bytes[..], &[0; 512]].concat();
    assert!(matches!(copy.open(&longer).unwrap_err(), Error::Trailing { extra: 512, .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn strange_entries_are_refused() {
    let copy = Copy::new().await;
    let known = blob_path(&copy.rig.contents.charts[0].digest);
    let fresh = blob_path(&Digest::of("fresh"));
    let padded = |block: [u8; 512]| [&block[..], &[0; 512]].concat();
    let file = EntryType::Regular;
    for (entry, problem) in [
        (padded(header("../../etc/passwd", 5, file)), "no bundle has an entry of this name"),
        (padded(header("blobs/sha256/../../x", 5, file)), "no bundle has an entry of this name"),
        (padded(header("blobs/sha256/AB", 5, file)), "no bundle has an entry of this name"),
        (padded(header("index.json", 5, file)), "no bundle has an entry of this name"),
        (padded(header(&known, 5, file)), "it is there twice"),
        (header(&fresh, 0, EntryType::Symlink).to_vec(), "it is a symbolic link"),
        (header(&fresh, 0, EntryType::Directory).to_vec(), "it is a folder"),
        (header(&fresh, 0, EntryType::Link).to_vec(), "only platctl is linked, and once"),
        (header(&fresh, 0, EntryType::XHeader).to_vec(), "it is of kind `x`"),
    ] {
        match copy.with(&entry) {
            Error::Entry { problem: found, .. } => assert_eq!(found, problem),
            other => panic!("{problem}: {other:?}"),
        }
    }
    let error = copy.with(&padded(header(&fresh, 5, file)));
    assert!(matches!(&error, Error::Index { problem } if problem.contains(&fresh)), "{error:?}");
    let error = copy.with(&padded(header(&fresh, 5000, file)));
    assert!(matches!(error, Error::Truncated { .. }), "{error:?}");
    let error = copy.with(&padded(header(&fresh, u64::MAX - 100, file)));
    assert!(matches!(error, Error::Truncated { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_files_are_no_bundles() {
    let copy = Copy::new().await;
    assert!(matches!(copy.open(&[7; 5000]).unwrap_err(), Error::NoBundle { .. }));
    assert!(matches!(copy.open(&[0; 5000]).unwrap_err(), Error::Trailing { .. }));
    assert!(matches!(Bundle::open(copy.rig.dir.path()).unwrap_err(), Error::NoBundle { .. }));
    assert!(matches!(Bundle::open(Path::new("/nonexistent")).unwrap_err(), Error::File(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn strange_names_in_an_index_are_refused() {
    for (strange, word) in [("../x", "no name"), ("a\u{1b}[2Jb", "no name"), ("", "no name")] {
        let mut rig = Rig::plain();
        rig.contents.tools[0].title = strange.to_owned();
        rig.write().await.unwrap();
        let error = Bundle::open(&rig.output()).unwrap_err();
        assert!(matches!(&error, Error::Index { problem } if problem.contains(word)), "{error:?}");
        assert!(!error.to_string().contains('\u{1b}'));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_lies_is_refused() {
    let copy = Copy::new().await;
    let (top, entries) = copy.parts();
    let of = |kind: &str| top.iter().position(|one| one.annotation(annotation::KIND) == Some(kind)).unwrap();
    let problem = |change: &dyn Fn(&mut Vec<Descriptor>)| {
        let mut top = top.clone();
        change(&mut top);
        copy.forged(top, &entries).to_string()
    };
    for kind in ["image", "chart", "tool"] {
        let found = problem(&|top| top.push(top[of(kind)].clone()));
        assert!(found.ends_with("is there twice"), "{found}");
    }
    for kind in ["definition", "places", "platctl"] {
        let found = problem(&|top| top.push(top[of(kind)].clone()));
        assert!(found.contains("too many"), "{found}");
        let found = problem(&|top| _ = top.remove(of(kind)));
        assert!(found.contains(&format!("has no {kind}")), "{found}");
    }
    let found = problem(&|top| _ = top.remove(of("chart")));
    assert!(found.contains("nothing in it needs"), "{found}");
    let found = problem(&|top| top[of("chart")].size += 1);
    assert!(found.contains("needed by chart minio 5.4.0"), "{found}");
    let found = problem(&|top| top[of("tool")].digest = Digest::of("elsewhere"));
    assert!(found.contains("is missing (needed by tool helm 4.3.1)"), "{found}");
    let found = problem(&|top| top[of("image")].media_type = "text/html".to_owned());
    assert!(found.contains("no manifest"), "{found}");
    let found = problem(&|top| _ = top[of("image")].annotations.remove(annotation::SOURCE_DIGEST));
    assert!(found.contains("has no dev.platctl.source.digest"), "{found}");
}
