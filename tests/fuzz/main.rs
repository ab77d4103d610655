//! Everything that reads what others wrote, given what nobody would write: a short run of each in the tests, always the
//! same; a long one with `PLATCTL_FUZZ=RUNS`, from another seed with `PLATCTL_FUZZ_SEED=N`.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stderr)]

mod corpus;
mod mutate;
#[path = "../support/mod.rs"]
mod support;
mod targets;

use mutate::Dice;
use support::forged::{Forged, put};
use support::keys;

/// Runs of each target in the tests.
const RUNS: usize = 1500;

/// Runs a target on inputs that `make` makes; says how many there were, and how many were taken as good.
fn runs(name: &str, mut make: impl FnMut(&mut Dice) -> Vec<u8>, target: impl Fn(&[u8]) -> bool) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let runs = number("PLATCTL_FUZZ").map_or(RUNS, |runs| runs as usize);
    let seed = number("PLATCTL_FUZZ_SEED").unwrap_or(1) << 32;
    let mut taken = 0;
    for run in 0..runs {
        let input = make(&mut Dice(seed + run as u64));
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| target(&input))) {
            Ok(good) => taken += usize::from(good),
            Err(panic) => {
                let kept = std::env::temp_dir().join(format!("platctl-fuzz-{name}-{run}"));
                std::fs::write(&kept, &input).unwrap();
                eprintln!("run {run} of {name} failed; its input is in {}", kept.display());
                std::panic::resume_unwind(panic);
            }
        }
    }
    eprintln!("fuzz: {name}: {runs} runs, {taken} taken");
    assert!(runs < 1000 || (taken > 0 && taken < runs), "inputs are neither all good nor all bad: {taken} of {runs}");
}

/// A change of one of these.
fn changed(corpus: Vec<Vec<u8>>) -> impl FnMut(&mut Dice) -> Vec<u8> {
    move |dice| {
        let mut bytes = dice.one_of(&corpus).clone();
        dice.change(&mut bytes, &corpus);
        bytes
    }
}

#[test]
fn bundle_bytes() {
    runs("bundle bytes", changed(vec![corpus::bundle().bytes()]), targets::bundle);
}

/// A blob or the index is changed, and everything above it is right about that: what is reached is behind all digests.
#[test]
fn bundle_documents() {
    let good = corpus::bundle();
    let texts: Vec<Vec<u8>> = good.blobs.values().cloned().chain([good.index.to_string().into_bytes()]).collect();
    let names: Vec<String> = good.blobs.keys().cloned().collect();
    let make = |dice: &mut Dice| {
        let mut forged: Forged = good.clone();
        if dice.below(2) == 0 {
            let mut text = good.index.to_string().into_bytes();
            dice.change(&mut text, &texts);
            // What is no JSON goes in as it is.
            return match serde_json::from_slice::<serde_json::Value>(&text) {
                Ok(index) if index.is_object() => {
                    forged.index = index;
                    if !forged.index["annotations"].is_object() {
                        forged.index["annotations"] = serde_json::json!({});
                    }
                    forged.bytes()
                }
                _ => forged.bytes_with(|index| *index = text),
            };
        }
        let name = dice.one_of(&names);
        let mut bytes = good.blobs[name].clone();
        dice.change(&mut bytes, &texts);
        forged.replace(name, bytes);
        forged.bytes()
    };
    runs("bundle documents", make, targets::bundle);
}

#[test]
fn definition() {
    runs("definition", changed(vec![corpus::definition()]), targets::definition);
}

#[test]
fn chart() {
    let tar = corpus::chart_tar();
    let make = |dice: &mut Dice| {
        let mut bytes = tar.clone();
        dice.change(&mut bytes, std::slice::from_ref(&tar));
        let mut packed = corpus::packed(&bytes);
        if dice.below(4) == 0 {
            dice.change(&mut packed, &[bytes]);
        }
        packed
    };
    runs("chart", make, targets::chart);
}

#[test]
fn reference() {
    let all = corpus::REFERENCES.map(|text| text.as_bytes().to_vec()).to_vec();
    runs("reference", changed(all), targets::reference);
}

#[test]
fn keys() {
    let all = [keys::KEY, keys::PUBLIC, keys::LOCKED, keys::STRANGER].map(|text| text.as_bytes().to_vec()).to_vec();
    runs("keys", changed(all), targets::key);
}

/// Whatever stands in the signature's place, only the signature is one.
#[test]
fn signature() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("own.pub"), keys::PUBLIC).unwrap();
    let good = corpus::bundle().bytes();
    let front = corpus::bundle().front();
    let size =
        usize::from_str_radix(std::str::from_utf8(&good[front.len() + 124..front.len() + 135]).unwrap(), 8).unwrap();
    let index = good[front.len() + 512..][..size].to_vec();
    let end = front.len() + 512 + size.next_multiple_of(512);
    let signature = corpus::signature(&index, folder.path());
    let signed = |text: &[u8]| {
        let mut bytes = good.clone();
        let mut entry = Vec::new();
        put(&mut entry, "index.json.minisig", text);
        bytes.splice(end..end, entry);
        bytes
    };
    let lines = |text: &[u8]| -> Vec<Vec<u8>> {
        text.split(|byte| *byte == b'\n').skip(1).take(3).map(|line| line.trim_ascii_end().to_vec()).collect()
    };
    let key = folder.path().join("own.pub");
    assert!(targets::signature(&signed(&signature), &key));
    let target = |text: &[u8]| {
        let taken = targets::signature(&signed(text), &key);
        // The first line is a comment that nobody vouches for; what follows the fourth is not looked at.
        assert!(!taken || lines(text) == lines(&signature), "{}", String::from_utf8_lossy(text));
        taken
    };
    runs("signature", changed(vec![signature.clone()]), target);
}
