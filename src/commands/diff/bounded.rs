//! Texts as a screen can take them: nothing in them acts on a terminal, and of long ones only what changes is shown.

use crate::ui::count;

/// Texts of more characters are cut.
const LONG: usize = 400;
/// Characters that are shown around what changes.
const AROUND: usize = 60;
/// Characters that are shown of either end of what changes, or of the beginning of what only comes or goes.
const MOST: usize = 160;

/// The text with escapes in the place of characters that a terminal obeys, and of those that turn the direction of
/// writing: a text may not pretend to be another.
pub(super) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push(c),
            '\r' => out.push_str("\\r"),
            '\n' => out.push_str("\\n"),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// A text that has no counterpart: its beginning, if it is long.
pub(super) fn one(text: &str) -> String {
    match text.char_indices().nth(MOST) {
        Some((end, _)) if text.chars().nth(LONG).is_some() => {
            format!("{}…{}", &text[..end], length(text.chars().count()))
        }
        _ => text.to_owned(),
    }
}

/// Two texts of which one takes the other's place: where they differ, if one is long.
pub(super) fn both(old: &str, new: &str) -> (String, String) {
    if old.chars().nth(LONG).is_none() && new.chars().nth(LONG).is_none() {
        return (old.to_owned(), new.to_owned());
    }
    let (a, b): (Vec<char>, Vec<char>) = (old.chars().collect(), new.chars().collect());
    let start = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let common = a[start..].iter().rev().zip(b[start..].iter().rev());
    let end = common.take_while(|(a, b)| a == b).count();
    (window(&a, start, end), window(&b, start, end))
}

/// What stands after so many characters at the start and before so many at the end, with some around it.
fn window(text: &[char], start: usize, end: usize) -> String {
    let to = text.len() - end;
    let (first, last) = (start.saturating_sub(AROUND), (to + AROUND).min(text.len()));
    let said = |range: std::ops::Range<usize>| text[range].iter().collect::<String>();
    let shown = match to - start {
        n if n > 2 * MOST => format!("{} … {}", said(first..start + MOST), said(to - MOST..last)),
        _ => said(first..last),
    };
    let dots = |is_cut: bool| if is_cut { "…" } else { "" };
    format!("{}{shown}{}{}", dots(first > 0), dots(last < text.len()), length(text.len()))
}

fn length(characters: usize) -> String {
    format!("  ({})", count(characters, "character"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_spelled_out() {
        assert_eq!(harmless("a\u{1b}[31m\tb\u{1b}]0;t\u{7}\r\u{9b}"), "a\\u001b[31m\tb\\u001b]0;t\\u0007\\r\\u009b");
        assert_eq!(harmless("x\u{202e}y\u{2066}ä→"), "x\\u202ey\\u2066ä→");
    }

    #[test]
    fn of_long_texts_what_changes_is_shown() {
        let text = |middle: &str| format!("{}{middle}{}", "a".repeat(100_000), "ü".repeat(100_000));
        let (old, new) = both(&text("<old>"), &text("<new!>"));
        let around =
            |middle: &str, n: u32| format!("…{}<{middle}>{}…  ({n} characters)", "a".repeat(59), "ü".repeat(59));
        assert_eq!((old, new), (around("old", 200_005), around("new!", 200_006)));
        let (old, new) = both("x", &"y".repeat(1000));
        assert_eq!(old, "x  (1 character)");
        assert_eq!(new, format!("{} … {}  (1000 characters)", "y".repeat(160), "y".repeat(160)));
        assert_eq!(both("short", "texts"), ("short".to_owned(), "texts".to_owned()));
        assert_eq!(one(&"z".repeat(LONG)), "z".repeat(LONG));
        assert_eq!(one(&"z".repeat(LONG + 1)), format!("{}…  (401 characters)", "z".repeat(MOST)));
    }
}
