//! `push` into a registry that misbehaves: whatever happens, what is there in the end is what an undisturbed push
//! brings, and nothing else is ever tagged.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use crate::assert_screen;
use crate::shop::Shop;
use crate::support::bundle_file::Entry;
use crate::support::upstream::{Image, Settings, Size};
use crate::support::{BundleFile, Mishap, Output, SiteRegistry};

const REPOSITORY: &str = "mirror/registry.example.org/shop/store";
const LARGE: u64 = 6 << 20;

/// A bundle of prod, one of whose layers is large, and the site's registry.
struct Site {
    shop: Shop,
    registry: SiteRegistry,
    /// What an undisturbed push brings.
    whole: BTreeMap<String, String>,
}

fn large(settings: &mut Settings) {
    let reference = "registry.example.org/shop/store".to_owned();
    settings.images.retain(|image| image.reference != reference);
    settings.images.push(Image { reference, layers: vec![Size(LARGE), Size(5000)], ..Image::default() });
}

impl Site {
    fn new() -> Site {
        let registry = SiteRegistry::start();
        let shop = Shop::with(large);
        shop.edit("environments/prod/environment.yaml", "registry.site:5000", &registry.host);
        shop.add("environments/prod/environment.yaml", "timeouts: {request: 1s}\n");
        shop.run(&["lock"]).ok();
        shop.bundle("platform.tar").ok();
        let site = Site { shop, registry, whole: BTreeMap::new() };
        site.push().ok();
        let whole = site.registry.contents();
        site.registry.empty();
        Site { whole, ..site }
    }

    fn push(&self) -> Output {
        self.run(&["push", "../platform.tar"])
    }

    fn run(&self, args: &[&str]) -> Output {
        let site = self.shop.path().join("site");
        fs::create_dir_all(&site).unwrap();
        self.shop.platctl().folder(&site).env("PLATCTL_MIRROR", "*=http://127.0.0.1:9").args(args).run()
    }

    /// The address of the large layer, and its digest with the colon as a query has it.
    fn large(&self) -> (String, String) {
        let file = BundleFile::open(&self.shop.path().join("platform.tar"));
        let entry = file
            .entries
            .iter()
            .find(|entry| entry.bytes.end - entry.bytes.start >= LARGE && entry.name.starts_with("blobs/"));
        let hex = entry.unwrap().name.rsplit('/').next().unwrap().to_owned();
        (format!("{REPOSITORY}/blobs/sha256:{hex}"), format!("digest=sha256%3A{hex}"))
    }

    fn is_whole(&self) -> bool {
        self.registry.contents() == self.whole
    }

    fn no_tags(&self) {
        assert_eq!(self.registry.manifests(), Vec::<String>::new(), "nothing is tagged by a push that failed");
    }
}

#[test]
fn what_passes_is_overcome() {
    let site = Site::new();
    let (_, put) = site.large();
    let uploads = format!("POST /v2/{REPOSITORY}/blobs/uploads/");
    let manifest = format!("PUT /v2/{REPOSITORY}/manifests/");
    let mut tried = 0;
    for part in [&put, &uploads, &manifest] {
        for mishap in [
            Mishap::Status(503, "UNAVAILABLE", None),
            Mishap::Status(429, "TOOMANYREQUESTS", None),
            Mishap::Status(429, "TOOMANYREQUESTS", Some(0)),
            Mishap::Status(500, "UNKNOWN", None),
            Mishap::Status(408, "TIMEOUT", None),
            Mishap::Break(0),
            Mishap::Status(404, "BLOB_UPLOAD_UNKNOWN", None),
        ] {
            // Only an upload is forgotten.
            if matches!(mishap, Mishap::Status(404, ..)) && *part != put {
                continue;
            }
            site.registry.empty();
            site.registry.mishap(part, 2, mishap.clone());
            let output = site.push();
            assert!(output.code == 0 && site.is_whole(), "{mishap:?} at {part}: {}", output.screen());
            tried += 1;
        }
    }
    assert_eq!(tried, 19);
}

