//! Single places and what becomes of them.

use super::*;

fn rewriting(images: &[&str]) -> Rewriting {
    Rewriting {
        release: "p".into(),
        registry: Some(("r:5000".into(), "m".into())),
        images: images.iter().map(|i| (i.parse::<Reference>().unwrap().to_string(), Digest::of("x"))).collect(),
        declared: vec!["quay.io/r:2".into()],
        ignored: vec![("quay.io/ignored:*".into(), "never".into())],
        ..Rewriting::default()
    }
}

const TEXT: &str = "---\n# Source: c/templates/a.yaml\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - image: a:1 # note\n    args: [--x=quay.io/r:2]\n  - image: \"quay.io/ignored:7\"\n  - image: r:5000/m/already:1\n---\n\
    apiVersion: nvidia.com/v1\nkind: ClusterPolicy\nmetadata: {name: p}\nspec:\n  t: {repository: nvcr.io/nvidia, image: t, version: v2}\n  x: {registry: docker.io, repository: busybox, tag: v3}\n";

#[test]
fn exactly_the_places_change() {
    let images = ["a:1", "quay.io/r:2", "nvcr.io/nvidia/t:v2", "busybox:v3"];
    let rewritten = rewriting(&images).apply(&Stream::parse(TEXT).unwrap()).unwrap();
    let digest = Digest::of("x");
    let expected = TEXT
        .replace("image: a:1 #", &format!("image: \"r:5000/m/docker.io/library/a@{digest}\" #"))
        .replace("[--x=quay.io/r:2]", &format!("[\"--x=r:5000/m/quay.io/r@{digest}\"]"))
        .replace("repository: nvcr.io/nvidia", "repository: \"r:5000/m/nvcr.io/nvidia\"")
        .replace("registry: docker.io", "registry: \"r:5000/m/docker.io/library\"");
    assert_eq!(rewritten, expected);
    let again = rewriting(&images).apply(&Stream::parse(rewritten.clone()).unwrap()).unwrap();
    assert_eq!(again, rewritten, "rewriting twice changes nothing");
}

const DRIVER: &str = "apiVersion: nvidia.com/v1\nkind: ClusterPolicy\nmetadata: {name: p}\nspec:\n  driver: {repository: nvcr.io/nvidia, image: driver, version: \"595\"}\n";

fn with_driver(locked: &[&str]) -> Rewriting {
    let json = serde_json::json!([{"kind": "ClusterPolicy", "name": "*", "path": "spec.driver", "declared_at": "r:1:1",
        "images": ["nvcr.io/nvidia/driver:{{ item.version }}-{{ node.os }}"]}]);
    let nodes = vec![ClusterNode { os: "ubuntu24.04".into(), kernel: None, arch: "amd64".into() }];
    let computed = serde_json::from_value(json).unwrap();
    Rewriting { computed, nodes, declared: Vec::new(), ..rewriting(locked) }
}

#[test]
fn a_place_that_an_operator_completes_keeps_its_tag() {
    let stream = Stream::parse(DRIVER).unwrap();
    let rewritten = with_driver(&["nvcr.io/nvidia/driver:595-ubuntu24.04"]).apply(&stream).unwrap();
    assert_eq!(rewritten, DRIVER.replace("nvcr.io/nvidia,", "\"r:5000/m/nvcr.io/nvidia\","));
    let violations = with_driver(&["nvcr.io/nvidia/driver:595"]).apply(&stream).unwrap_err();
    assert_eq!(violations[0].reason, "it comes to nvcr.io/nvidia/driver:595-ubuntu24.04: it is not in the lock");
}

#[test]
fn what_is_not_locked_is_refused_with_its_place() {
    let violations = rewriting(&["a:1"]).apply(&Stream::parse(TEXT).unwrap()).unwrap_err();
    let seen: Vec<_> = violations.iter().map(|v| format!("{} {} {}", v.object, v.path, v.what)).collect();
    let expected = [
        "Pod p spec.containers[0].args[0] quay.io/r:2",
        "ClusterPolicy p spec.t nvcr.io/nvidia/t:v2",
        "ClusterPolicy p spec.x docker.io/busybox:v3",
    ];
    assert_eq!(seen, expected);
    assert_eq!(violations[0].origin.as_deref(), Some("c/templates/a.yaml"));
}

