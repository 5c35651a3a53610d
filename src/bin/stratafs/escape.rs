//! Names are bytes; what is printed is text. Two ways to write the one as the other.

use std::fmt;

const UPPER: &[u8; 16] = b"0123456789ABCDEF";
const LOWER: &[u8; 16] = b"0123456789abcdef";

/// For programs: what is not in 0x21 to 0x7e, and `%` itself, as `%` and two upper-case hexadecimal digits.
pub(crate) fn percent(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'%' | ..=0x20 | 0x7f.. => {
                text.push('%');
                text.extend(digits(byte, UPPER));
            }
            _ => text.push(byte.into()),
        }
    }
    text
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|&byte| digits(byte, LOWER)).collect()
}

fn digits(byte: u8, digits: &[u8; 16]) -> [char; 2] {
    [byte >> 4, byte & 0xf].map(|half| digits[usize::from(half)].into())
}

/// For people: text as it is; what a terminal would obey, a backslash and what is no UTF-8 as in a string literal.
pub(crate) struct Shown<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for char in chunk.valid().chars() {
                match char {
                    '\\' => f.write_str("\\\\")?,
                    _ if char.is_control() => write!(f, "{}", char.escape_default())?,
                    _ => write!(f, "{char}")?,
                }
            }
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_writes_all_but_printable_ascii_as_digits() {
        assert_eq!(percent(b"a/b c%\x00\x7f\xff~!"), "a/b%20c%25%00%7F%FF~!");
    }

    #[test]
    fn shown_keeps_text_and_takes_the_power_from_all_else() {
        let shown = Shown("ä\u{1b}[2J\\\n".as_bytes()).to_string();
        assert_eq!(shown, "ä\\u{1b}[2J\\\\\\n");
        assert_eq!(Shown(b"\xff-\xc3").to_string(), "\\xff-\\xc3");
    }
}
