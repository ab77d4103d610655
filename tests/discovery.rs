//! Whole objects in the shapes that real charts have (`tests/fixtures/objects`): what is found in them, how surely, and
//! nothing else. Then all of it is rewritten, and nothing is found outside the site's registry.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use platctl::digest::Digest;
use platctl::image::Reference;
use platctl::object::Stream;
use platctl::render::{Confidence, Finding, Found, Known, Rewriting, discover};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/objects");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn read(file: &Path) -> Stream {
    Stream::parse(fs::read_to_string(file).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

fn named(finding: &Finding) -> String {
    match &finding.image {
        Found::Image(image) => image.to_string(),
        Found::Computed(images) => format!("{images:?}"),
        Found::Invalid(reason) => format!("({reason}: {})", finding.text),
    }
}

#[test]
fn everything_is_found_and_nothing_else() {
    let mut report = String::new();
    for file in files() {
        writeln!(report, "{}", file.file_name().unwrap().to_string_lossy()).unwrap();
        for finding in discover(&read(&file), Known::default()) {
            let sure = finding.confidence.word();
            writeln!(report, "  {sure:8}  {}\n            {}, {}", named(&finding), finding.title, finding.path)
                .unwrap();
        }
    }
    insta::assert_snapshot!(report);
}

#[test]
fn rewritten_they_show_nothing_outside_the_site() {
    let mut places = 0;
    for file in files() {
        let stream = read(&file);
        let findings = discover(&stream, Known::default());
        let certain = findings.iter().filter(|finding| finding.confidence == Confidence::Certain);
        let pinned = certain.filter_map(Finding::image).filter(|image| !image.floats());
        let asked =
            findings.iter().filter(|f| f.confidence == Confidence::Probable || f.image().is_none_or(Reference::floats));
        let rewriting = Rewriting {
            release: "p".into(),
            registry: Some(("site.example:5000".into(), "mirror".into())),
            images: pinned.map(|image| (image.to_string(), Digest::of(image.to_string()))).collect(),
            ignored: asked.map(|finding| (finding.text.clone(), "decided".into())).collect(),
            // What the fixtures' commands fetch is for other tests.
            exceptions: Vec::new(),
            ..Rewriting::default()
        };
        let text = rewriting.apply(&stream).unwrap_or_else(|e| panic!("{}: {e:?}", file.display()));
        let rewritten = Stream::parse(text.clone()).unwrap();
        for finding in discover(&rewritten, Known::default()) {
            let ours = finding.text.starts_with("site.example:5000/mirror/");
            let left = rewriting.ignored.iter().any(|(text, _)| *text == finding.text);
            assert!(ours || left, "{}: {} at {}", file.display(), finding.text, finding.path);
            places += usize::from(ours);
        }
        assert_eq!(rewriting.apply(&rewritten).unwrap(), text, "{}: a second time", file.display());
        assert_eq!(stream.objects.len(), rewritten.objects.len());
    }
    assert!(places > 40, "{places} places");
}
