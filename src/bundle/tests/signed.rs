//! Signatures: whose bundles are taken, and whose are not.

use std::path::PathBuf;

use tar::EntryType;

use crate::bundle::entry::{BLOCK, SIGNATURE_PATH, header};
use crate::bundle::fixture::Rig;
use crate::bundle::sign::key_file;
use crate::bundle::{Bundle, Error, KeyFile, Signed, SigningKey, Trust, TrustError, lay_beside, write};

/// A rig with a bundle, a key that signs, and one that does not.
struct Bench {
    rig: Rig,
    key: SigningKey,
}

impl Bench {
    async fn new() -> Bench {
        let rig = Rig::plain();
        std::fs::write(rig.dir.path().join("key.sec"), key_file([3; 32], None)).unwrap();
        let key = KeyFile::read(&rig.dir.path().join("key.sec")).unwrap().open("").unwrap();
        std::fs::write(rig.dir.path().join("own.pub"), key.public()).unwrap();
        let bench = Bench { rig, key };
        let layout = bench.rig.layout().await.signed(&bench.key, "prod");
        write(&layout, &bench.rig.output(), &bench.rig.client, 3, &|_| {}).await.unwrap();
        lay_beside(&layout, &bench.rig.output()).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.rig.dir.path().join(name)
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.rig.output()).unwrap()
    }

    /// A public key of another seed; with the same id as the one that signs, or another one.
    fn stranger(&self, name: &str, same_id: bool) {
        std::fs::write(self.path("other.sec"), key_file([9; 32], None)).unwrap();
        let public = KeyFile::read(&self.path("other.sec")).unwrap().open("").unwrap().public();
        let public = if same_id { public } else { public.replace("RWQBAgM", "RWQBAgQ") };
        std::fs::write(self.path(name), public).unwrap();
    }

    fn open(&self, bytes: &[u8], keys: &[&str]) -> Result<Bundle, Error> {
        let keys: Vec<PathBuf> = keys.iter().map(|name| self.path(name)).collect();
        std::fs::write(self.path("tried.tar"), bytes).unwrap();
        Bundle::trusted(&self.path("tried.tar"), &Trust::read(&keys, &[])?)
    }

    fn refused(&self, bytes: &[u8], keys: &[&str]) -> TrustError {
        match self.open(bytes, keys) {
            Err(Error::Trust(error)) => error,
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("taken"),
        }
    }

    /// Where the signature's entry begins, and its bytes.
    fn signature(&self) -> (usize, String) {
        let text = std::fs::read_to_string(self.path("platform.tar.index.json.minisig")).unwrap();
        let block = header(SIGNATURE_PATH, text.len() as u64, EntryType::Regular);
        (self.bytes().windows(512).position(|window| window == block).unwrap(), text)
    }

    /// The bundle with another signature, or without one.
    fn with_signature(&self, signature: Option<&str>) -> Vec<u8> {
        let (at, old) = self.signature();
        let mut bytes = self.bytes();
        let mut new = Vec::new();
        if let Some(text) = signature {
            new.extend(header(SIGNATURE_PATH, text.len() as u64, EntryType::Regular));
            new.extend(text.as_bytes());
            new.resize(new.len().next_multiple_of(BLOCK as usize), 0);
        }
        bytes.splice(at..at + 512 + old.len().next_multiple_of(512), new);
        bytes
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_by_a_trusted_key_is_taken() {
    let bench = Bench::new().await;
    bench.stranger("other.pub", false);
    bench.stranger("twin.pub", true);
    for keys in [&["own.pub"][..], &["other.pub", "own.pub"], &["own.pub", "other.pub"], &["twin.pub", "own.pub"]] {
        let bundle = bench.open(&bench.bytes(), keys).unwrap();
        let Signed::By { id, file, comment } = bundle.signed() else { panic!() };
        assert_eq!((id, file), (&bench.key.id(), &bench.path("own.pub")));
        assert_eq!(*comment, format!("platctl bundle, environment prod, index {}", bundle.index_digest()));
        assert!(bundle.verify(&|_| {}).unwrap().damaged.is_empty());
    }
    let unchecked = bench.open(&bench.bytes(), &[]).unwrap();
    assert_eq!(*unchecked.signed(), Signed::Unchecked { present: true });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_changes_neither_the_index_nor_from_run_to_run() {
    let bench = Bench::new().await;
    let plain = Rig::plain();
    let written = plain.write().await.unwrap();
    let signed = bench.open(&bench.bytes(), &["own.pub"]).unwrap();
    assert_eq!(signed.index_digest(), written.index_digest);
    assert_eq!(bench.with_signature(None), std::fs::read(plain.output()).unwrap());
    assert_eq!(bench.bytes(), Bench::new().await.bytes());
    assert_eq!(std::fs::read(bench.path("platform.tar.index.json")).unwrap(), signed.index());
    lay_beside(&plain.layout().await, &bench.rig.output()).unwrap();
    assert!(!bench.path("platform.tar.index.json.minisig").exists() && !bench.path("platform.tar.index.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_signatures_are_refused() {
    let bench = Bench::new().await;
    bench.stranger("other.pub", false);
    bench.stranger("twin.pub", true);
    let (_, good) = bench.signature();
    let lines: Vec<&str> = good.lines().collect();
    let with = |at: usize, line: &str| {
        let mut lines = lines.clone();
        lines[at] = line;
        bench.with_signature(Some(&(lines.join("\n") + "\n")))
    };
    let own = ["own.pub"];
    assert!(matches!(bench.refused(&bench.with_signature(None), &own), TrustError::Unsigned { .. }));
    assert!(matches!(bench.refused(&bench.bytes(), &["other.pub"]), TrustError::Unknown { .. }));
    assert!(matches!(bench.refused(&bench.bytes(), &["twin.pub"]), TrustError::Altered { .. }));
    let forged = with(2, &lines[2].replace("prod", "test"));
    assert!(matches!(bench.refused(&forged, &own), TrustError::Altered { .. }));
    for (bytes, problem) in [
        (bench.with_signature(Some("")), "can't be read"),
        (bench.with_signature(Some("\u{0}\n\n\n\n")), "can't be read"),
        (with(1, "RWQ="), "can't be read"),
        (with(2, "trusted comment:x"), "can't be read"),
        (with(3, "AAAA"), "can't be read"),
        (with(1, &lines[1].replacen("RUQ", "RWQ", 1)), "old kind"),
    ] {
        let error = bench.refused(&bytes, &own).to_string();
        assert!(error.contains(problem), "{error}");
    }
    let long = bench.with_signature(Some(&format!("{good}{}", "x".repeat(5000))));
    assert!(matches!(bench.open(&long, &own), Err(Error::NoBundle { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_index_with_a_good_old_signature_is_refused() {
    let bench = Bench::new().await;
    let (end, _) = bench.signature();
    let index = std::fs::read(bench.path("platform.tar.index.json")).unwrap();
    let start = end - index.len().next_multiple_of(512);
    for at in (start..start + index.len()).step_by(97) {
        let mut bytes = bench.bytes();
        bytes[at] ^= 1;
        assert!(matches!(bench.refused(&bytes, &["own.pub"]), TrustError::Altered { .. }), "{at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_anywhere_else_is_no_entry_of_a_bundle() {
    let bench = Bench::new().await;
    let (at, text) = bench.signature();
    let entry = bench.bytes()[at..at + 512 + text.len().next_multiple_of(512)].to_vec();
    let mut twice = bench.bytes();
    twice.splice(at..at, entry.clone());
    assert!(matches!(bench.open(&twice, &["own.pub"]), Err(Error::Trailing { .. })));
    let mut late = bench.with_signature(None);
    let end = late.len() - 1024;
    late.splice(end..end, entry);
    assert!(matches!(bench.refused(&late, &["own.pub"]), TrustError::Unsigned { .. }));
    assert!(bench.open(&late, &[]).is_err());
}

#[test]
fn keys_that_can_not_be_read_are_no_reason_to_check_less() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("trust.d");
    let read = || Trust::read(&[], std::slice::from_ref(&folder));
    assert!(read().is_ok(), "no folder");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("README"), "not a key").unwrap();
    assert!(read().is_ok());
    for bytes in [b"".as_slice(), b"untrusted comment: x\nRWQ\n", b"\xff\xfe\n\n"] {
        std::fs::write(folder.join("a.pub"), bytes).unwrap();
        assert!(matches!(read().unwrap_err(), TrustError::NoKey { .. }));
    }
    std::fs::remove_file(folder.join("a.pub")).unwrap();
    std::fs::create_dir(folder.join("b.pub")).unwrap();
    assert!(matches!(read().unwrap_err(), TrustError::File(_)));
    assert!(matches!(Trust::read(&[dir.path().join("none.pub")], &[]).unwrap_err(), TrustError::File(_)));
}
