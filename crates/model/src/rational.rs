//! Exact fractions: frame rates and time bases are never floats (24000/1001 stays 24000/1001).

use std::{cmp::Ordering, fmt, str::FromStr};

use crate::field::serde_as_text;

/// A positive fraction in lowest terms, or zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rational {
    num: u64,
    den: u64,
}

impl Rational {
    /// `num / den` in lowest terms; `None` when `den` is zero.
    pub const fn new(num: u64, den: u64) -> Option<Self> {
        if den == 0 {
            return None;
        }
        let divisor = gcd(num, den);
        Some(Self { num: num / divisor, den: den / divisor })
    }

    /// A whole number.
    pub const fn whole(num: u64) -> Self {
        Self { num, den: 1 }
    }

    /// The numerator, in lowest terms.
    pub const fn num(self) -> u64 {
        self.num
    }

    /// The denominator, in lowest terms; never zero.
    pub const fn den(self) -> u64 {
        self.den
    }

    /// The nearest float.
    pub fn as_f64(self) -> f64 {
        self.num as f64 / self.den as f64
    }

    /// Whether it is zero.
    pub const fn is_zero(self) -> bool {
        self.num == 0
    }
}

const fn gcd(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    if a == 0 { 1 } else { a }
}

impl Ord for Rational {
    fn cmp(&self, other: &Self) -> Ordering {
        let left = u128::from(self.num) * u128::from(other.den);
        let right = u128::from(other.num) * u128::from(self.den);
        left.cmp(&right)
    }
}

impl PartialOrd for Rational {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Rational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.den {
            1 => write!(f, "{}", self.num),
            den => write!(f, "{}/{den}", self.num),
        }
    }
}

impl FromStr for Rational {
    type Err = String;

    /// Reads `25`, `30000/1001` and ffprobe's `64:45`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (num, den) = text.split_once(['/', ':']).unwrap_or((text, "1"));
        let parsed = match (num.parse(), den.parse()) {
            (Ok(num), Ok(den)) => Self::new(num, den),
            _ => None,
        };
        parsed.ok_or_else(|| "is not a fraction such as 30000/1001".to_owned())
    }
}

serde_as_text!(Rational);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowest_terms_and_order() {
        let ntsc: Rational = "60000/2002".parse().expect("a fraction");
        assert_eq!(ntsc.to_string(), "30000/1001");
        assert!(ntsc < Rational::whole(30));
        assert_eq!("0/0".parse::<Rational>(), Err("is not a fraction such as 30000/1001".to_owned()));
    }
}