fn rewritten(text: &str, images: &[&str]) -> String {
    let stream = Stream::parse(text).unwrap();
    let rewriting = Rewriting { declared: Vec::new(), ..rewriting(images) };
    let once = rewriting.apply(&stream).unwrap();
    let again = rewriting.apply(&Stream::parse(once.clone()).unwrap()).unwrap();
    assert_eq!(again, once, "rewriting twice changes nothing");
    once
}

/// A whole object on one line, so that a test sees the place alone.
fn custom(spec: &str) -> String {
    format!("apiVersion: example.com/v1\nkind: Thing\nmetadata: {{name: x}}\nspec: {spec}\n")
}

#[test]
fn a_digest_among_parts_becomes_the_one_that_is_at_the_site() {
    let hex = "a".repeat(64);
    let digest = Digest::of("x");
    let reference = |tag: &str| format!("q.io/n/d{tag}@sha256:{hex}");
    for (spec, image, expected) in [
        (
            format!("{{repository: q.io/n, image: d, version: \"sha256:{hex}\"}}"),
            reference(""),
            format!("{{repository: \"r:5000/m/q.io/n\", image: d, version: \"{digest}\"}}"),
        ),
        (
            format!("{{repository: q.io/n/d, tag: v1, digest: sha256:{hex}}}"),
            reference(":v1"),
            format!("{{repository: \"r:5000/m/q.io/n/d\", tag: v1, digest: \"{digest}\"}}"),
        ),
        (
            format!("{{registry: q.io, repository: n/d, tag: v1, sha: {hex}}}"),
            reference(":v1"),
            format!("{{registry: \"r:5000/m/q.io\", repository: n/d, tag: v1, sha: \"{}\"}}", digest.hex()),
        ),
        (
            format!("{{repository: q.io/n/d, tag: v1@sha256:{hex}}}"),
            reference(":v1"),
            format!("{{repository: \"r:5000/m/q.io/n/d\", tag: \"v1@{digest}\"}}"),
        ),
        (
            format!("{{image: q.io/n/d:v1@sha256:{hex}}}"),
            reference(":v1"),
            format!("{{image: \"r:5000/m/q.io/n/d@{digest}\"}}"),
        ),
    ] {
        assert_eq!(rewritten(&custom(&spec), &[&image]), custom(&expected));
    }
}

#[test]
fn parts_keep_every_name_but_the_first() {
    for (spec, expected) in [
        (
            "{registry: docker.io, repository: busybox, tag: \"3\"}",
            "{registry: \"r:5000/m/docker.io/library\", repository: busybox, tag: \"3\"}",
        ),
        ("{registry: q.io, image: a/b, tag: v1}", "{registry: \"r:5000/m/q.io\", image: a/b, tag: v1}"),
        ("{image: {name: q.io/a/b, tag: v1}}", "{image: {name: \"r:5000/m/q.io/a/b\", tag: v1}}"),
        ("{image: busybox, tag: \"3\"}", "{image: \"r:5000/m/docker.io/library/busybox\", tag: \"3\"}"),
    ] {
        let images = ["busybox:3", "q.io/a/b:v1"];
        assert_eq!(rewritten(&custom(spec), &images), custom(expected));
    }
}

