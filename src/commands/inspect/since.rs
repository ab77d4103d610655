//! What is new in a bundle since an older one, down to the files of the definition.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::bundle::{Bundle, Change, Difference};
use crate::definition::Tree;
use crate::digest::Digest;
use crate::ui::failure::Failures;
use crate::ui::{bytes, count};

/// Two bundles compared.
pub(super) struct Since {
    old: Digest,
    /// The environments, if they differ.
    environments: Option<[String; 2]>,
    found: Difference,
    files: Vec<Change>,
}

impl Since {
    /// Compares a bundle with an older one.
    pub fn between(old: &Bundle, new: &Bundle) -> Result<Since, Failures> {
        let [before, after] = [Tree::from_tar(&old.definition()?)?, Tree::from_tar(&new.definition()?)?];
        let environments = [old.environment().to_owned(), new.environment().to_owned()];
        Ok(Since {
            old: old.index_digest(),
            environments: (environments[0] != environments[1]).then_some(environments),
            found: new.since(old),
            files: files(&before, &after),
        })
    }

    fn parts(&self) -> [(&'static str, &'static str, &[Change]); 4] {
        let found = &self.found;
        [
            ("Definition", "definition", &self.files),
            ("Charts", "charts", &found.charts),
            ("Tools", "tools", &found.tools),
            ("Images", "images", &found.images),
        ]
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!("Since        {}\n", self.old);
        if let Some([old, new]) = &self.environments {
            text.push_str(&format!("Environment  {old} → {new}\n"));
        }
        for (heading, _, changes) in self.parts() {
            if !changes.is_empty() {
                text.push_str(&format!("{heading}\n"));
                changes.iter().for_each(|change| text.push_str(&line(change)));
            }
        }
        let found = &self.found;
        let (blobs, new, all) = (count(found.new_blobs, "blob"), bytes(found.new_bytes), bytes(found.all_bytes));
        text + &format!("To bring     {new} of {all}, {blobs}\n")
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let found = &self.found;
        let mut json = json!({
            "since": self.old, "newBlobs": found.new_blobs, "newBytes": found.new_bytes, "allBytes": found.all_bytes,
        });
        if let Some([old, new]) = &self.environments {
            json["environments"] = json!({"old": old, "new": new});
        }
        for (_, key, changes) in self.parts() {
            let all = changes.iter();
            json[key] = all.map(|c| json!({"name": c.name, "old": c.old, "new": c.new, "bytes": c.bytes})).collect();
        }
        json
    }
}

/// `+` is new, `-` is gone, `~` is another than it was.
fn line(change: &Change) -> String {
    let sign = match (change.old, change.new) {
        (None, _) => '+',
        (_, None) => '-',
        _ => '~',
    };
    let size = if change.bytes > 0 { format!("  {}", bytes(change.bytes)) } else { String::new() };
    format!("  {sign} {}{size}\n", change.name)
}

fn files(old: &Tree, new: &Tree) -> Vec<Change> {
    let names: BTreeSet<&str> = old.iter().chain(new.iter()).map(|(path, _)| path).collect();
    let all = names.into_iter().filter_map(|name| {
        let (before, after) = (old.get(name), new.get(name));
        let change = || Change {
            name: name.to_owned(),
            old: before.map(Digest::of),
            new: after.map(Digest::of),
            bytes: after.map_or(0, |bytes| bytes.len() as u64),
        };
        (before != after).then(change)
    });
    all.collect()
}
