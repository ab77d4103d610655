//! What a scalar without quotes means. The rules are those of go-yaml v2 (`resolve.go`), the reader inside Helm:
//! YAML 1.1 booleans, octal numbers with a leading zero, underscores in numbers. Timestamps stay text.

use super::Value;

/// The value of a plain scalar; an error for infinities and NaN, which JSON and so Helm's values can't hold.
pub(super) fn resolve(text: &str) -> Result<Value, &'static str> {
    let value = match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Value::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Err("not a number (.nan) can't be a Helm value"),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf" | "-.INF" => {
            return Err("infinity can't be a Helm value");
        }
        _ => number(text).unwrap_or_else(|| Value::String(text.to_owned())),
    };
    Ok(value)
}

/// Whether Helm keeps a whole number as it is: it turns every number into a float of 64 bits.
pub fn is_exact(int: i64) -> bool {
    const LIMIT: u64 = 1 << 53;
    int.unsigned_abs() <= LIMIT
}

/// Whether a text would be read as something else than text if it were written without quotes.
pub fn plain_needs_quotes(text: &str) -> bool {
    !matches!(resolve(text), Ok(Value::String(_)))
}

fn number(text: &str) -> Option<Value> {
    let first = *text.as_bytes().first()?;
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
        return None;
    }
    let plain = text.replace('_', "");
    if let Some(int) = integer(&plain) {
        return Some(Value::Int(int));
    }
    if is_float(&plain) {
        return plain.parse().ok().filter(|f: &f64| f.is_finite()).map(Value::Float);
    }
    None
}

/// Go's `strconv.ParseInt(text, 0, 64)`.
fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// go-yaml's `yamlStyleFloat`: `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`.
fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let mantissa_ok = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    mantissa_ok && exponent.is_none_or(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_helm_reads_it() {
        let int = Value::Int;
        let string = |s: &str| Value::String(s.into());
        for (text, expected) in [
            ("yes", Value::Bool(true)),
            ("off", Value::Bool(false)),
            ("~", Value::Null),
            ("0755", int(493)),
            ("0o755", int(493)),
            ("0x1F", int(31)),
            ("0b11", int(3)),
            ("1_000", int(1000)),
            ("-12", int(-12)),
            ("08", Value::Float(8.0)),
            ("1.50", Value::Float(1.5)),
            (".5", Value::Float(0.5)),
            ("1e3", Value::Float(1000.0)),
            ("5.4.0", string("5.4.0")),
            ("2001-01-01", string("2001-01-01")),
            ("12:30:45", string("12:30:45")),
            ("-", string("-")),
            ("+-1", string("+-1")),
            ("0x", string("0x")),
            ("nope", string("nope")),
        ] {
            assert_eq!(resolve(text), Ok(expected), "{text}");
        }
        assert!(resolve(".inf").is_err());
    }
}
