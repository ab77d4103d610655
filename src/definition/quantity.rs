//! Kubernetes quantities as numbers: `500m`, `16Gi`, `1.5`, `2e3`. Must not round: what does not come out even is a
//! fraction.

/// A quantity: so many times ten to a power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quantity {
    digits: i128,
    exponent: i32,
}

/// What a division gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Whole(i64),
    Part(f64),
}

/// Whether a text is a quantity.
pub fn is_quantity(text: &str) -> bool {
    parse(text).is_some()
}

/// Whether two texts are the same quantity: `500m` and `0.5`.
pub fn is_same_quantity(a: &str, b: &str) -> bool {
    let even = |text| {
        let mut quantity = parse(text)?;
        while quantity.digits != 0 && quantity.digits % 10 == 0 {
            quantity = Quantity { digits: quantity.digits / 10, exponent: quantity.exponent + 1 };
        }
        Some(if quantity.digits == 0 { Quantity { digits: 0, exponent: 0 } } else { quantity })
    };
    even(a).is_some_and(|a| even(b) == Some(a))
}

/// Reads a quantity; `None` for anything else.
pub(super) fn parse(text: &str) -> Option<Quantity> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') || number.len() > 30 {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let digits = if text.starts_with('-') { -digits } else { digits };
    let (factor, power) = factor(suffix)?;
    Some(Quantity { digits: digits.checked_mul(factor)?, exponent: power - fraction.len() as i32 })
}

/// What a suffix multiplies by: a factor and a power of ten.
fn factor(suffix: &str) -> Option<(i128, i32)> {
    const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    const DECIMAL: [(&str, i32); 10] =
        [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
    if let Some(power) = BINARY.iter().position(|unit| *unit == suffix) {
        return Some((1024_i128.pow(power as u32 + 1), 0));
    }
    if let Some((_, power)) = DECIMAL.iter().find(|(unit, _)| *unit == suffix) {
        return Some((1, *power));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    (exponent.abs() <= 18).then_some((1, exponent))
}

impl Quantity {
    /// How many of a unit it is.
    pub(super) fn divided_by(self, unit: Quantity) -> Number {
        let power = self.exponent - unit.exponent;
        let scale = |n: i128, power: i32| 10_i128.checked_pow(power.max(0) as u32).and_then(|p| n.checked_mul(p));
        let exact = || {
            let (top, bottom) = (scale(self.digits, power)?, scale(unit.digits, -power)?);
            (bottom != 0 && top % bottom == 0).then(|| i64::try_from(top / bottom).ok())?
        };
        match exact() {
            Some(whole) => Number::Whole(whole),
            None => Number::Part(self.digits as f64 / unit.digits as f64 * 10_f64.powi(power)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_as_kubernetes_reads_them() {
        let number = |text: &str, unit: &str| Some(parse(text)?.divided_by(parse(&format!("1{unit}"))?));
        for (text, unit, expected) in [
            ("16Gi", "", Number::Whole(17_179_869_184)),
            ("500Gi", "Mi", Number::Whole(512_000)),
            ("1.5Gi", "Mi", Number::Whole(1536)),
            ("500m", "", Number::Part(0.5)),
            ("1500m", "m", Number::Whole(1500)),
            ("2", "m", Number::Whole(2000)),
            ("1G", "Mi", Number::Part(1e9 / 1_048_576.0)),
            ("2e3", "k", Number::Whole(2)),
            ("-1k", "", Number::Whole(-1000)),
        ] {
            assert_eq!(number(text, unit), Some(expected), "{text} in {unit}");
        }
        for (a, b, same) in [
            ("500m", "0.5", true),
            ("1Gi", "1024Mi", true),
            ("1", "1.0", true),
            ("0", "0m", true),
            ("1G", "1Gi", false),
            ("x", "x", false),
        ] {
            assert_eq!(is_same_quantity(a, b), same, "{a} and {b}");
        }
        for text in ["", "Gi", "1.2.3", "1 Gi", "1gi", "1KB", "x", "1e99", ".", "99999999999999999999999999999999Ei"] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
