//! `bundle`, killed at any moment: the next run finishes with the same bytes and fetches what is missing, no more.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::Signal;

use crate::shop::Shop;
use crate::support::program::until;
use crate::support::upstream::{Fault, Image, Settings, Size};
use crate::support::{BundleFile, Running};

const BLOBS: &str = "/blobs/";
/// The last bytes of what a killed run wrote may be zeros, and are then fetched again.
const SLACK: u64 = 64 << 10;

/// How often it is killed: ten times in CI, as often as `PLATCTL_TEST_KILLS` says in `scripts/soak`.
fn rounds() -> u64 {
    number("PLATCTL_TEST_KILLS").unwrap_or(10)
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Moments that are the same again for the same seed, which is printed.
struct Moments(u64);

impl Moments {
    fn new() -> Moments {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seed = number("PLATCTL_TEST_SEED").unwrap_or(now.as_millis() as u64);
        eprintln!("moments of PLATCTL_TEST_SEED={seed}");
        Moments(seed)
    }

    /// A number below another, by splitmix64.
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }
}

fn layers(settings: &mut Settings) {
    let reference = "registry.example.org/shop/store".to_owned();
    settings.images.retain(|image| image.reference != reference);
    let layers = vec![Size(9 << 20), Size(5 << 20), Size(3 << 20)];
    settings.images.push(Image { reference, layers, ..Image::default() });
}

fn started(shop: &Shop) -> Running {
    let args = ["bundle", "-e", "prod", "--platctl", "../platctl-to-carry", "-o", "../platform.tar"];
    shop.platctl().args(args).start(shop.path())
}

/// The bytes of blobs that a partial lacks, each from where it first differs from the whole.
fn missing(shop: &Shop, blobs: &[(u64, u64)]) -> u64 {
    let whole = File::open(shop.path().join("whole.tar")).unwrap();
    let Ok(partial) = File::open(shop.path().join("platform.tar.partial")) else {
        return blobs.iter().map(|(_, size)| size).sum();
    };
    blobs.iter().map(|(offset, size)| size - common(&whole, &partial, *offset, *size)).sum()
}

fn common(one: &File, other: &File, offset: u64, size: u64) -> u64 {
    let mut same = 0;
    while same < size {
        let step = (size - same).min(4096) as usize;
        let (mut a, mut b) = (vec![0; step], vec![0; step]);
        one.read_exact_at(&mut a, offset + same).unwrap();
        if other.read_exact_at(&mut b, offset + same).is_err() || a != b {
            return same + a.iter().zip(&b).take_while(|(a, b)| a == b).count() as u64;
        }
        same += step as u64;
    }
    same
}

/// Offset and size of every blob that comes from a registry.
fn blobs_of(shop: &Shop, file: &Path) -> Vec<(u64, u64)> {
    let fetched = shop.upstream.requests();
    let wanted = |name: &str| fetched.iter().any(|r| r.path.contains(BLOBS) && r.path.ends_with(&name[13..]));
    let entries = BundleFile::open(file).entries.into_iter().filter(|entry| entry.name.starts_with("blobs/"));
    let ours = entries.filter(|entry| wanted(&entry.name) && entry.bytes.end - entry.bytes.start > 4096);
    ours.map(|entry| (entry.bytes.start, entry.bytes.end - entry.bytes.start)).collect()
}

#[test]
fn kill_nine_at_any_moment() {
    let shop = Shop::with(layers);
    shop.run(&["lock"]).ok();
    shop.upstream.reset();
    shop.bundle("whole.tar").ok();
    let whole = fs::read(shop.path().join("whole.tar")).unwrap();
    let blobs = blobs_of(&shop, &shop.path().join("whole.tar"));
    let all: u64 = blobs.iter().map(|(_, size)| size).sum();
    assert!(all > 17 << 20, "{blobs:?}");
    let (mut moments, mut resumed) = (Moments::new(), 0);
    for round in 0..rounds() {
        let _ = fs::remove_file(shop.path().join("platform.tar"));
        shop.upstream.reset();
        shop.upstream.fault(Fault::slow("/shop/store/blobs/", 1));
        // Moments are spread over the download, not over time: they are there on a slow machine too.
        let after = moments.below(all);
        let mut running = started(&shop);
        until("it has fetched a part", || shop.upstream.bytes_of(BLOBS) >= after || running.ended());
        running.signal(Signal::KILL);
        let killed = running.wait();
        assert!(killed.code == 137 || killed.code == 0, "{}", killed.screen());
        assert!(killed.code == 0 || !shop.path().join("platform.tar").exists(), "half a bundle has the bundle's name");
        shop.upstream.clear_faults();
        shop.upstream.reset();
        let missing = if killed.code == 0 { all } else { missing(&shop, &blobs) };
        let output = shop.bundle("platform.tar").ok();
        let again = fs::read(shop.path().join("platform.tar")).unwrap();
        assert!(again == whole, "round {round}: other bytes after a kill at {after} of {all}");
        assert!(!shop.path().join("platform.tar.partial").exists());
        let fetched: u64 = shop.upstream.requests().iter().filter(|r| r.path.contains(BLOBS)).map(|r| r.bytes).sum();
        let small = all_of_the_small(&shop);
        let most = missing + small + SLACK * blobs.len() as u64;
        assert!(fetched <= most, "round {round}: fetched {fetched}, missing {missing} of {all}\n{}", output.screen());
        resumed += u64::from(missing < all);
    }
    assert!(resumed > 0, "no round left anything to go on with");
}

/// Configurations, which are read into memory before anything is written.
fn all_of_the_small(shop: &Shop) -> u64 {
    let all = shop.upstream.requests();
    all.iter().filter(|r| r.path.contains(BLOBS) && r.range.is_none() && r.bytes <= 4096).map(|r| r.bytes).sum()
}
