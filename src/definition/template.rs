//! Evaluates string leaves as Tera templates. A leaf that is one whole `{{ expression }}` keeps the expression's type;
//! one that gives `none` removes its key. Must not read clock, environment or network.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tera::{Kwargs, State, Tera, TeraResult};

use super::asked::Asked;
use super::blame::{MAX_OUTPUT, UNDEFINED, explain, undefined, unreadable};
use super::budget::{Budget, Spent, TOO_MUCH, too_much};
use super::convert::typed;
use super::expression::{self, Name};
use super::filters;
use super::functions::{self, Desk};
use super::guard;
use super::scope::{Leaf, Scope};
use crate::yaml::{Entry, Map, Node, Problem, Span, Value};

/// The longest template.
const MAX_TEMPLATE: usize = 256 * 1024;
/// The most that one expression's value may weigh.
const MAX_RESULT: u64 = 16 << 20;

/// Evaluates leaves.
pub(super) struct Evaluator {
    tera: Tera,
    captured: Arc<Mutex<Option<tera::Value>>>,
    budget: Arc<Budget>,
    desk: Arc<Desk>,
    asked: Asked,
}

impl Evaluator {
    pub(super) fn new(asked: &Asked) -> Evaluator {
        let evaluator = Evaluator {
            tera: Tera::new(),
            captured: Arc::default(),
            budget: Arc::new(Budget::new()),
            desk: Arc::default(),
            asked: asked.clone(),
        };
        evaluator.equip()
    }

    fn equip(mut self) -> Evaluator {
        self.guards();
        filters::register(&mut self.tera, &self.budget);
        functions::register(&mut self.tera, &self.budget, &self.desk);
        self.asked.register(&mut self.tera);
        self
    }

    /// What functions read and note.
    pub(super) fn desk(&self) -> &Desk {
        &self.desk
    }

    fn guards(&mut self) {
        let slot = Arc::clone(&self.captured);
        let budget = Arc::clone(&self.budget);
        self.tera.register_filter(guard::CAPTURE, move |value: tera::Value, _: Kwargs, _: &State| {
            defined(&value)?;
            at_most(budget.weigh(&value).map_err(too_much)?, MAX_RESULT)?;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
            Ok::<_, tera::Error>(String::new())
        });
        let budget = Arc::clone(&self.budget);
        self.tera.register_filter(guard::WEIGH, move |value: tera::Value, _: Kwargs, _: &State| {
            defined(&value)?;
            budget.weigh(&value).map_err(too_much)?;
            Ok::<_, tera::Error>(value)
        });
        let budget = Arc::clone(&self.budget);
        self.tera.register_filter(guard::WEIGH_OPTIONAL, move |value: tera::Value, _: Kwargs, _: &State| {
            budget.weigh(&value).map_err(too_much)?;
            Ok::<_, tera::Error>(value)
        });
        let budget = Arc::clone(&self.budget);
        self.tera.register_filter(guard::WEIGH_TEXT, move |value: tera::Value, _: Kwargs, _: &State| {
            defined(&value)?;
            at_most(budget.weigh(&value).map_err(too_much)?, MAX_OUTPUT as u64)?;
            Ok::<_, tera::Error>(value)
        });
        let budget = Arc::clone(&self.budget);
        self.tera.register_filter(guard::WEIGH_ITEMS, move |value: tera::Value, _: Kwargs, _: &State| {
            defined(&value)?;
            budget.rounds(&value).map_err(too_much)?;
            Ok::<_, tera::Error>(value)
        });
    }

    /// Evaluates one leaf; `None` when it gives `none`.
    pub(super) fn leaf(&self, leaf: Leaf, scope: &dyn Scope) -> Result<Option<Node>, Problem> {
        self.asked.begin();
        let value = self.value(leaf, scope)?;
        self.asked.end(leaf.sources, leaf.span, value.as_ref())?;
        Ok(value)
    }

    fn value(&self, leaf: Leaf, scope: &dyn Scope) -> Result<Option<Node>, Problem> {
        self.budget.begin();
        if leaf.text.len() > MAX_TEMPLATE {
            return Err(leaf.problem(format!("the template is longer than {MAX_TEMPLATE} bytes")));
        }
        let Some(code) = expression::code(leaf.text) else { return Err(unreadable(leaf)) };
        let whole = expression::whole(leaf.text);
        if let Some(name) = whole.as_ref().and_then(expression::plain_path).filter(|name| name.root == "values") {
            return self.copy(leaf, &name, scope);
        }
        let guarded = guard::guard(leaf.text, &code, whole.is_some())
            .map_err(|forbidden| leaf.problem_at(forbidden.message, forbidden.range))?;
        let names = expression::names(&code);
        let mut output = Capped(Vec::new());
        let run = self.tera.render_str_to(&guarded.text, &scope.context(&names), false, &mut output);
        run.map_err(|error| explain(leaf, &guarded, &code, &names, scope, &error))?;
        if whole.is_some() {
            let taken = self.captured.lock().unwrap_or_else(PoisonError::into_inner).take();
            let taken = taken.ok_or_else(|| leaf.problem("the expression gave no value"))?;
            return typed(&taken, leaf.span).map_err(|message| leaf.problem(message));
        }
        let text = String::from_utf8(output.0).map_err(|_| leaf.problem("the template gives no UTF-8"))?;
        Ok(Some(Node::new(Value::String(text), leaf.span)))
    }

    /// A path into the values and nothing else: what stands there, as if it were written here.
    fn copy(&self, leaf: Leaf, name: &Name, scope: &dyn Scope) -> Result<Option<Node>, Problem> {
        let Some(found) = scope.values(&name.path) else { return Err(undefined(leaf, name, scope)) };
        self.budget.weigh_node(found).map_err(|Spent| leaf.problem(TOO_MUCH))?;
        Ok(copied(found, leaf.span))
    }
}

/// A copy with another place; what is nothing is left out.
fn copied(node: &Node, span: Span) -> Option<Node> {
    let value = match &node.value {
        Value::Null => return None,
        Value::List(items) => Value::List(items.iter().filter_map(|item| copied(item, span)).collect()),
        Value::Map(map) => {
            let entry = |entry: &Entry| {
                Some(Entry { key: entry.key.clone(), key_span: span, node: copied(&entry.node, span)? })
            };
            Value::Map(Map(map.0.iter().filter_map(entry).collect()))
        }
        plain => plain.clone(),
    };
    Some(Node::new(value, span))
}

fn defined(value: &tera::Value) -> TeraResult<()> {
    if value.is_undefined() { Err(tera::Error::message(UNDEFINED)) } else { Ok(()) }
}

fn at_most(weight: u64, most: u64) -> TeraResult<()> {
    if weight > most { Err(tera::Error::message(format!("the value is larger than {most} bytes"))) } else { Ok(()) }
}

/// Takes what one leaf may become.
struct Capped(Vec<u8>);

impl Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
