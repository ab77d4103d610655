//! `push` into a real registry: nothing is sent twice, killed runs are finished by the next, and a registry that is full
//! or read-only is told of.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::platform::Small;
use crate::rig::{bin, rig};
use crate::site_process::SiteProcess;
use crate::support::upstream::{Image, Settings, Size, Upstream};
use crate::support::{BundleFile, Output, put, static_executable};

const FILE: &str = "environments/site/environment.yaml";
/// Where the registry is, in a bundle; each test has its own there, by an address that it writes into the definition.
const NOWHERE: &str = "127.0.0.1:9";

/// A small platform with images of some size.
pub struct Cargo {
    pub small: Small,
    upstream: Upstream,
}

impl Cargo {
    /// With images `registry.example.org/e2e/NAME:TAG`, and the one of the chart.
    pub fn new(name: &'static str, sizes: &[u64], images: &[&str]) -> Cargo {
        let list: Vec<String> = images.iter().map(|image| format!("registry.example.org/e2e/{image}")).collect();
        let small = Small::new(name).release("one", "app", &format!("images: {{extra: [{}]}}\n", quoted(&list)));
        let own = |image: &str| Image {
            reference: format!("registry.example.org/e2e/{image}"),
            layers: sizes.iter().map(|size| Size(*size)).collect(),
            platforms: vec!["linux/amd64".to_owned()],
            ..Image::default()
        };
        let names: BTreeSet<&str> = images.iter().map(|image| image.split(':').next().unwrap()).collect();
        let tools = [("helm", "4.3.1"), ("kubectl", "1.34.4"), ("sops", "3.13.3")]
            .map(|(t, v)| (t.to_owned(), v.to_owned()))
            .into();
        let settings = Settings { images: names.into_iter().map(own).collect(), tools, ..Settings::default() };
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("upstream");
        let upstream = Upstream::with(settings, Some(bin()), &cache).unwrap();
        static_executable(&small.folder().join("carried"));
        small.edit(FILE, &rig().registry, NOWHERE);
        small.edit(FILE, "timeouts: {", "timeouts: {request: 5s, ");
        Cargo { small, upstream }
    }

    /// Locks, and bundles into a file beside the platform.
    pub fn bundle(&self, file: &str) -> PathBuf {
        let online = |args: &[&str]| {
            let mirror = format!("*={}", self.upstream.url());
            self.small.platctl().env("PLATCTL_MIRROR", mirror).args(args).run().ok()
        };
        online(&["lock"]);
        let path = self.small.folder().join(file);
        online(&["bundle", "-e", "site", "--platctl", "../carried", "-o", path.to_str().unwrap()]);
        path
    }

    /// The definition's own folder, with the address of a registry.
    pub fn at(&self, address: &str, args: &[&str]) -> crate::support::Platctl {
        let place = self.small.folder().join(format!("at-{}", address.replace(':', "-")));
        if !place.exists() {
            crate::support::copy_folder(&self.small.path(""), &place);
            let text = crate::support::read(&place.join(FILE)).replace(NOWHERE, address);
            put(&place.join(FILE), text);
        }
        self.small
            .platctl()
            .folder(&place)
            .env("PLATCTL_MIRROR", "*=http://127.0.0.1:9")
            .args(args)
            .args(["-e", "site"])
    }

    pub fn push(&self, address: &str, bundle: &Path) -> Output {
        self.at(address, &["push", bundle.to_str().unwrap()]).run()
    }
}

fn quoted(list: &[String]) -> String {
    list.iter().map(|image| format!("\"{image}\"")).collect::<Vec<_>>().join(", ")
}

/// The digests of a bundle's blobs.
fn blobs(bundle: &Path) -> BTreeSet<String> {
    let names = BundleFile::open(bundle).entries.into_iter().map(|entry| entry.name);
    names.filter_map(|name| Some(name.strip_prefix("blobs/sha256/")?.to_owned())).collect()
}

