//! Values that refer to values.

use super::*;
use crate::definition::asked::Asked;

fn resolved(text: &str) -> Result<serde_json::Value, Problem> {
    let mut sources = Sources::default();
    let id = sources.add("values.yaml", text);
    let node = sources.read(id)?;
    let mut context = Context::new();
    context.insert("environment", &serde_json::json!({ "name": "prod" }));
    resolve(&sources, node, &Evaluator::new(&Asked::default()), &context, &mut Provenance::default())
        .map(|n| n.to_json())
}

#[test]
fn values_refer_to_values_in_any_order() {
    let json = resolved(
        "url: \"https://{{ values.mlflow.host }}/\"\nmlflow: {host: \"mlflow.{{ values.domain }}\"}\n\
         domain: \"{{ environment.name }}.example\"\nports: [1, \"{{ values['base'] + 1 }}\", \"{{ values.ports[1] + 1 }}\"]\n\
         base: 4\nall: \"{{ values.mlflow }}\"\nhost: \"{{ values.all.host | upper }}\"\nhosts: \"{{ [values.url, values.host] }}\"\n\
         first: \"{{ values.hosts[0] }}\"\no: [null, \"{{ none }}\"]\n",
    )
    .unwrap();
    let expected = serde_json::json!({"url": "https://mlflow.prod.example/", "mlflow": {"host": "mlflow.prod.example"},
        "domain": "prod.example", "ports": [1, 5, 6], "base": 4, "all": {"host": "mlflow.prod.example"},
        "host": "MLFLOW.PROD.EXAMPLE", "hosts": ["https://mlflow.prod.example/", "MLFLOW.PROD.EXAMPLE"],
        "first": "https://mlflow.prod.example/", "o": [null]});
    assert_eq!(json, expected);
}

#[test]
fn a_cycle_is_an_error_with_its_line() {
    let problem = resolved("a: \"{{ values.b }}\"\nb: \"{{ values.a }}\"\n").unwrap_err();
    assert_eq!(problem.to_string(), "values.yaml:1:4: `a` refers to itself");
    assert_eq!(problem.notes[0].0, "through `b`");
    assert!(resolved("a: {x: \"{{ values.a }}\"}\n").is_err());
    assert!(resolved("a: \"{{ values | length }}\"\n").is_err());
    let problem =
        resolved("a: \"{{ values.l[1] }}\"\nl: [1, \"{{ values.m.x }}\"]\nm: {x: \"{{ values.a }}\", z: 2}\n");
    assert_eq!(problem.unwrap_err().notes.len(), 2);
}

#[test]
fn names_that_are_missing_have_neighbours() {
    for (text, at, help) in [
        ("a: \"{{ values.domian }}\"\ndomain: x\n", "1:8", "did you mean `domain`?"),
        ("a: \"x {{ values.m.hots }}\"\nm: {host: z}\n", "1:10", "did you mean `host`?"),
        ("a: \"{{ values.m.hots ~ 'x' }}\"\nm: {host: z}\n", "1:8", "did you mean `host`?"),
        ("a: \"{{ 'x' ~ environment.nam }}\"\n", "1:14", "did you mean `name`?"),
    ] {
        let problem = resolved(text).unwrap_err();
        assert!(problem.to_string().starts_with(&format!("values.yaml:{at}: template: `")), "{problem}");
        assert_eq!(problem.help.as_deref(), Some(help), "{problem}");
    }
}

#[test]
fn a_long_chain_needs_no_deep_stack() {
    let chain: String = (0..20_000).map(|i| format!("k{i}: \"{{{{ values.k{} }}}}\"\n", i + 1)).collect();
    assert_eq!(resolved(&(chain + "k20000: end\n")).unwrap()["k0"], "end");
}
