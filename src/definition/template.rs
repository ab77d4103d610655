//! Evaluates the string leaves of a YAML tree as Tera templates. A leaf that is one whole `{{ expression }}` keeps
//! the expression's type; one that gives `none` removes its key. Must not read files, clock or environment.

use std::sync::{Arc, Mutex};

use tera::value::ValueKind;
use tera::{Context, ErrorKind, Kwargs, State, Tera, TeraResult};

use super::asked::{self, Asked};
use crate::yaml::{Entry, Map, Node, Problem, Sources, Span, Value};

/// The filter that hands an expression's value out with its type; not for use in files.
const CAPTURE: &str = "__capture";
/// What the filter says of a name without a value.
const UNDEFINED: &str = "a name in the expression is not defined";
/// The most bytes that one leaf may become.
const MAX_OUTPUT: usize = 1024 * 1024;

/// Evaluates leaves with the same names at hand.
pub(super) struct Evaluator {
    tera: Tera,
    captured: Arc<Mutex<Option<tera::Value>>>,
    asked: Asked,
}

/// Whether a text has anything to evaluate.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

impl Evaluator {
    pub(super) fn new(asked: &Asked) -> Evaluator {
        let captured = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&captured);
        let mut tera = Tera::new();
        tera.register_filter(CAPTURE, move |value: tera::Value, _: Kwargs, _: &State| -> TeraResult<String> {
            if value.is_undefined() {
                return Err(tera::Error::message(UNDEFINED));
            }
            *slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(value);
            Ok(String::new())
        });
        asked.register(&mut tera);
        Evaluator { tera, captured, asked: asked.clone() }
    }

    /// Evaluates every leaf of a tree.
    pub(super) fn tree(&mut self, sources: &Sources, node: &Node, context: &Context) -> Result<Node, Problem> {
        Ok(self.node(sources, node, context)?.unwrap_or(Node::new(Value::Null, node.span)))
    }

    /// `None` means that the leaf gave `none`: its key or item goes.
    fn node(&mut self, sources: &Sources, node: &Node, context: &Context) -> Result<Option<Node>, Problem> {
        let value = match &node.value {
            Value::String(text) if is_template(text) => return self.leaf(sources, text, node.span, context),
            Value::List(items) => {
                let mut kept = Vec::with_capacity(items.len());
                for item in items {
                    kept.extend(self.node(sources, item, context)?);
                }
                Value::List(kept)
            }
            Value::Map(map) => {
                let mut kept = Map::default();
                for Entry { key, key_span, node } in &map.0 {
                    if let Some(node) = self.node(sources, node, context)? {
                        kept.0.push(Entry { key: key.clone(), key_span: *key_span, node });
                    }
                }
                Value::Map(kept)
            }
            plain => plain.clone(),
        };
        Ok(Some(Node::new(value, node.span)))
    }

    /// Evaluates one leaf.
    pub(super) fn leaf(
        &mut self,
        sources: &Sources,
        text: &str,
        span: Span,
        context: &Context,
    ) -> Result<Option<Node>, Problem> {
        let problem = |message: String| Problem::new(message).at(sources, span);
        let text = &asked::named(text);
        self.asked.begin();
        let value = match whole_expression(text) {
            Some(expression) => {
                let wrapped = format!("{{{{ ({expression}) | {CAPTURE} }}}}");
                let undefined = format!("`{expression}` is not defined");
                let explained = |e| problem(explain(&e).replace(UNDEFINED, &undefined));
                self.tera.render_str(&wrapped, context, false).map_err(explained)?;
                let taken = self.captured.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
                let taken = taken.ok_or_else(|| problem("the expression gave no value".to_owned()))?;
                typed(&taken, span).map_err(problem)?
            }
            None => {
                let rendered = self.tera.render_str(text, context, false).map_err(|e| problem(explain(&e)))?;
                Some(Node::new(Value::String(rendered), span))
            }
        };
        self.asked.end(sources, span, value.as_ref())?;
        match &value {
            Some(Node { value: Value::String(text), .. }) if text.len() > MAX_OUTPUT => {
                Err(problem(format!("the template gives {} bytes, more than {MAX_OUTPUT}", text.len())))
            }
            _ => Ok(value),
        }
    }
}

/// The expression of a text that is one whole `{{ … }}` and nothing else. Two closing braces inside it are set apart,
/// because the template engine would take them for the end.
fn whole_expression(text: &str) -> Option<String> {
    let inner = text.trim().strip_prefix("{{")?;
    let inner = inner.strip_prefix('-').unwrap_or(inner);
    let (mut depth, mut quote, mut expression) = (0_usize, None, String::new());
    for (i, c) in inner.char_indices() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"' | '`') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') if depth == 0 => {
                return (&inner[i..] == "}}").then(|| expression.trim_end_matches('-').trim().to_owned());
            }
            (None, '}') => {
                depth -= 1;
                expression.push_str("} ");
                continue;
            }
            _ => {}
        }
        expression.push(c);
    }
    None
}