#[test]
fn what_broke_goes_on_inside_the_blob() {
    let site = Site::new();
    let (_, put) = site.large();
    // Oftener than there are tries, where each gets on; what a break lets through is not always the same.
    let often = Mishap::Break(1 << 20);
    for (mishap, times, least) in [(Mishap::Break(3 << 20), 1, 2), (Mishap::Stall(3 << 20), 1, 2), (often, 9, 4)] {
        site.registry.empty();
        site.registry.mishap(&put, times, mishap.clone());
        let output = site.push();
        assert!(output.code == 0 && site.is_whole(), "{mishap:?}: {}", output.screen());
        let puts = site.registry.count(&put);
        assert!(puts >= least && puts <= times + 1, "{mishap:?}: {puts}");
        let asks = |request: &&String| request.starts_with("GET ") && request.contains("/uploads/");
        let asked = site.registry.requests().iter().filter(asks).count();
        assert_eq!(asked, puts - 1, "{mishap:?}: each time it asks what is kept");
    }
}

#[test]
fn a_wait_that_is_asked_for_is_waited() {
    let site = Site::new();
    site.registry.mishap(&site.large().1, 1, Mishap::Status(429, "TOOMANYREQUESTS", Some(2)));
    let begun = Instant::now();
    site.push().ok();
    assert!(begun.elapsed() >= Duration::from_secs(2) && site.is_whole());
}

#[test]
fn a_slow_registry_is_not_given_up() {
    let site = Site::new();
    // Longer than it may be silent.
    site.registry.mishap(&site.large().1, 1, Mishap::Slow(Duration::from_millis(2)));
    let begun = Instant::now();
    site.push().ok();
    assert!(site.is_whole() && site.registry.count(&site.large().1) == 1, "{:?}", begun.elapsed());
}

#[test]
fn a_token_may_run_out_in_mid_blob() {
    let site = Site::new();
    let (_, put) = site.large();
    for after in [0, 1 << 20, 3 << 20, 5 << 20] {
        site.registry.empty();
        site.registry.want_tokens();
        site.registry.mishap(&put, 1, Mishap::Expire(after));
        let output = site.push();
        assert!(output.code == 0 && site.is_whole(), "after {after}: {}", output.screen());
        assert_eq!(site.registry.count(&put), 2);
    }
}

#[test]
fn what_stays_wrong_is_told_and_tags_nothing() {
    let site = Site::new();
    let (_, put) = site.large();
    for (name, part, mishap) in [
        ("stays_503", put.as_str(), Mishap::Status(503, "UNAVAILABLE", None)),
        ("stays_429", &put, Mishap::Status(429, "TOOMANYREQUESTS", Some(0))),
        ("stays_404", &put, Mishap::Status(404, "BLOB_UPLOAD_UNKNOWN", None)),
        ("stays_400", &put, Mishap::Status(400, "DIGEST_INVALID", None)),
        ("stays_401", &put, Mishap::Status(401, "UNAUTHORIZED", None)),
        ("stays_stalled", "POST /v2/mirror/registry.example.org/shop/store/", Mishap::Stall(0)),
        ("stays_broken", &put, Mishap::Break(70_000)),
    ] {
        site.registry.empty();
        site.registry.mishap(part, usize::MAX, mishap);
        let output = site.push().exits(1);
        site.no_tags();
        assert_screen!(site.shop.path(), name, counted(&output));
        site.registry.forget_mishaps();
        site.push().ok();
        assert!(site.is_whole(), "{name}: the next run brings everything");
    }
}

/// How far a broken connection got differs from run to run; a slow machine is told of progress.
fn counted(output: &Output) -> String {
    let screen = output.screen();
    let lines: Vec<&str> = screen.lines().filter(|line| !line.starts_with("   Pushing  ")).collect();
    let screen = lines.join("\n");
    let Some((head, tail)) = screen.split_once("broke after ") else { return screen };
    format!("{head}broke after [n]{}", tail.trim_start_matches(|c: char| c.is_ascii_digit()))
}

#[test]
fn wrong_answers_are_noticed() {
    let site = Site::new();
    let (blob, put) = site.large();
    // It says that it has taken the blob, and has not: it then refuses the manifest.
    site.registry.mishap(&put, 1, Mishap::Forget(201));
    assert_screen!(site.shop.path(), "forgot_a_blob", site.push().exits(1).screen());
    assert!(!site.registry.manifests().iter().any(|name| name.contains("shop/store/")));
    site.push().ok();
    assert!(site.is_whole());
    // The same of a manifest.
    site.registry.empty();
    site.registry.mishap(&format!("PUT /v2/{REPOSITORY}/manifests/1.0"), 1, Mishap::Forget(201));
    assert_screen!(site.shop.path(), "forgot_a_manifest", site.push().exits(1).screen());
    site.push().ok();
    assert!(site.is_whole());
    // An upload without an address; then one that says yes to every mount and has nothing.
    for (part, mishap, name) in [
        ("POST /v2/mirror/registry.example.org/shop/store/blobs/uploads/", Mishap::Forget(202), "upload_nowhere"),
        (put.as_str(), Mishap::Forget(302), "upload_elsewhere"),
        (blob.as_str(), Mishap::Forget(302), "redirect_nowhere"),
    ] {
        site.registry.empty();
        site.registry.mishap(part, usize::MAX, mishap);
        assert_screen!(site.shop.path(), name, site.push().exits(1).screen());
        site.no_tags();
    }
}

