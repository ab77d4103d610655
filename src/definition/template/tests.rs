//! What templates give, what they are refused, and that none eats time or memory.

use std::time::{Duration, Instant};

use tera::Context;

use super::*;
use crate::definition::asked::Asked;
use crate::definition::evaluate::{self, Names};
use crate::definition::provenance::Provenance;
use crate::definition::replace_tokens;
use crate::yaml::Sources;

/// Evaluates a file of a release, with some values and one file at hand.
pub(super) fn evaluated(text: &str) -> Result<serde_json::Value, Problem> {
    let mut sources = Sources::default();
    let values = sources.add(
        "environments/prod/values.yaml",
        "k: 3\nenabled: true\ntext: \"a: b\\n- {{ x\"\nhosts: [a, b]\nbuckets: [{name: m}]\nbig: 20\nnested: {x: 1.5}\n",
    );
    // Texts of values are templates, but for what the engine would not take for one.
    let values = sources.read(values)?;
    let id = sources.add("values.yaml", text);
    let node = sources.read(id)?;
    let evaluator = Evaluator::new(&Asked::default());
    evaluator
        .desk()
        .lay([("files/a.txt".to_owned(), b"one\ntwo\n".to_vec()), ("files/b".to_owned(), vec![0xff])].into());
    let mut context = Context::new();
    context.insert("nodes", &[serde_json::json!({ "os": "u", "arch": "amd64" })]);
    context.insert("releases", &["minio", "r"]);
    let names = Names::new(&values, context);
    let scope = names.of_release("r", "ns");
    evaluate::tree(&evaluator, &sources, node, &scope, &mut Provenance::default()).map(|node| node.to_json())
}

#[test]
fn whole_expressions_keep_their_type() {
    let json = evaluated(
        r#"
int: "{{ values.k + 1 }}"
bool: "{{ values.enabled and values.k > 2 }}"
float: "{{ values.nested.x }}"
list: "{{ values.hosts }}"
made: "{{ [{'name': b.name, 'policy': {'kind': 'none'}} for b in values.buckets] }}"
map: "{{ values.nested }}"
text: "{{ values.text }}"
same: "{{ values.text ~ '' }}"
joined: "s3://{{ values.hosts[0] }}-{{ values.k }}"
plain: "{ not a template }"
choice: "{{ 'big' if values.big > 9 else none }}"
"#,
    )
    .unwrap();
    let expected = serde_json::json!({
        "int": 4, "bool": true, "float": 1.5, "list": ["a", "b"],
        "made": [{"name": "m", "policy": {"kind": "none"}}], "map": {"x": 1.5}, "text": "a: b\n- {{ x",
        "same": "a: b\n- {{ x", "joined": "s3://a-3", "plain": "{ not a template }", "choice": "big",
    });
    assert_eq!(json, expected);
}

#[test]
fn none_removes_the_key_or_item() {
    let json = evaluated(
        "a: \"{{ none }}\"\nb: [1, \"{{ values.missing or none }}\"]\nc: \"{{ values.missing?.x or none }}\"\n\
         d: \"{{ values.missing | default('x') }}\"\ne: \"{{ values.missing is defined }}\"\n",
    );
    assert_eq!(json.unwrap(), serde_json::json!({"b": [1], "d": "x", "e": false}));
}

