//! Finds texts that are percent-encoded, whichever characters the encoder thought it had to escape: the text is decoded
//! byte by byte, and what is found there is led back to where it stood.

use std::ops::Range;

use zeroize::Zeroizing;

/// Where the forms stand percent-encoded, with at least one escape or a `+` for a space.
pub(super) fn places(forms: &[Zeroizing<String>], text: &str) -> Vec<Range<usize>> {
    if !text.contains('%') && !text.contains('+') {
        return Vec::new();
    }
    [false, true].into_iter().flat_map(|plus| decoded_places(forms, text, plus)).collect()
}

fn decoded_places(forms: &[Zeroizing<String>], text: &str, plus: bool) -> Vec<Range<usize>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut starts = Vec::with_capacity(text.len() + 1);
    let mut at = 0;
    while at < text.len() {
        starts.push(at);
        let byte = text.as_bytes()[at];
        let escaped = (byte == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        let escaped = escaped.filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                at += 3;
            }
            None => {
                bytes.push(if plus && byte == b'+' { b' ' } else { byte });
                at += 1;
            }
        }
    }
    starts.push(text.len());
    let mut found = Vec::new();
    for form in forms.iter().map(|form| form.as_bytes()) {
        let matches = bytes.windows(form.len()).enumerate().filter(|(_, window)| *window == form);
        found.extend(matches.map(|(i, _)| starts[i]..starts[i + form.len()]));
    }
    // A form that begins in the middle of a character can't be one.
    found.retain(|place| text.is_char_boundary(place.start) && text.is_char_boundary(place.end));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_escape_is_found() {
        let forms = [Zeroizing::new("p/w d\u{e9}%".to_owned())];
        for text in ["p%2Fw%20d%C3%A9%25", "p/w+d%c3%a9%25", "%70/w%20d\u{e9}%", "p/w d\u{e9}%25"] {
            let whole = format!("\u{e9}%zz{text}%");
            assert!(places(&forms, &whole).contains(&(5..5 + text.len())), "{text}");
        }
        assert!(places(&forms, "100% p/w+d%").is_empty());
    }
}