#[test]
fn every_repository_that_is_missing_is_told_at_once() {
    let site = Site::new();
    site.registry.refuse("POST /v2/mirror/registry.example.org/shop/store/", 404, "NAME_UNKNOWN");
    site.registry.refuse("POST /v2/mirror/registry.example.org/shop/web/", 403, "DENIED");
    site.registry.refuse("POST /v2/mirror/registry.example.org/shop/api/", 404, "NAME_UNKNOWN");
    assert_screen!(site.shop.path(), "missing_repositories", site.push().exits(4).screen());
    assert_eq!(site.registry.count("PUT "), 0, "nothing was sent");
    site.no_tags();
    site.registry.empty();
    site.registry.refuse("POST", 405, "UNSUPPORTED");
    let output = site.push().exits(4);
    assert!(output.stderr.contains("it is read-only") && output.stderr.contains("end its maintenance"));
}

#[test]
fn two_pushes_at_once_do_not_harm_each_other() {
    let site = Site::new();
    let (a, b) = std::thread::scope(|scope| {
        let other = scope.spawn(|| site.push());
        (site.push(), other.join().unwrap())
    });
    assert!(a.code == 0 && b.code == 0 && site.is_whole(), "{}{}", a.screen(), b.screen());
}

#[test]
fn what_would_be_pushed() {
    let site = Site::new();
    assert_screen!(site.shop.path(), "dry_run", site.run(&["push", "--dry-run", "../platform.tar"]).ok().screen());
    assert_eq!(site.registry.writes(), Vec::<String>::new());
    site.push().ok();
    let output = site.run(&["push", "--dry-run", "../platform.tar"]).ok();
    assert!(output.stderr.contains("6 images there already"), "{}", output.screen());
}

#[test]
fn an_altered_layer_is_never_there_whole() {
    let site = Site::new();
    let file = BundleFile::open(&site.shop.path().join("platform.tar"));
    let hex = |entry: &Entry| entry.name.strip_prefix("blobs/sha256/").map(str::to_owned);
    let is_layer = |entry: &&Entry| {
        let pushed = |hex: String| site.whole.keys().any(|path| path.contains("/blobs/") && path.ends_with(&hex));
        entry.bytes.end - entry.bytes.start >= 5000 && hex(entry).is_some_and(pushed)
    };
    let layers = file.entries.iter().filter(is_layer);
    let mut tried = 0;
    for entry in layers {
        site.registry.empty();
        file.altered(&entry.name, &site.shop.path().join("bad.tar"));
        let output = site.run(&["push", "../bad.tar"]).exits(4);
        assert!(output.stderr.contains(&entry.name), "{}", output.screen());
        site.no_tags();
        assert!(site.registry.contents().keys().all(|path| !path.contains(&hex(entry).unwrap())));
        for (path, digest) in site.registry.contents() {
            assert_eq!(site.whole.get(&path), Some(&digest), "what is there is good");
        }
        tried += 1;
    }
    assert_eq!(tried, 13, "every layer");
    site.push().ok();
    assert!(site.is_whole(), "a good copy of the bundle mends it");
}

#[test]
fn a_tag_that_was_moved_comes_back() {
    let site = Site::new();
    site.push().ok();
    // Somebody else's image under our tag: the manifest of another image of ours, which needs none of its blobs.
    let file = read_manifest(&site, "shop/web");
    site.registry.overwrite(&format!("{REPOSITORY}/manifests/1.0"), &file);
    let screen = site.push().ok().screen();
    assert_screen!(site.shop.path(), "moved", screen);
    assert!(site.is_whole());
}

fn read_manifest(site: &Site, part: &str) -> Vec<u8> {
    let file = BundleFile::open(&site.shop.path().join("platform.tar"));
    file.read(&file.manifest(part).0)
}