#[test]
fn a_second_push_sends_only_what_is_new() {
    let cargo = Cargo::new("moves", &[300_000, 200_000], &["a:1", "b:1", "c:1"]);
    let first = cargo.bundle("first.tar");
    cargo.small.edit("templates/one/app/release.yaml", "e2e/b:1", "e2e/b:2");
    let second = cargo.bundle("second.tar");
    let place = TempDir::new().unwrap();
    let registry = SiteProcess::start(place.path(), "", "");
    let sent = || -> BTreeSet<String> {
        let puts =
            registry.answered(201).into_iter().filter(|r| r.starts_with("PUT ") && r.contains("/blobs/uploads/"));
        puts.map(|r| r.split("digest=sha256%3A").nth(1).unwrap()[..64].to_owned()).collect()
    };
    cargo.push(&registry.address, &first).ok();
    let after_first = sent();
    assert!(after_first.len() > 10, "{after_first:?}");
    cargo.push(&registry.address, &second).ok();
    let new: BTreeSet<String> = sent().difference(&after_first).cloned().collect();
    let (first, second_has) = (blobs(&first), blobs(&second));
    let changed: BTreeSet<&String> = second_has.difference(&first).collect();
    assert_eq!(new.len(), 3, "two layers and the configuration of the one image that changed");
    assert!(new.iter().all(|digest| changed.contains(digest)));
    let puts = registry.answered(201).iter().filter(|r| r.starts_with("PUT ") && r.contains("/blobs/")).count();
    assert_eq!(puts, after_first.len() + 3, "and nothing was sent twice");
    cargo.push(&registry.address, &second).ok();
    assert_eq!(sent().len(), after_first.len() + 3);
}

/// A way to the registry that breaks once, when so many bytes have gone there.
struct Way {
    address: String,
    /// Bytes that went there, over all connections.
    gone: Arc<AtomicUsize>,
}

impl Way {
    fn to(registry: &str, breaks_after: usize) -> Way {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (gone, broken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (there, counted) = (registry.to_owned(), gone.clone());
        std::thread::spawn(move || {
            for here in listener.incoming().flatten() {
                let there = TcpStream::connect(&there).unwrap();
                let (mut back, mut answers) = (here.try_clone().unwrap(), there.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut answers, &mut back);
                    let _ = back.shutdown(Shutdown::Both);
                });
                let (counted, broken) = (counted.clone(), broken.clone());
                std::thread::spawn(move || carry(here, there, &counted, &broken, breaks_after));
            }
        });
        Way { address, gone }
    }
}

fn carry(mut here: TcpStream, mut there: TcpStream, gone: &AtomicUsize, broken: &AtomicBool, breaks_after: usize) {
    let mut part = vec![0; 64 << 10];
    while let Ok(n @ 1..) = here.read(&mut part) {
        if there.write_all(&part[..n]).is_err() {
            break;
        }
        if gone.fetch_add(n, Ordering::Relaxed) + n > breaks_after && !broken.swap(true, Ordering::Relaxed) {
            break;
        }
    }
    let _ = (here.shutdown(Shutdown::Both), there.shutdown(Shutdown::Both));
}

#[test]
fn a_large_layer_goes_on_where_the_connection_broke() {
    const LARGE: usize = 60 << 20;
    let cargo = Cargo::new("goeson", &[LARGE as u64], &["a:1"]);
    // One at a time, so that what breaks is the large one, which comes first.
    cargo.small.edit(FILE, "timeouts: {", "concurrency: {uploads: 1}\ntimeouts: {");
    let bundle = cargo.bundle("platform.tar");
    let (place, plain) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let registry = SiteProcess::start(place.path(), "", "");
    let way = Way::to(&registry.address, 45 << 20);
    cargo.push(&way.address, &bundle).ok();
    let asked =
        registry.answered(204).iter().filter(|r| r.starts_with("GET ") && r.contains("/blobs/uploads/")).count();
    assert_eq!(asked, 1, "it was asked what it has: {}", registry.log());
    let gone = way.gone.load(Ordering::Relaxed);
    assert!(gone < LARGE + (12 << 20), "{gone} bytes went there for {LARGE}");
    let undisturbed = SiteProcess::start(plain.path(), "", "");
    cargo.push(&undisturbed.address, &bundle).ok();
    assert!(registry.contents() == undisturbed.contents());
}

