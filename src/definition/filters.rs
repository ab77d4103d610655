//! Filters of templates: our own, and those of the engine that would grow a value without bound or whose result has
//! no order. Must not read anything but their arguments.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tera::value::Key;
use tera::{Error, Kwargs, Map, State, Tera, TeraResult, Value};

use super::budget::Budget;
use super::budget::too_much;
use super::convert::from_tera;
use super::quantity;
use crate::yaml;

/// Makes the filters known.
pub(super) fn register(tera: &mut Tera, budget: &Arc<Budget>) {
    tera.register_filter("json", json);
    tera.register_filter("yaml", as_yaml);
    tera.register_filter("b64encode", |text: &str, _: Kwargs, _: &State| STANDARD.encode(text));
    tera.register_filter("quantity", as_quantity);
    tera.register_filter("group_by", group_by);
    let left = Arc::clone(budget);
    tera.register_filter("indent", move |text: &str, kwargs: Kwargs, _: &State| indent(text, &kwargs, &left));
    let left = Arc::clone(budget);
    tera.register_filter("replace", move |text: &str, kwargs: Kwargs, _: &State| replace(text, &kwargs, &left));
    let left = Arc::clone(budget);
    tera.register_filter("join", move |items: Value, kwargs: Kwargs, _: &State| join(&items, &kwargs, &left));
    let left = Arc::clone(budget);
    tera.register_filter("split", move |text: &str, kwargs: Kwargs, _: &State| split(text, &kwargs, &left));
    let left = Arc::clone(budget);
    tera.register_filter("unique", move |items: Value, _: Kwargs, _: &State| unique(&items, &left));
}

fn json(value: Value, kwargs: Kwargs, _: &State) -> TeraResult<String> {
    let pretty = kwargs.get::<bool>("pretty")?.unwrap_or(false);
    let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
    text.map_err(|e| Error::message(format!("this can't be written as JSON: {e}")))
}

fn as_yaml(value: Value, _: Kwargs, _: &State) -> TeraResult<String> {
    let node = from_tera(&value).map_err(Error::message)?;
    Ok(yaml::print(&node).trim_end_matches('\n').to_owned())
}

fn as_quantity(value: Value, kwargs: Kwargs, _: &State) -> TeraResult<Value> {
    let text = if value.is_number() { value.to_string() } else { value.as_str().unwrap_or_default().to_owned() };
    let unit = kwargs.get::<&str>("unit")?.unwrap_or_default();
    let number = quantity::parse(&text)
        .ok_or_else(|| Error::message(format!("`{text}` is no quantity; write it as 500m, 16Gi or 1.5")))?;
    let unit = quantity::parse(&format!("1{unit}"))
        .ok_or_else(|| Error::message(format!("`{unit}` is no unit; write m, k, M, G, Ki, Mi, Gi …")))?;
    Ok(match number.divided_by(unit) {
        quantity::Number::Whole(whole) => whole.into(),
        quantity::Number::Part(part) => part.into(),
    })
}

/// As the engine's own, but the groups come in the order of their first items.
fn group_by(items: &[Value], kwargs: Kwargs, _: &State) -> TeraResult<Map> {
    let attribute = kwargs.must_get::<&str>("attribute")?;
    let mut groups: indexed::Groups = indexed::Groups::default();
    for item in items {
        let found = item.get_from_path(attribute).filter(|value| !value.is_undefined());
        let found = found.ok_or_else(|| Error::message(format!("an item has no `{attribute}`")))?;
        if !found.is_none() {
            groups.push(found.to_string(), item.clone());
        }
    }
    Ok(groups.0.into_iter().map(|(key, items)| (Key::from(key), Value::from(items))).collect())
}

mod indexed {
    //! Groups in the order of their first items.

    use tera::Value;

    #[derive(Default)]
    pub(super) struct Groups(pub Vec<(String, Vec<Value>)>);

    impl Groups {
        pub(super) fn push(&mut self, key: String, item: Value) {
            match self.0.iter_mut().find(|(known, _)| *known == key) {
                Some((_, items)) => items.push(item),
                None => self.0.push((key, vec![item])),
            }
        }
    }
}

/// As the engine's own: lines after the first are indented, empty ones are not, unless asked for.
fn indent(text: &str, kwargs: &Kwargs, budget: &Budget) -> TeraResult<String> {
    let width = kwargs.get::<usize>("width")?.unwrap_or(4).min(1000);
    let (first, blank) = (kwargs.get::<bool>("first")?.unwrap_or(false), kwargs.get::<bool>("blank")?.unwrap_or(false));
    budget.take((text.matches('\n').count() * width + text.len()) as u64).map_err(too_much)?;
    let margin = " ".repeat(width);
    let line = |(i, line): (usize, &str)| match (i, line.is_empty()) {
        (0, _) if !first => line.to_owned(),
        (_, true) if !blank => String::new(),
        _ => format!("{margin}{line}"),
    };
    let (body, end) = text.strip_suffix('\n').map_or((text, ""), |body| (body, "\n"));
    Ok(body.split('\n').enumerate().map(line).collect::<Vec<_>>().join("\n") + end)
}

fn replace(text: &str, kwargs: &Kwargs, budget: &Budget) -> TeraResult<String> {
    let (from, to) = (kwargs.must_get::<&str>("from")?, kwargs.must_get::<&str>("to")?);
    budget.take((text.matches(from).count() * to.len() + text.len()) as u64).map_err(too_much)?;
    Ok(text.replace(from, to))
}

fn join(items: &Value, kwargs: &Kwargs, budget: &Budget) -> TeraResult<String> {
    let items = items.as_array().ok_or_else(|| Error::message(format!("`join` needs a list, not {}", items.name())))?;
    let separator = kwargs.get::<&str>("sep")?.unwrap_or_default();
    budget.take((items.len() * separator.len()) as u64).map_err(too_much)?;
    if items.iter().any(Value::is_undefined) {
        return Err(Error::message("an item of the list is not defined"));
    }
    Ok(items.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator))
}

fn split(text: &str, kwargs: &Kwargs, budget: &Budget) -> TeraResult<Vec<Value>> {
    let pattern = kwargs.must_get::<&str>("pat")?;
    // An item takes more room than the character it may hold.
    budget.take(text.matches(pattern).count() as u64 * 32).map_err(too_much)?;
    Ok(text.split(pattern).map(Value::from).collect())
}

fn unique(items: &Value, budget: &Budget) -> TeraResult<Vec<Value>> {
    let items =
        items.as_array().ok_or_else(|| Error::message(format!("`unique` needs a list, not {}", items.name())))?;
    // Each is compared with all that are kept.
    budget.take((items.len() as u64).saturating_pow(2)).map_err(too_much)?;
    let mut kept: Vec<Value> = Vec::new();
    for item in items {
        if !kept.contains(item) {
            kept.push(item.clone());
        }
    }
    Ok(kept)
}
