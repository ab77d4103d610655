//! The table of codes as pages for people: `docs/runbook.md`, which a test compares with what is written here, and
//! `platctl runbook`, because a site may have no documents at hand. Texts alone.

use super::code::{Row, TABLE};
use super::{Code, Kind};

/// The hundreds of codes.
const PARTS: [(u16, &str); 8] = [
    (0, "The definition"),
    (200, "The lock"),
    (300, "Bundles"),
    (400, "The cluster"),
    (500, "Networks and registries"),
    (600, "Files and tools"),
    (700, "The command line"),
    (1000, "Rules of `lint`"),
];

/// `docs/runbook.md`.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Runbook: what failures mean and what to do\n\n\
         Written from the table in `src/ui/failure/code.rs`; do not edit. Each failure shows its code, what failed, the\n\
         tool's own words, and who can do something: *transient* (it may work when tried again), *permanent*, or *yours*\n\
         to fix. `platctl runbook CODE` prints the same where this file is not at hand.\n",
    );
    for (index, (from, title)) in PARTS.iter().enumerate() {
        let end = PARTS.get(index + 1).map_or(u16::MAX, |(next, _)| *next);
        text.push_str(&format!("\n## {title}\n"));
        for row in TABLE.iter().filter(|row| (*from..end).contains(&(row.code as u16))) {
            let Row { code, name, causes, todo, .. } = row;
            let kind = kind(row.kind);
            text.push_str(&format!("\n### {code}\n\n**{name}** ({kind}). {causes}\n\n{todo}\n"));
        }
    }
    text
}

/// One code for a terminal; none, when there is no such code.
pub fn page(code: &str) -> Option<String> {
    let row = TABLE.iter().find(|row| row.code.to_string().eq_ignore_ascii_case(code))?;
    Some(format!("{}: {} ({})\n\n{}\n\n{}\n", row.code, row.name, kind(row.kind), row.causes, row.todo))
}

/// All codes, a line each.
pub fn list() -> String {
    TABLE.iter().map(|row| format!("{:<7} {}\n", row.code.to_string(), row.name)).collect()
}

/// Where a code's page is, for a failure's help.
pub fn place(code: Code) -> String {
    format!("see `platctl runbook {code}` or docs/runbook.md#{}", code.to_string().to_lowercase())
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Transient => "transient",
        Kind::Permanent => "permanent",
        Kind::Yours => "yours to fix",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// `INSTA_UPDATE=always`, as for snapshots, writes it anew.
    #[test]
    #[allow(clippy::disallowed_methods)]
    fn the_document_is_what_the_table_says() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbook.md");
        if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
            std::fs::write(&path, markdown()).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == markdown(), "docs/runbook.md is old: INSTA_UPDATE=always cargo test --lib runbook");
        assert!(TABLE.iter().all(|row| written.contains(&format!("\n### {}\n", row.code))));
    }

    #[test]
    fn a_code_is_found_as_people_write_it() {
        assert!(page("e0412").is_some_and(|page| page.starts_with("E0412: A release did not become ready")));
        assert!(page("PL201").is_some());
        assert_eq!(page("E9999"), None);
        assert!(place(Code::NotReady).ends_with("docs/runbook.md#e0412"));
    }
}
