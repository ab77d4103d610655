//! Commands in the text of scripts: what a shell would run, as far as that can be read off without running it. Must not
//! know why somebody asks.

/// Words that may stand before a command's name.
const BEFORE: [&str; 21] = [
    "-", "!", "{", "then", "do", "else", "if", "elif", "while", "until", "sudo", "exec", "env", "time", "nice",
    "nohup", "command", "eval", "RUN", "run:", "xargs",
];
/// Programs whose argument is a script.
const SHELLS: [&str; 5] = ["sh", "bash", "ash", "dash", "busybox"];

/// A command: the base name of its program, and its arguments without quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command<'t> {
    pub program: &'t str,
    pub arguments: Vec<&'t str>,
}

/// Calls `visit` for every command of a text, line by line. Lines that end in a backslash go on in the next.
pub(super) fn commands<'t>(text: &'t str, visit: &mut dyn FnMut(Command<'t>)) {
    let mut rest = text;
    while !rest.is_empty() {
        let (line, after) = logical_line(rest);
        segments(line, visit);
        rest = after;
    }
}

/// Up to the end of a line that does not go on, and what follows it.
fn logical_line(text: &str) -> (&str, &str) {
    let mut at = 0;
    while let Some(end) = text[at..].find('\n').map(|found| at + found) {
        if !text[..end].trim_end_matches('\r').ends_with('\\') {
            return (&text[..end], &text[end + 1..]);
        }
        at = end + 1;
    }
    (text, "")
}

/// The commands of a line: it is cut where a shell starts another one, outside quotes.
fn segments<'t>(line: &'t str, visit: &mut dyn FnMut(Command<'t>)) {
    if line.trim_start().starts_with('#') {
        return;
    }
    let (mut start, mut quote) = (0, None);
    for (at, c) in line.char_indices() {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            // Within double quotes only `$(…)` and backquotes start commands.
            ('(' | ')' | '`', Some('"')) | (';' | '&' | '|' | '(' | ')' | '`', None) => {
                segment(&line[start..at], visit);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    segment(&line[start..], visit);
}

fn segment<'t>(text: &'t str, visit: &mut dyn FnMut(Command<'t>)) {
    let mut words = words(text).into_iter().take_while(|word| !word.starts_with('#')).peekable();
    while words.next_if(|word| BEFORE.contains(word) || is_assignment(word)).is_some() {}
    let Some(program) = words.next() else { return };
    let program = program.rsplit('/').next().unwrap_or(program);
    let arguments: Vec<&str> = words.collect();
    if SHELLS.contains(&program)
        && let Some(at) = arguments.iter().position(|word| word.starts_with('-') && word.ends_with('c'))
        && let Some(script) = arguments.get(at + 1)
    {
        commands(script, visit);
    }
    if !program.is_empty() {
        visit(Command { program, arguments });
    }
}

/// Words between spaces; quotes hold one together and are left off at its ends.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut start, mut quote) = (None, None);
    for (at, c) in text.char_indices() {
        match (c, quote) {
            ('\'' | '"', None) => {
                quote = Some(c);
                start.get_or_insert(at);
            }
            (c, Some(open)) if c == open => quote = None,
            (c, None) if c.is_whitespace() || c == '\\' => words.extend(start.take().map(|from| bare(&text[from..at]))),
            _ => _ = start.get_or_insert(at),
        }
    }
    words.extend(start.map(|from| bare(&text[from..])));
    words
}

fn bare(word: &str) -> &str {
    let inner = |quote: char| word.strip_prefix(quote).map(|inner| inner.strip_suffix(quote).unwrap_or(inner));
    inner('"').or(inner('\'')).unwrap_or(word)
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !name.starts_with('-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Vec<String> {
        let mut seen = Vec::new();
        commands(text, &mut |command| seen.push(format!("{} {:?}", command.program, command.arguments)));
        seen
    }

    #[test]
    fn commands_are_found_where_a_shell_would_start_them() {
        for (text, expected) in [
            ("set -e\napk add  jq", &["set [\"-e\"]", "apk [\"add\", \"jq\"]"][..]),
            ("A=1 sudo /usr/bin/pip install x && git clone y", &["pip [\"install\", \"x\"]", "git [\"clone\", \"y\"]"]),
            ("if ! command curl -L \"$U\"; then exit 1; fi", &["curl [\"-L\", \"$U\"]", "exit [\"1\"]", "fi []"]),
            ("x=$(wget -q http://a) # curl b", &["wget [\"-q\", \"http://a\"]"]),
            ("apk add \\\n  jq \\\n  yq", &["apk [\"add\", \"jq\", \"yq\"]"]),
            ("sh -ec 'apk add jq; ls'", &["apk [\"add\", \"jq\"]", "ls []", "sh [\"-ec\", \"apk add jq; ls\"]"]),
            ("echo \"apk add jq; ls\"", &["echo [\"apk add jq; ls\"]"]),
            ("# apk add jq", &[]),
            ("- apk add jq", &["apk [\"add\", \"jq\"]"]),
            ("", &[]),
            ("'", &[]),
        ] {
            assert_eq!(seen(text), expected, "{text}");
        }
    }
}