#[test]
fn mistakes_show_their_place() {
    let mut wrong = Vec::new();
    for (text, place) in [
        ("x: 1\na: \"{{ values.nope }}\"\n", "2:8: template: `values.nope` is not defined"),
        ("x: 1\na: \"{{ values.k +  }}\"\n", "2:20: template: Found"),
        ("x: 1\na: \"{{ nope }}/x\"\n", "2:8: template: `nope` is not defined"),
        ("a: \"{{ 'x' ~ values.nope }}\"\n", "1:14: template: `values.nope` is not defined"),
        ("a: \"{{ values.nope == 'x' }}\"\n", "1:8: template: `values.nope` is not defined"),
        ("a: \"{{ [b.nope for b in values.buckets] }}\"\n", "1:9: template: `b.nope` is not defined"),
        ("a: \"{{ values.text + 1 }}\"\n", "1:8: template: "),
        ("a: |\n  x\n    {{ values.hosts | upper }}\n", "3:8: template: "),
        ("a: \"{{ values.k | nope }}\"\n", "1:19: template: Unknown filter `nope`"),
        ("a: \"{{ file('files/none') }}\"\n", "1:8: template: no file `files/none`"),
        ("a: \"{{ file('../x') }}\"\n", "1:8: template: `../x` is no path inside"),
        ("a: \"{{ file('files/b') }}\"\n", "1:8: template: the file `files/b` is not UTF-8"),
        ("a: \"{{ image('A b') }}\"\n", "1:8: template: not an image reference"),
        ("a: \"{{ 'x' | quantity }}\"\n", "1:14: template: `x` is no quantity"),
        ("a: \"{{ 9007199254740992 + 1 }}\"\n", "1:4: template: the expression gives a number that is too large"),
    ] {
        let problem = evaluated(text).unwrap_err().to_string();
        if !problem.starts_with(&format!("values.yaml:{place}")) {
            wrong.push(format!("{text}: {problem}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each would take minutes, or all memory, if nobody counted.
#[test]
fn no_template_eats_time_or_memory() {
    let nest = |inner: &str, times: usize| {
        (0..times).fold(inner.to_owned(), |inner, _| format!("[x ~ x ~ x ~ x for x in {inner}]"))
    };
    let share = (0..30).fold("['y']".to_owned(), |inner, _| format!("[[x, x, x, x] for x in {inner}]"));
    let doubled = "{% set s = s ~ s %}".repeat(60);
    let piped = "| replace(from='a', to='aaaaaaaaaaaaaaaaaaaa') ".repeat(20);
    let attacks = [
        (
            "rounds",
            "{% for a in range(end=100000) %}{% for b in range(end=100000) %}{% endfor %}{% endfor %}".to_owned(),
        ),
        (
            "comprehensions",
            "{{ [[[1 for a in range(end=9999)] for b in range(end=9999)] for c in range(end=9999)] }}".to_owned(),
        ),
        ("a long range", "{{ range(end=100000000000) }}".to_owned()),
        ("doubling in comprehensions", format!("{{{{ {} }}}}", nest("['xxxxxxxxxxxxxxxx']", 30))),
        ("sharing", format!("{{{{ {share} }}}}")),
        ("doubling a variable", format!("{{% set s = 'xxxxxxxx' %}}{doubled}{{{{ s }}}}")),
        ("replacing", format!("{{{{ 'aaaa' {piped} }}}}")),
        ("json of json", format!("{{{{ '\"' {} }}}}", "| json ".repeat(60))),
        ("joining", "{{ range(end=99999) | join(sep=range(end=99999) | join(sep='xxxxxxxxxx')) }}".to_owned()),
        (
            "indenting",
            format!(
                "{{{{ '{}' | indent(width=1000, blank=true) | indent(width=1000, blank=true, first=true) }}}}",
                "\\n".repeat(90_000)
            ),
        ),
        (
            "much output",
            "{% for a in range(end=50000) %}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}".to_owned(),
        ),
        ("everything compared", "{{ range(end=99999) | unique }}".to_owned()),
        ("searching", "{{ [1 for a in range(end=99999) if a in range(end=99999)] }}".to_owned()),
        ("nesting", format!("{{{{ {}1{} }}}}", "(".repeat(5000), ")".repeat(5000))),
        ("length", format!("{{{{ 1 }}}}{}", "x".repeat(300 * 1024))),
    ];
    for (name, attack) in attacks {
        let started = Instant::now();
        let text = format!("a: {}\n", serde_json::Value::from(attack));
        let problem = evaluated(&text).expect_err(name);
        assert!(problem.to_string().starts_with("values.yaml:1:"), "{name}: {problem}");
        assert!(started.elapsed() < Duration::from_secs(30), "{name}: {:?}", started.elapsed());
    }
}

#[test]
fn the_engine_knows_nothing_that_is_not_the_same_everywhere() {
    let random = ["now", "get_env", "get_random", "date", "shuffle", "uuid", "random", "http", "load", "include_file"];
    for name in random {
        for text in [format!("a: \"{{{{ {name}() }}}}\"\n"), format!("a: \"{{{{ 1 | {name} }}}}\"\n")] {
            assert!(evaluated(&text).is_err(), "{text}");
        }
    }
    // Groups keep their order: the engine's own have none.
    let text = "a: \"{{ [{'g': 'z', 'v': 1}, {'g': 'a', 'v': 2}, {'g': 'z', 'v': 3}, {'g': 'm', 'v': 4}] | group_by(attribute='g') | keys }}\"\n";
    assert_eq!(evaluated(text).unwrap()["a"], serde_json::json!(["z", "a", "m"]));
}

/// Every example of the documentation: a template, `→`, and what it gives as JSON.
#[test]
fn the_examples_of_the_documentation_run() {
    let documentation = include_str!("../../../docs/templates.md");
    let mut examples = 0;
    let mut inside = false;
    for line in documentation.lines() {
        if line.starts_with("```") {
            inside = !inside;
        }
        let Some((template, expected)) = line.split_once(" → ").filter(|_| inside) else { continue };
        let text = format!("a: {}\n", serde_json::Value::from(template.trim()));
        let given = match evaluated(&text) {
            Ok(json) => json.get("a").map_or("nothing".to_owned(), ToString::to_string),
            Err(problem) => format!("error: {}", problem.message.trim_start_matches("template: ")),
        };
        // Tokens are hashes, which nobody needs to read.
        let given = replace_tokens(&given, |_| Some("platctl-secret-TOKEN"));
        assert_eq!(given, expected.trim(), "{line}");
        examples += 1;
    }
    assert!(examples > 30, "{examples} examples");
    for name in [
        "values",
        "environment",
        "release",
        "nodes",
        "releases",
        "secret",
        "file",
        "image",
        "json",
        "yaml",
        "b64encode",
        "indent",
        "quantity",
    ] {
        let documented = [format!("`{name}`"), format!("`{name}(")].iter().any(|text| documentation.contains(text));
        assert!(documented, "{name} is not documented");
    }
}

/// Whatever a text looks like, it stays the text of its leaf.
#[test]
fn no_text_leaves_its_leaf() {
    let tricky = [
        "a: b",
        "- x",
        "\n",
        "{{ values }}",
        "{% endif %}",
        "%}",
        "}}",
        "{#",
        "*anchor",
        "&a",
        "!tag",
        "'",
        "\"",
        "\\",
        "\t",
        "null",
        "true",
        "0755",
        "# no",
        "é\u{2028}\u{feff}",
        "<<",
        "---",
        "|",
        ">",
        "@",
        "`",
        "\u{0}",
        " ",
    ];
    let mut seed = 1_u64;
    for round in 0..300 {
        let mut text = String::new();
        for _ in 0..(round % 7) + 1 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(tricky[(seed >> 33) as usize % tricky.len()]);
        }
        let leaf = |template: &str| Node::new(Value::String(template.to_owned()), Span::default());
        let entry = |key: &str, node| Entry { key: key.to_owned(), key_span: Span::default(), node };
        let values = Node::new(Value::Map(Map(vec![entry("t", leaf(&text))])), Span::default());
        let own = [("whole", "{{ values.t }}"), ("made", "{{ values.t ~ '' }}"), ("inside", "<{{ values.t }}>")];
        let own = Node::new(Value::Map(Map(own.map(|(key, text)| entry(key, leaf(text))).into())), Span::default());
        let names = Names::new(&values, Context::new());
        let scope = names.of_release("r", "ns");
        let sources = Sources::default();
        let tree =
            evaluate::tree(&Evaluator::new(&Asked::default()), &sources, own, &scope, &mut Provenance::default())
                .unwrap();
        let expected = serde_json::json!({ "whole": text, "made": text, "inside": format!("<{text}>") });
        let sent = tree.to_json().to_string();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&sent).unwrap(), expected, "{text:?}");
        let printed = crate::yaml::parse_generated("printed", &crate::yaml::print(&tree)).unwrap();
        assert_eq!(printed.to_json(), expected, "{text:?}");
    }
}
