//! Renders that are remembered: whole or not at all, by many processes at once, in bounds.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::tools::Interrupt;

fn key(text: &str) -> Key {
    Key(Digest::of(text))
}

fn cache() -> (tempfile::TempDir, Cache) {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path().join("renders"));
    (folder, cache)
}

fn set_age(path: &Path, seconds: u64) {
    let at = SystemTime::now() - Duration::from_secs(seconds);
    File::options().append(true).open(path).unwrap().set_modified(at).unwrap();
}

#[test]
fn what_was_put_comes_back_whole() {
    let (folder, cache) = cache();
    assert_eq!(cache.get(key("a")), None);
    for text in ["", "---\nkind: Pod\n", &"é\n".repeat(100_000)] {
        cache.put(key("a"), text);
        assert_eq!(cache.get(key("a")).as_deref(), Some(text));
    }
    let path = cache.path(key("a")).unwrap();
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    let renders = folder.path().join("renders");
    assert_eq!(fs::metadata(&renders).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::read_dir(&renders).unwrap().count(), 1);
}

#[test]
fn damage_anywhere_is_a_miss_and_is_mended_by_the_next_put() {
    let (_folder, cache) = cache();
    let text = "---\nkind: Pod\nmetadata: {name: p}\n";
    cache.put(key("a"), text);
    let path = cache.path(key("a")).unwrap();
    let good = fs::read(&path).unwrap();
    let mut bad: Vec<Vec<u8>> = (0..good.len()).map(|end| good[..end].to_vec()).collect();
    for at in 0..good.len() {
        let mut entry = good.clone();
        entry[at] ^= 1;
        bad.push(entry);
    }
    bad.extend([vec![0xff; 100], [good.clone(), b"more".to_vec()].concat(), Vec::new()]);
    for entry in bad {
        fs::write(&path, &entry).unwrap();
        assert_eq!(cache.get(key("a")), None, "{}", String::from_utf8_lossy(&entry));
        cache.put(key("a"), text);
        assert_eq!(cache.get(key("a")).as_deref(), Some(text));
    }
}

#[test]
fn no_disk_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for cache in [Cache::open(file.join("renders")), Cache::off(), Cache(Some(folder.path().join("gone")))] {
        cache.put(key("a"), "text");
        cache.prune();
        assert_eq!(cache.get(key("a")), None);
    }
}

#[test]
fn what_was_used_least_lately_goes_first() {
    let (_folder, cache) = cache();
    let text = "x".repeat(1000);
    for (name, age) in [("old", 5000), ("older", 6000), ("new", 100), ("ancient", 100_000)] {
        cache.put(key(name), &text);
        set_age(&cache.path(key(name)).unwrap(), age);
    }
    // It is the oldest but one, and then it is used.
    assert!(cache.get(key("older")).is_some());
    let [begun, left] =
        ["begun", "left"].map(|name| cache.path(key("a")).unwrap().with_file_name(format!(".new-{name}")));
    fs::write(&begun, &text).unwrap();
    fs::write(&left, &text).unwrap();
    set_age(&left, 7200);
    cache.prune_to(2500, Duration::from_secs(50_000));
    let kept = ["old", "older", "new", "ancient"].map(|name| cache.path(key(name)).unwrap().exists());
    assert_eq!(kept, [false, true, true, false]);
    assert!(begun.exists() && !left.exists(), "another process may be writing it");
}

/// Everything that decides a render is in its key, and two helms are never taken for one.
#[test]
fn whatever_differs_is_another_render() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("helm");
    fs::write(&program, "one").unwrap();
    let helm = |program: &Path| Helm {
        program: program.to_owned(),
        home: PathBuf::new(),
        plugins: PathBuf::new(),
        variables: Vec::new(),
        interrupt: Interrupt::pair().1,
        births: Default::default(),
    };
    let request = TemplateRequest {
        release: "a",
        namespace: "bc",
        chart: Path::new("/store/sha256-1"),
        values: b"{}",
        kube_version: "1.34.4",
        is_upgrade: false,
        api_versions: &[],
    };
    let offer = Digest::of("offer");
    let of = |request: &TemplateRequest<'_>| Key::of(&helm(&program), request, &offer).unwrap();
    let one = of(&request);
    assert_eq!(one, of(&request.clone()));
    let others = [
        TemplateRequest { release: "ab", namespace: "c", ..request.clone() },
        TemplateRequest { namespace: "x", ..request.clone() },
        TemplateRequest { chart: Path::new("/store/sha256-2"), ..request.clone() },
        TemplateRequest { values: b"{ }", ..request.clone() },
        TemplateRequest { kube_version: "1.34.5", ..request.clone() },
        TemplateRequest { is_upgrade: true, ..request.clone() },
    ];
    let mut keys: Vec<Digest> = others.iter().map(|request| of(request).0).collect();
    keys.push(Key::of(&helm(&program), &request, &Digest::of("more")).unwrap().0);
    fs::write(&program, "another").unwrap();
    keys.push(of(&request).0);
    keys.push(one.0);
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), others.len() + 3);
    let elsewhere = TemplateRequest { chart: Path::new("/home/chart.tgz"), ..request.clone() };
    assert_eq!(Key::of(&helm(&program), &elsewhere, &offer), None, "what may change under its name is not remembered");
    assert_eq!(Key::of(&helm(Path::new("/nowhere/helm")), &request, &offer), None);
}

/// The name of the folder, when this test's own executable runs again as one of many.
const FOLDER: &str = "PLATCTL_TEST_RENDERS";

/// Many processes put, get and prune the same few entries; nobody ever gets a wrong one.
#[test]
#[allow(clippy::disallowed_methods)]
fn many_processes_at_once() {
    let text = |n: usize| format!("{n}\n").repeat(1 + n * 3000);
    if let Ok(folder) = std::env::var(FOLDER) {
        let cache = Cache::open(folder.into());
        for round in 0..300 {
            let n = (round * 7 + std::process::id() as usize) % 8;
            match round % 5 {
                0 | 1 => cache.put(key(&n.to_string()), &text(n)),
                4 => cache.prune_to(60_000, OLDEST),
                _ => {
                    let got = cache.get(key(&n.to_string()));
                    assert!(got.is_none_or(|got| got == text(n)), "{n}");
                }
            }
        }
        return;
    }
    let (folder, cache) = cache();
    let name = "render::cache::tests::many_processes_at_once";
    let start = || {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", name]).env(FOLDER, folder.path().join("renders"));
        command.stdout(std::process::Stdio::null()).spawn().unwrap()
    };
    let children: Vec<_> = (0..6).map(|_| start()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    cache.prune_to(60_000, OLDEST);
    assert!(cache.entries().iter().map(|entry| entry.size).sum::<u64>() <= 60_000);
    assert!(cache.entries().iter().all(|entry| !entry.path.to_string_lossy().contains(BEGUN)), "nothing is left over");
}
