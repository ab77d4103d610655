//! Values of the template language as YAML has them, and the other way round.

use tera::value::ValueKind;

use crate::yaml::{Entry, Map, Node, Span, Value};

/// A value of the template language as a tree without places.
pub(super) fn from_tera(value: &tera::Value) -> Result<Node, String> {
    Ok(typed(value, Span::default())?.unwrap_or(Node::new(Value::Null, Span::default())))
}

/// A value of the template language as a YAML value; `None` for `none`.
pub(super) fn typed(value: &tera::Value, span: Span) -> Result<Option<Node>, String> {
    let node = |value| Some(Node::new(value, span));
    Ok(match value.kind() {
        ValueKind::None => None,
        ValueKind::Undefined => return Err("template: something in the expression is not defined".to_owned()),
        ValueKind::Bool => node(Value::Bool(value.as_bool().unwrap_or_default())),
        ValueKind::F64 => match value.as_f64() {
            Some(f) if f.is_finite() => node(Value::Float(f)),
            _ => return Err("template: the expression gives no finite number".to_owned()),
        },
        ValueKind::U64 | ValueKind::I64 | ValueKind::U128 | ValueKind::I128 => {
            let int = value.as_i64().filter(|int| crate::yaml::is_exact(*int));
            node(Value::Int(int.ok_or("template: the expression gives a number that is too large for Helm")?))
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
        _ => return Err("template: the expression gives something that YAML can't hold".to_owned()),
    })
}

/// A YAML value as the template language has it.
pub(super) fn to_tera(node: &Node) -> tera::Value {
    match &node.value {
        Value::Null => tera::Value::none(),
        Value::Bool(b) => (*b).into(),
        Value::Int(i) => (*i).into(),
        Value::Float(f) => (*f).into(),
        Value::String(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(to_tera).collect::<Vec<_>>().into(),
        Value::Map(map) => map.0.iter().map(|e| (e.key.clone().into(), to_tera(&e.node))).collect::<tera::Map>().into(),
    }
}
