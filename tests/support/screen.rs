//! Snapshots of what a user sees, with what differs from run to run given a name.

/// What is given a name, in this order.
pub fn filters(folder: &str) -> Vec<(String, &'static str)> {
    let mut filters = vec![(regex_escaped(folder), "[dir]")];
    let fixed = [
        (r"127\.0\.0\.1:\d+", "[host]"),
        (r"sha256:[0-9a-f]{64}", "sha256:[hex]"),
        (r"sha256-[0-9a-f]{64}", "sha256-[hex]"),
        (r"\b[0-9a-f]{64}\b", "[hex]"),
        (r"\b[0-9a-f]{40}\b", "[inputs]"),
        (r"\b\d{8}-\d{6}-[A-Za-z0-9]{4}\b", "[run]"),
        (r"\b\d+(\.\d+)? ([KMGT]iB|B)\b", "[size]"),
        (r"\b(\d+\.\ds|\d+m\d\ds)\b", "[time]"),
        // A column of whole seconds, which is as wide as what is in it.
        (r"  (<1s|\d\d?s) +", "  [time]  "),
        (r"/store/\.\d+\.\d+", "/store/.[pid]"),
        (r"needs \d+ more bytes", "needs [n] more bytes"),
        (r"os error \d+", "os error [n]"),
        // Where the index ends changes with every key that a bundle gets.
        (r"at byte \d+ is refused", "at byte [n] is refused"),
        (r"has \d+ bytes after its end", "has [n] bytes after its end"),
        (r"lacks (at least )?\d+ of its", "lacks $1[n] of its"),
        (r"at line 1 column \d+", "at line 1 column [n]"),
    ];
    filters.extend(fixed.map(|(pattern, name)| (pattern.to_owned(), name)));
    filters
}

fn regex_escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if !c.is_ascii_alphanumeric() && c != '/' && c != '_' && c != '-' {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Lines that say what was pinned come as they come.
pub fn settled(screen: &str) -> String {
    let mut lines: Vec<&str> = screen.lines().collect();
    lines.chunk_by_mut(|a, b| is_pin(a) && is_pin(b)).for_each(|chunk| chunk.sort_unstable());
    lines.join("\n")
}

fn is_pin(line: &str) -> bool {
    line.trim_start().starts_with("Pinned  ")
}

/// Compares a text, such as an output's screen, with its snapshot: `assert_screen!(folder, "name", text)`.
#[macro_export]
macro_rules! assert_screen {
    ($folder:expr, $name:expr, $text:expr) => {{
        let filters = $crate::support::screen::filters(&$folder.display().to_string());
        let filters: Vec<(&str, &str)> = filters.iter().map(|(pattern, name)| (pattern.as_str(), *name)).collect();
        let text = $crate::support::screen::settled(&$text);
        insta::with_settings!({filters => filters, omit_expression => true}, {
            insta::assert_snapshot!($name, text);
        });
    }};
}