/// A number that is another one each time, and the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: Duration) -> Duration {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let fraction = (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1u64 << 53) as f64;
        limit.mul_f64(fraction)
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// `PLATCTL_TEST_KILLS` and `PLATCTL_TEST_SEED` make more of it, or the same again.
#[test]
fn a_killed_push_is_finished_by_the_next() {
    let cargo = Cargo::new("killed", &[20 << 20, 9 << 20, 100_000], &["a:1", "b:1", "c:1", "d:1"]);
    let bundle = cargo.bundle("platform.tar");
    let undisturbed = TempDir::new().unwrap();
    let registry = SiteProcess::start(undisturbed.path(), "", "");
    let begun = Instant::now();
    cargo.push(&registry.address, &bundle).ok();
    let (whole, took) = (registry.contents(), begun.elapsed());
    let tag = |inside: &str| inside.contains("/_manifests/tags/") && inside.ends_with("/current/link");
    assert_eq!(whole.keys().filter(|inside| tag(inside)).count(), 5);
    let kills = number("PLATCTL_TEST_KILLS").unwrap_or(10);
    let seed = number("PLATCTL_TEST_SEED").unwrap_or_else(|| u64::from(std::process::id()) | 1);
    let (mut dice, mut longest, mut round, mut late) = (Dice(seed), took, 1, 0);
    while round <= kills {
        let place = TempDir::new().unwrap();
        let registry = SiteProcess::start(place.path(), "", "");
        let moment = dice.below(longest);
        let told = format!("kill {round} of {kills} after {moment:?} of {took:?}, PLATCTL_TEST_SEED={seed}");
        let mut running = cargo.at(&registry.address, &["push", bundle.to_str().unwrap()]).start(place.path());
        std::thread::sleep(moment);
        if running.ended() {
            // Nothing was killed. It is faster than it was.
            (longest, late) = (moment, late + 1);
            assert!(late < 20, "{told}: it is always over by then");
            continue;
        }
        running.signal(Signal::KILL);
        drop(running);
        for (inside, is) in &registry.contents() {
            assert!(whole.get(inside) == Some(is), "{told}: {inside} is {is}");
        }
        let finished = cargo.push(&registry.address, &bundle);
        assert_eq!(finished.code, 0, "{told}: {}", finished.screen());
        assert!(registry.contents() == whole, "{told}: the registry holds something else");
        round += 1;
    }
    let _ = writeln!(std::io::stderr(), "{kills} kills at work within {longest:?}, PLATCTL_TEST_SEED={seed}");
}

#[test]
fn a_registry_without_room_is_told() {
    let cargo = Cargo::new("full", &[6 << 20], &["a:1"]);
    let bundle = cargo.bundle("platform.tar");
    let place = TempDir::new().unwrap();
    // A file system of its own, with something on it that can be taken away.
    let words = "exec unshare --user --map-root-user --mount sh -c '
        mount -t tmpfs -o size=16m none \"$storage\" && head -c 13000000 /dev/zero >\"$storage/filler\" && exec \"$@\"' sh \"$@\"";
    let allowed = Command::new("unshare").args(["--user", "--map-root-user", "--mount", "true"]).status();
    if !allowed.is_ok_and(|status| status.success()) {
        let _ = writeln!(std::io::stderr(), "NOT TESTED: a full registry, because no namespaces are allowed here");
        return;
    }
    let registry = SiteProcess::after(words, place.path(), "", "");
    let output = cargo.push(&registry.address, &bundle).exits(1);
    assert!(output.stderr.contains("the registry has no room left"), "{}\n{}", output.screen(), registry.log());
    assert!(output.stderr.contains("no space left on device"), "its own words: {}", output.screen());
    assert!(output.stderr.contains("make room"), "{}", output.screen());
    let storage = place.path().join("storage");
    let inside = format!("/proc/{}/root{}", registry.pid(), storage.display());
    fs::remove_file(Path::new(&inside).join("filler")).unwrap();
    cargo.push(&registry.address, &bundle).ok();
}

#[test]
fn a_registry_that_is_read_only_is_told_before_anything_is_sent() {
    let cargo = Cargo::new("fixed", &[100_000], &["a:1"]);
    let bundle = cargo.bundle("platform.tar");
    let place = TempDir::new().unwrap();
    let registry = SiteProcess::start(place.path(), "  maintenance: {readonly: {enabled: true}}\n", "");
    let output = cargo.push(&registry.address, &bundle).exits(4);
    assert!(output.stderr.contains("it is read-only, or a cache"), "{}", output.screen());
    assert!(output.stderr.contains("nothing was sent yet"), "{}", output.screen());
    assert!(registry.contents().is_empty());
}
