//! Holds the walls of the house: which room stands on which floor and whom it may import, how long a file may be, and
//! what no module may be called. Reads the sources as text; must not need anything of the crate itself.
//!
//! When a wall stands in the wrong place, move it: change [`ROOMS`] and write down why in `docs/decisions/`.

#![allow(clippy::panic, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// A top-level module of the library: its floor, and the rooms of the same floor that it may import.
struct Room {
    name: &'static str,
    floor: u8,
    neighbours: &'static [&'static str],
}

const fn room(floor: u8, name: &'static str, neighbours: &'static [&'static str]) -> Room {
    Room { name, floor, neighbours }
}

/// The one table. Imports go down, or sideways to a neighbour named here; tests inside a room keep to it too.
const ROOMS: [Room; 28] = [
    room(0, "digest", &[]),
    room(0, "files", &["digest"]),
    room(0, "surroundings", &[]),
    room(0, "yaml", &[]),
    room(1, "image", &[]),
    room(1, "layout", &["image"]),
    room(1, "object", &[]),
    room(2, "capabilities", &["definition"]),
    room(2, "definition", &[]),
    room(2, "lock", &["definition"]),
    room(2, "record", &[]),
    room(3, "net", &[]),
    room(3, "tools", &[]),
    room(4, "bundle", &[]),
    room(4, "registry", &["bundle"]),
    room(4, "render", &["secrets"]),
    room(4, "secrets", &[]),
    room(4, "supply", &["bundle"]),
    room(5, "diff", &[]),
    room(5, "lint", &[]),
    room(5, "plan", &[]),
    room(5, "probe", &[]),
    room(5, "resolve", &[]),
    room(6, "execute", &["run"]),
    room(6, "run", &[]),
    room(7, "ui", &[]),
    room(8, "cli", &["commands"]),
    room(8, "commands", &[]),
];

/// The longest a file may be, its tests included.
const LONGEST: usize = 800;
/// The longest a file may be without being on the list.
const LONG: usize = 350;
/// Files that may be longer than [`LONG`], because a cut would tear apart what belongs together.
const LONG_FILES: [&str; 1] = ["src/yaml/read.rs"];

/// Names that say nothing of what is inside.
const EMPTY_NAMES: [&str; 8] = ["common", "core", "helper", "helpers", "manager", "misc", "util", "utils"];

#[test]
fn every_import_goes_down_or_to_a_named_neighbour() {
    report(&sources(), broken_imports);
}

#[test]
fn no_neighbour_is_named_in_vain() {
    let sources = sources();
    for Room { name, neighbours, .. } in &ROOMS {
        let own: Vec<&Source> =
            sources.iter().filter(|s| module_path(&s.path).first().is_some_and(|r| r == name)).collect();
        for neighbour in neighbours.iter().filter(|_| !own.is_empty()) {
            let used = own.iter().any(|s| scan(&s.text).paths.iter().any(|import| import.leads_to(neighbour)));
            assert!(used, "{name} does not use its neighbour {neighbour}: take that off the table");
        }
    }
}

#[test]
fn every_file_says_what_it_is_and_stays_short() {
    let sources = sources();
    report(&sources, broken_shape);
    for path in LONG_FILES {
        let lines = sources.iter().find(|source| source.path == path).map_or(0, |source| source.text.lines().count());
        assert!(lines > LONG, "{path} has {lines} lines: take it off the list of long files");
    }
}

/// A file of the crate.
struct Source {
    /// From the crate's folder: `src/plan/mod.rs`.
    path: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut open = vec![root.join("src")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                let path = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.push(Source { path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.iter().any(|source| source.path == "src/lib.rs"), "no sources in {}", root.display());
    found
}

fn report(sources: &[Source], check: fn(&Source) -> Vec<String>) {
    let broken: Vec<String> = sources.iter().flat_map(check).collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

// What holds for every file.

fn broken_shape(source: &Source) -> Vec<String> {
    let mut broken = Vec::new();
    let Source { path, text } = source;
    if !text.starts_with("//! ") {
        broken.push(format!("{path}:1: the file does not begin with a line `//! …` that says what it owns"));
    }
    let lines = text.lines().count();
    if lines > LONGEST {
        broken.push(format!("{path}:{}: {lines} lines, and no file may have more than {LONGEST}", LONGEST + 1));
    } else if lines > LONG && !LONG_FILES.contains(&path.as_str()) {
        broken.push(format!(
            "{path}:{}: {lines} lines; cut the file in two, or put it on the list of long files",
            LONG + 1
        ));
    }
    let modules = module_path(path).into_iter().map(|name| (1, name));
    let inner = scan(text).modules.into_iter().map(|(line, name)| (line, name.to_owned()));
    for (line, name) in modules.chain(inner) {
        if EMPTY_NAMES.contains(&name.as_str()) {
            broken.push(format!("{path}:{line}: a module called `{name}`: name it for the concept it owns"));
        }
    }
    broken
}

/// `src/net/oci/mod.rs` is `net::oci`; the roots are the empty path.
fn module_path(path: &str) -> Vec<String> {
    let inner = path.trim_start_matches("src/").trim_end_matches(".rs");
    let inner = inner.strip_suffix("/mod").unwrap_or(inner);
    match inner {
        "lib" | "main" => Vec::new(),
        inner => inner.split('/').map(str::to_owned).collect(),
    }
}

// What holds for every import.

fn broken_imports(source: &Source) -> Vec<String> {
    let Source { path, text } = source;
    let module = module_path(path);
    let place = match module.first() {
        None if path == "src/main.rs" => Place::Main,
        None => Place::Root,
        Some(name) => match find(name) {
            Ok(room) => Place::Room(room, module.len()),
            Err(rule) => return vec![format!("{path}:1: {rule}")],
        },
    };
    let scanned = scan(text);
    let mut broken = Vec::new();
    for (line, name) in scanned.modules {
        let rule = match place {
            Place::Main => Err("main only uses the library".to_owned()),
            Place::Root => find(name).map(|_| ()),
            Place::Room(..) => Ok(()),
        };
        broken.extend(rule.err().map(|rule| format!("{path}:{line}: `mod {name}`: {rule}")));
    }
    for import in scanned.paths {
        let rule = allowed(place, &import).err();
        broken.extend(rule.map(|rule| format!("{path}:{}: `{}`: {rule}", import.line, import.segments.join("::"))));
    }
    broken
}

/// Where an import stands.
#[derive(Clone, Copy)]
enum Place {
    /// `main.rs`.
    Main,
    /// `lib.rs`.
    Root,
    /// In a room, so many modules below the crate's root.
    Room(&'static Room, usize),
}

fn find(name: &str) -> Result<&'static Room, String> {
    let found = ROOMS.iter().find(|room| room.name == name);
    found.ok_or_else(|| format!("`{name}` is no room in the table of tests/architecture.rs"))
}

fn allowed(place: Place, import: &Import) -> Result<(), String> {
    let first = import.segments[0].as_str();
    match (place, first) {
        (Place::Main, "platctl") | (Place::Root, _) => Ok(()),
        (Place::Main, _) => Err("main only uses the library, as `platctl::…`".to_owned()),
        (Place::Room(..), "platctl") => Err("inside the library a path begins with `crate::`".to_owned()),
        (Place::Room(room, _), "crate") => allowed_between(room, &import.segments[1]),
        (Place::Room(_, depth), _) if import.ups() < depth + import.inside => Ok(()),
        (Place::Room(..), _) => {
            Err("it leaves the room by `super`; a path out of a room begins with `crate::`".to_owned())
        }
    }
}

fn allowed_between(from: &Room, to: &str) -> Result<(), String> {
    let to = find(to)?;
    let (name, floor) = (from.name, from.floor);
    if to.floor > floor {
        return Err(format!("it goes up: {name} is on floor {floor}, {} on floor {}", to.name, to.floor));
    }
    if to.floor == floor && to.name != name && !from.neighbours.contains(&to.name) {
        return Err(format!("{} is on floor {floor} as {name} is, and not among the neighbours it names", to.name));
    }
    Ok(())
}

// Reading Rust as far as that needs.

/// A path that begins with `crate`, `super`, `self` or the library's name.
struct Import {
    line: usize,
    segments: Vec<String>,
    /// How many inline modules it stands in.
    inside: usize,
}

impl Import {
    /// How many modules `super` goes up.
    fn ups(&self) -> usize {
        let named = self.segments.iter().filter(|segment| *segment != "self");
        named.take_while(|segment| *segment == "super").count()
    }

    fn leads_to(&self, room: &str) -> bool {
        self.segments[0] == "crate" && self.segments[1] == room
    }
}

/// The paths of a text, and the modules it declares.
#[derive(Default)]
struct Scanned<'t> {
    paths: Vec<Import>,
    modules: Vec<(usize, &'t str)>,
}

fn scan(text: &str) -> Scanned<'_> {
    let tokens = tokens(text);
    let mut scanned = Scanned::default();
    let (mut depth, mut open_modules) = (0, Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        let (line, token) = tokens[at];
        at += 1;
        match token {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                open_modules.retain(|opened| *opened <= depth);
            }
            "mod" => {
                let Some((_, name)) = tokens.get(at).filter(|(_, name)| is_word(name)) else { continue };
                scanned.modules.push((line, name));
                if tokens.get(at + 1).is_some_and(|(_, token)| *token == "{") {
                    open_modules.push(depth + 1);
                }
            }
            "crate" | "super" | "self" | "platctl" if tokens.get(at).is_some_and(|(_, token)| *token == "::") => {
                let from = scanned.paths.len();
                at = tree(&tokens, at - 1, &mut Vec::new(), &mut scanned.paths);
                scanned.paths[from..].iter_mut().for_each(|import| import.inside = open_modules.len());
            }
            _ => {}
        }
    }
    scanned
}

/// Reads one path, or one tree of a `use`, from a token on; the position after it.
fn tree(tokens: &[(usize, &str)], mut at: usize, before: &mut Vec<(usize, String)>, found: &mut Vec<Import>) -> usize {
    let known = before.len();
    while let Some((line, token)) = tokens.get(at).copied() {
        if token == "{" {
            at += 1;
            while tokens.get(at).is_some_and(|(_, token)| *token != "}") {
                at = if tokens[at].1 == "," { at + 1 } else { tree(tokens, at, before, found) };
            }
            before.truncate(known);
            return at + 1;
        }
        at += 1;
        before.push((line, token.to_owned()));
        // `::<` gives a function its types and ends the path.
        let goes_on = tokens.get(at).is_some_and(|(_, token)| *token == "::");
        if !goes_on || !tokens.get(at + 1).is_some_and(|(_, next)| is_word(next) || matches!(*next, "{" | "*")) {
            break;
        }
        at += 1;
    }
    // The line of the room's name, which in a tree over several lines is not that of its beginning.
    let line = before.get(1).or(before.first()).map_or(0, |(line, _)| *line);
    found.push(Import { line, segments: before.iter().map(|(_, segment)| segment.clone()).collect(), inside: 0 });
    before.truncate(known);
    match tokens.get(at) {
        Some((_, "as")) => at + 2,
        _ => at,
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Words, `::` and single signs, each with its line; comments, strings and characters are left out.
fn tokens(text: &str) -> Vec<(usize, &str)> {
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let length = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => quoted(rest),
            '\'' => character(rest),
            'r' | 'b' | 'c' if raw_string(rest).is_some() => raw_string(rest).unwrap_or(1),
            c if c.is_alphabetic() || c == '_' => {
                let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                tokens.push((line, &rest[..length]));
                length
            }
            ':' if rest.starts_with("::") => {
                tokens.push((line, &rest[..2]));
                2
            }
            c if c.is_whitespace() || c.is_numeric() => c.len_utf8(),
            c => {
                tokens.push((line, &rest[..c.len_utf8()]));
                c.len_utf8()
            }
        };
        line += rest[..length].matches('\n').count();
        at += length;
    }
    tokens
}

/// Comments of this kind nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A character's length, or 1 for the quote of a lifetime.
fn character(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match (characters.next(), characters.next()) {
        (Some((_, '\\')), Some(_)) => characters.find(|(_, c)| *c == '\'').map_or(text.len(), |(at, _)| at + 1),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

/// The length of `r"…"`, `r#"…"#`, `br"…"`, `cr"…"`, if the text begins with one.
fn raw_string(text: &str) -> Option<usize> {
    let start = text.trim_start_matches(['b', 'c']);
    let prefix = text.len() - start.len();
    let after = start.strip_prefix('r').filter(|_| prefix <= 1)?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let inner = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = inner.find(&end).map_or(inner.len(), |at| at + end.len());
    Some(prefix + 1 + hashes + 1 + length)
}

// The test of the test.

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    fn imports(path: &str, text: &str) -> Vec<String> {
        broken_imports(&source(path, text))
    }

    #[track_caller]
    fn refused(path: &str, text: &str, expected: &str) {
        let broken = imports(path, text);
        assert!(broken.len() == 1 && broken[0].starts_with(expected), "{text}: {broken:?}, not {expected}");
    }

    #[test]
    fn what_is_allowed_is_let_pass() {
        for (path, text) in [
            ("src/files/mod.rs", "use crate::digest::{Digest, Hasher};\npub use store::Store;"),
            ("src/files/store.rs", "use super::{FileError, private_folder};\nuse self::x::y;\nuse crate::files;"),
            ("src/definition/tree.rs", "mod tests {\n fn f() { super::super::pack::plain_header(1); }\n}"),
            ("src/net/oci/mod.rs", "pub(in crate::net) fn f() {}\npub(super) fn g() {}\npub(crate) fn h() {}"),
            ("src/commands/apply.rs", "use crate::execute::Work;\nuse crate::{plan, ui::{self, table}};"),
            ("src/main.rs", "use platctl::cli;\nfn main() { std::process::exit(platctl::commands::run()) }"),
            ("src/digest.rs", "//! [`crate::ui`]\n/* use crate::ui; /* nested */ use crate::ui; */\n"),
            ("src/digest.rs", "const A: &str = \"use crate::ui;\\\" crate::ui\"; const B: char = '\"'; fn f<'a>() {}"),
            ("src/digest.rs", "const A: &str = r#\"\" use crate::ui;\"#; const B: &[u8] = br\"crate::ui\";"),
        ] {
            assert_eq!(imports(path, text), [""; 0], "{path}: {text}");
        }
    }

    #[test]
    fn imports_that_go_up_are_named() {
        refused(
            "src/digest.rs",
            "//! x\n\nuse crate::files::Store;",
            "src/digest.rs:3: `crate::files::Store`: files is on floor 0",
        );
        let up = "src/yaml/read.rs:2: `crate::ui::failure`: it goes up: yaml is on floor 0, ui on floor 7";
        refused("src/yaml/read.rs", "use crate::yaml::Node;\nuse crate::ui::failure;", up);
        refused("src/yaml/read.rs", "\npub use crate::ui::failure;", up);
        refused("src/yaml/read.rs", "\nuse crate::ui::failure as digest;", up);
        refused("src/yaml/read.rs", "fn f() {\n    crate::ui::failure(\"x\")\n}", up);
        refused("src/yaml/read.rs", "mod tests {\n    use crate::ui::failure;\n}", up);
        refused("src/yaml/read.rs", "macro_rules! m { () => {\n $crate::ui::failure } }", up);
        refused("src/yaml/read.rs", "fn f() {\n let x = crate::ui::failure::<u8>(1); }", up);
    }

    #[test]
    fn groups_over_several_lines_name_the_line_of_the_room() {
        let text = "use crate::{\n    digest::{self, Digest},\n    tools::{\n        Helm,\n        kubectl::{Cluster},\n    },\n};";
        let broken = imports("src/lock/read.rs", text);
        assert_eq!(
            broken,
            [
                "src/lock/read.rs:3: `crate::tools::Helm`: it goes up: lock is on floor 2, tools on floor 3",
                "src/lock/read.rs:3: `crate::tools::kubectl::Cluster`: it goes up: lock is on floor 2, tools on floor 3",
            ]
        );
        refused("src/lock/read.rs", "use {std::fs,\n crate::net};", "src/lock/read.rs:2: `crate::net`: it goes up");
    }

    #[test]
    fn neighbours_must_be_named() {
        assert_eq!(imports("src/registry/mod.rs", "use crate::bundle::Bundle;"), [""; 0]);
        refused(
            "src/bundle/mod.rs",
            "use crate::registry::push;",
            "src/bundle/mod.rs:1: `crate::registry::push`: registry is on floor 4 as bundle is, and not among",
        );
    }

    #[test]
    fn a_room_is_left_by_its_name_alone() {
        let by_super = "it leaves the room by `super`";
        refused("src/digest.rs", "\nuse super::ui;", &format!("src/digest.rs:2: `super::ui`: {by_super}"));
        refused("src/digest.rs", "use super::*;", &format!("src/digest.rs:1: `super::*`: {by_super}"));
        let text = "mod tests {\n use super::*;\n fn f() { super::super::ui::x() }\n}\nuse super::y;";
        let broken = imports("src/digest.rs", text);
        assert_eq!(broken.len(), 2, "{broken:?}");
        assert!(broken[0].starts_with("src/digest.rs:3: `super::super::ui::x`"), "{broken:?}");
        assert!(broken[1].starts_with("src/digest.rs:5: `super::y`"), "{broken:?}");
        refused(
            "src/net/oci/mod.rs",
            "use super::super::super::ui;",
            "src/net/oci/mod.rs:1: `super::super::super::ui`",
        );
        refused(
            "src/net/oci/mod.rs",
            "use super::{\nsuper::{super::ui}};",
            "src/net/oci/mod.rs:2: `super::super::super::ui`",
        );
        refused("src/net/mod.rs", "use platctl::digest;", "src/net/mod.rs:1: `platctl::digest`: inside the library");
    }

    #[test]
    fn a_room_must_be_in_the_table() {
        refused("src/shed/mod.rs", "", "src/shed/mod.rs:1: `shed` is no room in the table");
        refused(
            "src/lib.rs",
            "pub mod digest;\npub mod shed;",
            "src/lib.rs:2: `mod shed`: `shed` is no room in the table",
        );
        refused("src/ui/mod.rs", "use crate::shed::rake;", "src/ui/mod.rs:1: `crate::shed::rake`: `shed` is no room");
        refused("src/ui/mod.rs", "use crate::*;", "src/ui/mod.rs:1: `crate::*`: `*` is no room");
    }

    #[test]
    fn main_only_uses_the_library() {
        refused("src/main.rs", "\nmod plan;", "src/main.rs:2: `mod plan`: main only uses the library");
        refused("src/main.rs", "use crate::x;", "src/main.rs:1: `crate::x`: main only uses the library");
    }

    #[test]
    fn files_without_a_word_too_long_or_ill_named_are_reported() {
        let broken = |path: &str, text: &str| broken_shape(&source(path, text)).join("; ");
        let lines = |count: usize| format!("//! x\n{}", "\n".repeat(count - 1));
        assert_eq!(broken("src/plan/mod.rs", &lines(LONG)), "");
        assert!(broken("src/plan/mod.rs", "// x\n").starts_with("src/plan/mod.rs:1: the file does not begin"));
        assert!(broken("src/plan/mod.rs", &lines(LONG + 1)).starts_with("src/plan/mod.rs:351: 351 lines; cut"));
        assert_eq!(broken(LONG_FILES[0], &lines(LONGEST)), "");
        assert!(broken(LONG_FILES[0], &lines(LONGEST + 1)).starts_with("src/yaml/read.rs:801: 801 lines, and"));
        assert!(broken("src/net/util.rs", "//! x").starts_with("src/net/util.rs:1: a module called `util`"));
        assert!(broken("src/core/mod.rs", "//! x").starts_with("src/core/mod.rs:1: a module called `core`"));
        assert!(
            broken("src/net/mod.rs", "//! x\nmod helpers;").starts_with("src/net/mod.rs:2: a module called `helpers`")
        );
        assert!(
            broken("src/net/mod.rs", "//! x\n\nmod misc { }").starts_with("src/net/mod.rs:3: a module called `misc`")
        );
    }
}