#[test]
fn texts_change_in_their_places_alone() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a.yaml: |\n    # kept\n    x: \"q.io/a:1\" # kept\n    image: q.io/a:1\n    run: |-\n      \
        ctr pull q.io/a:1\n      say q.io/a:1, twice\n  plain: q.io/a:1\n  n: \"4\"\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata:\n  \
        v: aW1hZ2U6IHEuaW8vYToxCnB3OiBwbGF0Y3RsLXNlY3JldC0wMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZgo=\n  n: \"4\"\n";
    let out = rewritten(text, &["q.io/a:1"]);
    let site = format!("r:5000/m/q.io/a@{}", Digest::of("x"));
    let inner = format!("# kept\nx: \"{site}\" # kept\nimage: {site}\nrun: \"ctr pull {site}\\nsay {site}, twice\"\n");
    let stream = Stream::parse(out.clone()).unwrap();
    let value = |object: usize, key: &str| {
        stream.objects[object].node.get("data").unwrap().get(key).unwrap().as_str().unwrap().to_owned()
    };
    assert_eq!(value(0, "a.yaml"), inner);
    assert_eq!(value(0, "plain"), site);
    let decoded = crate::object::decoded(&value(1, "v")).unwrap();
    // A token comes through whole, as it is and inside base64, wherever it comes to lie there.
    assert_eq!(decoded, format!("image: {site}\npw: platctl-secret-0123456789abcdef0123456789abcdef\n"));
    let cores = crate::secrets::base64_cores(b"platctl-secret-0123456789abcdef0123456789abcdef");
    assert!(cores.iter().any(|core| value(1, "v").contains(core)));
    assert_eq!(out.matches("n: \"4\"\n").count(), 2);
}

#[test]
fn a_locked_image_never_stays_where_it_stood() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - image: a:1\n    env: [{name: VALIDATOR, value: a:1}, {name: B, value: \"q.io/b:1\"}]\n    q.io/b:1: {\"a:1\": key}\n    text: |\n      {\"image\": \"a:1\", \"q.io/b:1\": 1}\n";
    let out = rewritten(text, &["a:1", "q.io/b:1"]);
    assert_eq!(out.matches("r:5000/m/docker.io/library/a@").count(), 4);
    assert_eq!(out.matches("r:5000/m/q.io/b@").count(), 3);
}

#[test]
fn what_is_undecided_is_refused_until_somebody_decides() {
    let text = custom("{artifact: {url: \"q.io/kata:1\"}, image: proxyv2, other: {image: \"$(R)/a:$(T)\"}}");
    let stream = Stream::parse(text.clone()).unwrap();
    let asked = Rewriting { declared: Vec::new(), ..rewriting(&[]) };
    let violations = asked.apply(&stream).unwrap_err();
    let seen: Vec<_> = violations.iter().map(|v| (v.rule, v.what.as_str())).collect();
    let expected = [(Rule::Undecided, "q.io/kata:1"), (Rule::Undecided, "proxyv2"), (Rule::Undecided, "$(R)/a:$(T)")];
    assert_eq!(seen, expected);
    let mut decided = rewriting(&["q.io/kata:1"]);
    decided.declared.push("q.io/kata:1".into());
    decided.images.insert("quay.io/r:2".into(), Digest::of("x"));
    decided.ignored = vec![("proxyv2".into(), "joined with hub".into()), ("$(R)/*".into(), "of another".into())];
    assert_eq!(
        decided.apply(&stream).unwrap(),
        text.replace("\"q.io/kata:1\"", &format!("\"r:5000/m/q.io/kata@{}\"", Digest::of("x")))
    );
}

#[test]
fn an_alias_that_would_become_two_is_refused() {
    let text = custom("{a: {registry: &r q.io, image: a, tag: v1}, b: {registry: *r, image: library/b, tag: v1}}");
    let images = ["q.io/a:v1", "q.io/library/b:v1"];
    let same = rewritten(&text, &images);
    assert_eq!(same.matches("r:5000/m/q.io").count(), 1);
    let text = custom("{a: {registry: &r docker.io, image: a, tag: v1}, b: {registry: *r, image: b/c, tag: v1}}");
    let two = Rewriting { declared: Vec::new(), ..rewriting(&["a:v1", "b/c:v1"]) };
    let violations = two.apply(&Stream::parse(text).unwrap()).unwrap_err();
    assert!(violations[0].reason.contains("one text would have to become two"), "{violations:?}");
}

#[test]
fn what_is_pulled_from_the_site_has_its_name_upstream() {
    let names = rewriting(&["a:1"]).names();
    let pulled = format!("r:5000/m/docker.io/library/a@{}", Digest::of("x"));
    assert_eq!(names, [(pulled, "docker.io/library/a:1".to_owned())]);
    assert_eq!(Rewriting { registry: None, ..rewriting(&["a:1"]) }.names(), []);
}