/// A value of the template language as a YAML value; `None` for `none`.
fn typed(value: &tera::Value, span: Span) -> Result<Option<Node>, String> {
    let node = |value| Some(Node::new(value, span));
    Ok(match value.kind() {
        ValueKind::None => None,
        ValueKind::Undefined => return Err(UNDEFINED.to_owned()),
        ValueKind::Bool => node(Value::Bool(value.as_bool().unwrap_or_default())),
        ValueKind::F64 => match value.as_f64() {
            Some(f) if f.is_finite() => node(Value::Float(f)),
            _ => return Err("the expression gives no finite number".to_owned()),
        },
        ValueKind::U64 | ValueKind::I64 | ValueKind::U128 | ValueKind::I128 => {
            let int = value.as_i64().ok_or("the expression gives a number that is too large")?;
            node(Value::Int(int))
        }
        ValueKind::Array => {
            let items = value.as_array().unwrap_or_default().iter();
            let items: Vec<Option<Node>> = items.map(|item| typed(item, span)).collect::<Result<_, _>>()?;
            node(Value::List(items.into_iter().flatten().collect()))
        }
        ValueKind::Map => {
            let mut map = Map::default();
            for (key, value) in value.as_map().into_iter().flatten() {
                if let Some(node) = typed(value, span)? {
                    map.0.push(Entry { key: key.to_string(), key_span: span, node });
                }
            }
            node(Value::Map(map))
        }
        ValueKind::String => node(Value::String(value.as_str().unwrap_or_default().to_owned())),
        _ => return Err("the expression gives something that YAML can't hold".to_owned()),
    })
}

/// The template engine's own word without its drawing of the one-line source.
fn explain(error: &tera::Error) -> String {
    let message = match error.kind() {
        ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => report.message().to_owned(),
        _ => error.to_string(),
    };
    format!("template: {}", message.replace(CAPTURE, "the expression"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluate(text: &str) -> Result<serde_json::Value, Problem> {
        let mut sources = Sources::default();
        let id = sources.add("values.yaml", text);
        let node = sources.read(id)?;
        let values = serde_json::json!({
            "n": 3, "on": true, "text": "a: b\n- {{ x", "hosts": ["a", "b"], "buckets": [{"name": "m"}],
            "big": 20, "nested": {"x": 1.5},
        });
        let mut context = Context::new();
        context.insert("values", &values);
        Evaluator::new(&Asked::default()).tree(&sources, &node, &context).map(|n| n.to_json())
    }

    #[test]
    fn whole_expressions_keep_their_type() {
        let json = evaluate(
            r#"
int: "{{ values.n + 1 }}"
bool: "{{ values.on and values.n > 2 }}"
float: "{{ values.nested.x }}"
list: "{{ values.hosts }}"
made: "{{ [{'name': b.name, 'policy': {'kind': 'none'}} for b in values.buckets] }}"
map: "{{ values.nested }}"
text: "{{ values.text }}"
joined: "s3://{{ values.hosts[0] }}-{{ values.n }}"
plain: "{ not a template }"
choice: "{{ 'big' if values.big > 9 else none }}"
"#,
        )
        .unwrap();
        let expected = serde_json::json!({
            "int": 4, "bool": true, "float": 1.5, "list": ["a", "b"],
            "made": [{"name": "m", "policy": {"kind": "none"}}], "map": {"x": 1.5}, "text": "a: b\n- {{ x",
            "joined": "s3://a-3", "plain": "{ not a template }", "choice": "big",
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn none_removes_the_key_or_item() {
        let json = evaluate(
            "a: \"{{ none }}\"\nb: [1, \"{{ values.missing or none }}\"]\nc: \"{{ values.missing?.x or none }}\"\n",
        );
        assert_eq!(json.unwrap(), serde_json::json!({"b": [1]}));
    }

    #[test]
    fn undefined_names_and_syntax_errors_show_the_line() {
        for text in
            ["x: 1\na: \"{{ values.nope }}\"\n", "x: 1\na: \"{{ values.n +  }}\"\n", "x: 1\na: \"{{ nope }}/x\"\n"]
        {
            let problem = evaluate(text).unwrap_err();
            assert!(problem.to_string().starts_with("values.yaml:2:4: template: "), "{problem}");
        }
    }
}
