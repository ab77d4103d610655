//! What others say of what platctl writes and refuses: the stock minisign of its signatures, helm of charts.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::platform::Small;
use crate::rig::{bin, rig};
use crate::support::BundleFile;
use crate::support::forged::put;

const PASSWORD: &str = "correct horse battery staple";

/// The minisign of the machine; the rig's where there is none.
fn minisign() -> PathBuf {
    let own = Command::new("minisign").arg("-v").output().is_ok();
    let program = if own { PathBuf::from("minisign") } else { bin().join("minisign") };
    eprintln!("signatures are checked by {}", if own { "the machine's minisign" } else { "the rig's minisign (Go)" });
    program
}

/// Runs a command in a folder, with something typed; whether it went well, and what it printed.
fn run(folder: &Path, program: &Path, args: &[&str], typed: &str) -> (bool, String) {
    let mut command = Command::new(program);
    command.current_dir(folder).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn the_stock_minisign_checks_a_bundle() {
    let minisign = minisign();
    let small = Small::new("signed").release("one", "app", "").locked();
    let folder = small.folder().to_owned();
    let stock = |args: &[&str], typed: &str| run(&folder, &minisign, args, typed);
    // One key with a password, at minisign's own costs, and one without.
    let twice = format!("{PASSWORD}\n{PASSWORD}\n");
    for (key, args, typed) in [("locked", &["-G"][..], twice.as_str()), ("plain", &["-G", "-W"], "")] {
        let (secret, public) = (format!("{key}.sec"), format!("{key}.pub"));
        let made = stock(&[args, &["-s", &secret, "-p", &public]].concat(), typed);
        assert!(made.0, "{}", made.1);
        let program = small.platctl().env("PLATCTL_SIGN_PASSWORD", PASSWORD);
        let sign = ["bundle", "-e", "site", "-o", "../platform.tar", "--sign"];
        program.args(sign).args([format!("../{secret}")]).run().ok();
        // Before anything of the bundle is run, by the commands of docs/reference.md.
        let checked = stock(&["-Vm", "platform.tar.index.json", "-p", &public], "");
        assert!(checked.0 && checked.1.contains("environment site"), "{}", checked.1);
        let text = format!(
            "set -eu; tar --occurrence=1 -xf platform.tar platctl
             grep -qF '\"dev.platctl.file\":\"sha256:'\"$(sha256sum platctl | cut -d' ' -f1)\" platform.tar.index.json
             ./platctl inspect --verify --trust-key {public} platform.tar"
        );
        let (good, said) = run(&folder, Path::new("bash"), &["-c", &text], "");
        assert!(good && said.contains("Signature    good, by key") && said.contains("Verified"), "{said}");
    }
    let other = stock(&["-Vm", "platform.tar.index.json", "-p", "locked.pub"], "");
    assert!(!other.0, "{}", other.1);
    // What platctl says is good is what minisign says is good, and the other way round.
    let (good, said) =
        stock(&["-Sm", "platform.tar.index.json", "-s", "plain.sec", "-x", "stock.minisig", "-t", "by hand"], "");
    assert!(good, "{said}");
    signed_by(&folder, &fs::read(folder.join("stock.minisig")).unwrap());
    let by_hand = small.run(&["inspect", "../stock.tar", "--trust-key", "../plain.pub", "-o", "json"]).ok();
    assert!(by_hand.stdout.contains("\"comment\": \"by hand\""), "{}", by_hand.screen());
    let mut index = fs::read(folder.join("platform.tar.index.json")).unwrap();
    index[10] ^= 1;
    fs::write(folder.join("platform.tar.index.json"), index).unwrap();
    let altered = stock(&["-Vm", "platform.tar.index.json", "-p", "plain.pub"], "");
    assert!(!altered.0, "{}", altered.1);
}

/// The bundle with another signature: `stock.tar`.
fn signed_by(folder: &Path, signature: &[u8]) {
    let file = BundleFile::open(&folder.join("platform.tar"));
    let old = file.entry("index.json.minisig").bytes.clone();
    let mut bytes = fs::read(folder.join("platform.tar")).unwrap();
    let mut entry = Vec::new();
    put(&mut entry, "index.json.minisig", signature);
    bytes.splice(old.start as usize - 512..(old.end as usize).next_multiple_of(512), entry);
    fs::write(folder.join("stock.tar"), bytes).unwrap();
}

/// The words of helm where it refuses an archive, none where it takes it.
fn helm_says(path: &Path) -> Option<String> {
    let said = rig().tool("helm", &["show", "chart", path.to_str().unwrap()]);
    said.err().map(|words| words.trim().trim_start_matches("Error: ").to_owned())
}

#[test]
fn charts_are_refused_as_helm_refuses_them() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("chart.tgz");
    let mib = vec![b' '; 1 << 20];
    let chart = ("x/Chart.yaml", b"apiVersion: v2\nname: x\nversion: 0.1.0\n".as_slice());
    let large: Vec<(String, &[u8])> = (0..100).map(|n| (format!("x/{n}"), mib.as_slice())).collect();
    let just = (1 << 20) - chart.1.len() - 1;
    let almost: Vec<(String, &[u8])> =
        (0..100).map(|n| (format!("x/{n}"), if n == 0 { &mib[..just] } else { mib.as_slice() })).collect();
    let exactly: Vec<(String, &[u8])> =
        (0..100).map(|n| (format!("x/{n}"), if n == 0 { &mib[..just + 1] } else { mib.as_slice() })).collect();
    let one = |name: &str| vec![(name.to_owned(), b"x".as_slice())];
    let twenty = vec![b' '; 20 << 20];
    let mut refused = 0;
    for (case, more) in [
        ("nothing else", vec![]),
        ("an absolute path", one("x//etc/passwd")),
        ("an absolute name", one("/etc/passwd")),
        ("a path that goes up", one("x/../../b")),
        ("a path that goes up and back", one("x/a/../b")),
        ("a path that goes up on Windows", one("x\\..\\b")),
        ("a path that begins with two dots", one("x/..b")),
        ("a drive", one("x/c:/b")),
        ("a file outside", one("b")),
        ("the folder itself", one("x/.")),
        ("a folder that is a file", one("Chart.yaml/b")),
        ("a file of 20 MiB", vec![("x/large".to_owned(), twenty.as_slice())]),
        ("100 MiB and more", large),
        ("a byte less than 100 MiB", almost),
        ("100 MiB", exactly),
    ] {
        let mut tar = Vec::new();
        put(&mut tar, chart.0, chart.1);
        more.iter().for_each(|(name, bytes)| put(&mut tar, name, bytes));
        tar.extend([0; 1024]);
        let mut gz = flate2::write::GzEncoder::new(fs::File::create(&path).unwrap(), flate2::Compression::fast());
        gz.write_all(&tar).unwrap();
        gz.finish().unwrap();
        let own = platctl::definition::chart_yaml(&path).err().map(|error| error.to_string());
        let helm = helm_says(&path);
        assert_eq!(own.is_some(), helm.is_some(), "{case}: platctl: {own:?}, helm: {helm:?}");
        if let (Some(own), Some(helm)) = (own, helm) {
            assert!(helm.contains(&own), "{case}: platctl: {own}; helm: {helm}");
            refused += 1;
        }
    }
    assert_eq!(refused, 10);
}
