//! How a text looks inside base64 of a longer one: the characters that do not depend on what stands around it, for
//! each of the three ways it can lie in base64's groups.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// The part that is the same wherever the text stands in what was encoded; one for each offset.
pub fn base64_cores(text: &[u8]) -> [String; 3] {
    [0, 1, 2].map(|offset| {
        let mut shifted = vec![0; offset];
        shifted.extend_from_slice(text);
        let encoded = STANDARD_NO_PAD.encode(&shifted);
        // Six bits a character: those that hold a bit of a neighbour are left out.
        let first = (offset * 8).div_ceil(6);
        let last = shifted.len() * 8 / 6;
        encoded.get(first..last.max(first)).unwrap_or_default().to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn a_text_is_found_inside_base64_of_any_longer_one() {
        let text = b"hush-hush\xc3\xa9";
        for before in ["", "a", "ab", "abc", "\u{1f600}x"] {
            for after in ["", "a", "\u{7f}\u{7f}"] {
                let encoded = STANDARD.encode([before.as_bytes(), text, after.as_bytes()].concat());
                let core = &base64_cores(text)[before.len() % 3];
                assert!(encoded.contains(core.as_str()) && core.len() >= 12, "{before} {after}");
            }
        }
    }
}
