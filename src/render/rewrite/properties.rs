//! What holds of every rewriting, on many made-up streams with images in all kinds of places: afterwards nothing is found
//! outside the site's registry, a second time changes nothing, and nothing but the places changed.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};

use super::*;

/// Makes up objects: the same number gives the same.
struct Maker {
    seed: u64,
    images: BTreeSet<String>,
}

impl Maker {
    fn pick(&mut self, of: usize) -> usize {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) as usize % of
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.pick(of.len())]
    }

    /// A reference, which is locked.
    fn image(&mut self) -> String {
        let host = self.one(&["quay.io/", "r.example:5000/", "localhost:1/", "", "docker.io/library/"]);
        let path = self.one(&["a", "org/b", "cd/e_f/g-h.i"]);
        let tag = self.one(&[":1", ":v2.0_x-y", ":17", "@", ":v3@"]);
        let digest = if tag.ends_with('@') { Digest::of(path).to_string() } else { String::new() };
        let text = format!("{host}{path}{tag}{digest}");
        self.images.insert(text.parse::<Reference>().unwrap().to_string());
        text
    }

    fn noise(&mut self) -> Json {
        let text = [
            "https://else.example/z:1",
            "apps/v1",
            "12:30",
            "é\u{85}\u{2028}\t\"q'",
            " # no comment",
            "- x",
            "a: b",
            "yes",
            "",
            "{{ .x }}/y:1",
            "platctl-secret-0123456789abcdef0123456789abcdef",
            "localhost:8080",
            "no\nlast",
            "two\n\n",
            "multi\n  indented\n# hash\n\n",
        ];
        match self.pick(8) {
            0 => json!(self.pick(100)),
            1 => json!(true),
            2 => Json::Null,
            _ => json!(self.one(&text)),
        }
    }

    /// An image under a key that tells.
    fn entry(&mut self) -> (String, Json) {
        let image = self.image();
        let reference: Reference = image.parse().unwrap();
        let digest = reference.digest.map(|digest| digest.to_string());
        let tag = reference.tag.clone();
        match self.pick(9) {
            0 => (
                "containers".into(),
                json!([{"name": "x", "image": image, "args": ["-v", format!("--x-image={}", self.image())]}]),
            ),
            1 => ("env".into(), json!([{"name": "RELATED_IMAGE_X", "value": image}, {"name": "Y", "value": "z"}])),
            2 => ("sidecarImage".into(), json!(image)),
            3 => ("images".into(), json!([image, self.image()])),
            4 => {
                let parts = json!({"registry": reference.host, "repository": reference.path, "tag": tag, "digest": digest, "pullPolicy": "Always"});
                ("proxyImage".into(), parts)
            }
            5 => {
                let version =
                    tag.map(|tag| digest.clone().map_or(tag.clone(), |digest| format!("{tag}@{digest}"))).or(digest);
                ("component".into(), json!({"repository": reference.host, "image": reference.path, "version": version}))
            }
            6 => ("KAFKA_IMAGES".into(), json!(format!("4.1={image}\n4.2={}\n", self.image()))),
            7 => ("script.sh".into(), json!(format!("#!/bin/sh\necho é; run --x-image {image} \"$A\"\n"))),
            _ => ("volumes".into(), json!([{"name": "v", "image": {"reference": image}}])),
        }
    }

    fn map(&mut self, depth: usize) -> Map<String, Json> {
        let mut map = Map::new();
        for i in 0..1 + self.pick(3) {
            let (key, value) = match self.pick(if depth == 0 { 4 } else { 7 }) {
                0 | 1 => self.entry(),
                2 | 3 => (format!("k{i}"), self.noise()),
                4 => (format!("m{i}"), Json::Object(self.map(depth - 1))),
                5 => (format!("l{i}"), json!([self.map(depth - 1), self.noise()])),
                _ => (format!("t{i}"), json!(self.text(depth - 1))),
            };
            map.insert(key, value);
        }
        map
    }

    /// A document as text, in one of the ways that people write them.
    fn text(&mut self, depth: usize) -> String {
        let map = Json::Object(self.map(depth));
        match self.pick(3) {
            0 => map.to_string(),
            1 => serde_json::to_string_pretty(&map).unwrap(),
            _ => {
                let other = Json::Object(self.map(0));
                format!(
                    "# image: no:1\n{}---\n{}",
                    serde_yaml::to_string(&map).unwrap(),
                    serde_yaml::to_string(&other).unwrap()
                )
            }
        }
    }

    fn object(&mut self) -> Json {
        let metadata = json!({"name": "x", "labels": {"app.kubernetes.io/version": "1.0"}});
        match self.pick(4) {
            0 => {
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": self.text(2), "b": "1"}})
            }
            1 => {
                let plain = self.text(1);
                let data = json!({"a": STANDARD.encode(plain), "b": "MQ==", "c": STANDARD.encode([0xff, 0xfe])});
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data, "stringData": {"c": self.text(1)}})
            }
            2 => {
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [{"image": self.image(), "command": ["x"]}]}})
            }
            _ => json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": metadata, "spec": self.map(3)}),
        }
    }

    fn stream(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..1 + self.pick(3) {
            let object = self.object();
            let json = self.pick(2) == 0;
            let written = if json { object.to_string() } else { serde_yaml::to_string(&object).unwrap() };
            text.push_str(&format!("---\n# Source: c/templates/a.yaml\n{written}\n"));
        }
        text
    }
}

