//! What helm, a chart's schema or an API server says is wrong with values, read out of their words: only what names a
//! path of values or a value exactly. Must not know whose values they are.

/// One thing that is said of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Complaint {
    /// A chart's schema refuses what stands at a place of that chart's values.
    Schema {
        /// The chart, as its parent calls it.
        chart: String,
        /// The place, a key or a number a step.
        path: Vec<String>,
        /// Why.
        says: String,
    },
    /// A chart's schema has no such key.
    UnknownKey {
        /// The chart, as its parent calls it.
        chart: String,
        /// The place, the key being the last step.
        path: Vec<String>,
    },
    /// A template fails, naming a place of its chart's values.
    Template {
        /// The charts on the way down from the release's own to the template's, which is the last.
        charts: Vec<String>,
        /// The place.
        path: Vec<String>,
    },
    /// An API server refuses a value.
    Value {
        /// The field of the object.
        field: String,
        /// The value as text.
        value: String,
    },
    /// An API server refuses an amount and says neither where nor which.
    Quantity,
}

/// A chart's refusal to take images that it does not know; those made of Bitnami's have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageGuard {
    /// The value that lets them pass when it is `true`.
    pub switch: String,
    /// The images that it does not know.
    pub images: Vec<String>,
}

/// A chart's refusal of images, if that is what some words are.
pub fn image_guard(word: &str) -> Option<ImageGuard> {
    let (_, rest) = word.split_once("Unrecognized images:")?;
    let (_, after) = rest.split_once("skip container image verification by setting the global parameter '")?;
    let (switch, _) = after.split_once("' to true")?;
    let images = rest.lines().skip(1).map_while(|line| line.trim_start().strip_prefix("- "));
    Some(ImageGuard { switch: switch.to_owned(), images: images.map(|image| image.trim().to_owned()).collect() })
}

/// Everything that some words say of values, each once.
pub fn complaints(word: &str) -> Vec<Complaint> {
    // What is logged is said once more at the end, without escapes.
    let lines: Vec<&str> = word.lines().filter(|line| !line.starts_with("level=")).collect();
    let mut found = schema(&lines);
    let word = lines.join("\n");
    if found.is_empty() {
        found = template(&word);
    }
    if found.is_empty() {
        found = server(&word);
    }
    let mut once = Vec::new();
    found.into_iter().for_each(|complaint| {
        if !once.contains(&complaint) {
            once.push(complaint);
        }
    });
    once
}

/// What schemas say: a heading for each chart, a line for each place, what explains a line further in below it.
fn schema(lines: &[&str]) -> Vec<Complaint> {
    let begin = lines.iter().position(|line| line.contains("don't meet the specifications of the schema(s)"));
    let Some(begin) = begin else { return Vec::new() };
    let mut found = Vec::new();
    let mut chart = "";
    // Below the name of a key that is refused, places are places in that name.
    let mut inside_name = None;
    for line in &lines[begin + 1..] {
        let indent = line.len() - line.trim_start().len();
        let Some((path, says)) = schema_line(line.trim_start()) else {
            chart = line.strip_suffix(':').unwrap_or(chart);
            continue;
        };
        if inside_name.is_some_and(|outer| indent > outer) {
            continue;
        }
        inside_name = says.starts_with("invalid propertyName").then_some(indent);
        found.extend(said_at(chart, path, says));
    }
    found
}

/// `- at '/a/0': says`.
fn schema_line(line: &str) -> Option<(Vec<String>, &str)> {
    let (pointer, says) = line.strip_prefix("- at '")?.split_once("': ")?;
    let step = |step: &str| step.replace("~1", "/").replace("~0", "~").replace("\\'", "'");
    Some((pointer.split('/').skip(1).map(step).collect(), says))
}

fn said_at(chart: &str, path: Vec<String>, says: &str) -> Vec<Complaint> {
    let chart = chart.to_owned();
    let with = |key: String| path.iter().cloned().chain([key]).collect();
    // What failed there is said of the places below.
    if says == "validation failed" {
        return Vec::new();
    }
    if says.starts_with("additional propert") || says.starts_with("invalid propertyName") {
        let unknown = |key| Complaint::UnknownKey { chart: chart.clone(), path: with(key) };
        return quoted(says).into_iter().map(unknown).collect();
    }
    if says.starts_with("missing propert") {
        let missing = |key| Complaint::Schema { chart: chart.clone(), path: with(key), says: "missing".to_owned() };
        return quoted(says).into_iter().map(missing).collect();
    }
    vec![Complaint::Schema { chart, path, says: says.to_owned() }]
}

/// The texts in single quotes.
fn quoted(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut chars = text.chars();
    while chars.by_ref().any(|c| c == '\'') {
        let mut key = String::new();
        while let Some(c) = chars.next().filter(|c| *c != '\'') {
            key.extend(if c == '\\' { chars.next() } else { Some(c) });
        }
        found.push(key);
    }
    found
}

/// What a failing template names: the innermost that names anything. Templates by name are mostly given the caller's
/// values, so the place is one in the values of the file that is rendered, the first that is named.
fn template(word: &str) -> Vec<Complaint> {
    let Some(charts) = word.split([' ', '(', '\n']).find_map(template_file) else { return Vec::new() };
    let parts: Vec<&str> = word.split(" at <").collect();
    let paths = parts.iter().rev().map(|part| values_paths(part)).find(|paths| !paths.is_empty());
    let complaint = |path| Complaint::Template { charts: charts.clone(), path };
    paths.into_iter().flatten().map(complaint).collect()
}

/// `chart/charts/sub/templates/a.yaml:6:15` and what may follow, as the charts on the way.
fn template_file(text: &str) -> Option<Vec<String>> {
    let (file, place) = text.split_once(':')?;
    let (folders, _) = file.split_once("/templates/")?;
    place.starts_with(|c: char| c.is_ascii_digit()).then_some(())?;
    Some(folders.split("/charts/").map(str::to_owned).collect())
}

/// `.Values.a.b` as written anywhere in a text.
fn values_paths(text: &str) -> Vec<Vec<String>> {
    let path = |rest: &str| {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.'))).unwrap_or(rest.len());
        rest[..end].split('.').take_while(|key| !key.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    text.split(".Values.").skip(1).map(path).filter(|path| !path.is_empty()).collect()
}

/// What an API server says of fields of objects.
fn server(word: &str) -> Vec<Complaint> {
    let mut found = Vec::new();
    for says in [": Invalid value: ", ": Unsupported value: "] {
        let mut before = "";
        for part in word.split(says) {
            let field = before.rsplit(char::is_whitespace).next().unwrap_or_default().trim_start_matches('[');
            let value = if field.is_empty() { None } else { refused_value(part) };
            found.extend(value.map(|value| Complaint::Value { field: field.to_owned(), value }));
            before = part;
        }
    }
    if found.is_empty() && word.contains("quantities must match the regular expression") {
        found.push(Complaint::Quantity);
    }
    found
}

/// The value that a text begins with: a number, a text in quotes, or the one text in an object.
fn refused_value(text: &str) -> Option<String> {
    let value = serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>().next()?.ok()?;
    let mut texts = Vec::new();
    scalars(&value, &mut texts);
    match texts.as_slice() {
        [one] if !one.is_empty() => Some(one.clone()),
        _ => None,
    }
}

fn scalars(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Null => {}
        serde_json::Value::Array(items) => items.iter().for_each(|item| scalars(item, found)),
        serde_json::Value::Object(map) => map.values().for_each(|value| scalars(value, found)),
        serde_json::Value::String(text) => found.push(text.clone()),
        other => found.push(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