fn rewriting(images: &BTreeSet<String>) -> Rewriting {
    let images = images.iter().map(|image| (image.clone(), Digest::of(image))).collect();
    Rewriting { release: "p".into(), registry: Some(("site:5000".into(), "m".into())), images, ..Rewriting::default() }
}

/// All that is found, with what the places hold.
fn found(text: &str, rewriting: &Rewriting) -> Vec<Finding> {
    let images: Vec<Reference> = rewriting.images.keys().map(|image| image.parse().unwrap()).collect();
    discover(&Stream::parse(text).unwrap(), Known { declared: &images, ..Known::default() })
}

/// Objects with every reference, wherever it stands, made one word: what is left may not change.
fn without_images(text: &str, images: &[String]) -> Vec<Json> {
    Stream::parse(text).unwrap().objects.iter().map(|object| blank(&object.node.to_json(), images)).collect()
}

fn blank(value: &Json, images: &[String]) -> Json {
    match value {
        Json::Object(map) => Json::Object(map.iter().map(|(key, value)| (key.clone(), blank(value, images))).collect()),
        Json::Array(items) => items.iter().map(|item| blank(item, images)).collect(),
        Json::String(text) => Json::String(blank_text(text, images)),
        other => other.clone(),
    }
}

fn blank_text(text: &str, images: &[String]) -> String {
    if let Some(inner) = crate::object::decoded(text).filter(|inner| inner.contains('\n') || inner.contains('{')) {
        return blank_text(&inner, images);
    }
    // Texts are compared by what they say, not by how it is quoted.
    let documents = if text.contains(['\n', '{']) { documents(text) } else { None };
    match documents {
        Some(documents) => documents.iter().map(|document| blank(document, images)).collect::<Json>().to_string(),
        None => images.iter().fold(text.to_owned(), |text, image| text.replace(image.as_str(), "IMAGE")),
    }
}

fn documents(text: &str) -> Option<Vec<Json>> {
    let mut sources = crate::yaml::Sources::default();
    let id = sources.add("t", text);
    let read = crate::yaml::parse(&sources, id, crate::yaml::Author::Program).ok()?;
    let maps = !read.is_empty() && read.iter().all(|document| document.as_map().is_some());
    maps.then(|| read.iter().map(|document| document.to_json()).collect())
}

#[test]
fn on_many_streams() {
    let (mut places, mut texts) = (0, 0);
    for seed in 0..400 {
        let mut maker = Maker { seed, images: BTreeSet::new() };
        let text = maker.stream();
        let rewriting = rewriting(&maker.images);
        let stream = Stream::parse(text.clone()).unwrap();
        let before = found(&text, &rewriting);
        let after = rewriting.apply(&stream).unwrap_or_else(|v| panic!("{seed}: {v:?}\n{text}"));
        let findings = found(&after, &rewriting);
        assert_eq!(findings.len(), before.len(), "{seed}\n{text}\n{after}");
        for finding in &findings {
            assert!(finding.text.starts_with("site:5000/m/"), "{seed}: {} {}\n{after}", finding.path, finding.text);
        }
        let again = rewriting.apply(&Stream::parse(after.clone()).unwrap()).unwrap();
        assert_eq!(again, after, "{seed}");
        nothing_else_changed(seed, &text, &after, &before, &findings);
        places += before.len();
        texts += before.iter().filter(|f| f.path.to_string().contains(": ")).count();
    }
    assert!(places > 1500 && texts > 500, "{places} places, {texts} of them in texts: the maker makes too few");
}

/// What stood at the places and what stands there now, the longest first; then the rest is compared.
fn nothing_else_changed(seed: u64, text: &str, after: &str, before: &[Finding], findings: &[Finding]) {
    let held = |findings: &[Finding]| {
        let mut held: BTreeSet<String> = BTreeSet::new();
        for finding in findings {
            match &finding.place {
                Place::Scalar { .. } => held.insert(finding.text.clone()),
                Place::Parts { names, digests } => {
                    held.extend(digests.iter().map(|text| text.value().to_owned()));
                    held.insert(names[0].value().to_owned())
                }
            };
        }
        let mut held: Vec<String> = held.into_iter().collect();
        held.sort_by_key(|text| std::cmp::Reverse(text.len()));
        held
    };
    let (was, is) = (without_images(text, &held(before)), without_images(after, &held(findings)));
    assert_eq!(was, is, "{seed}\n{text}\n{after}");
}
