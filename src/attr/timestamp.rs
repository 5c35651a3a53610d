//! Points in time.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

/// A point in time: seconds since 1970 (negative before) and nanoseconds after that second.
///
/// # Examples
///
/// ```
/// use stratafs::Timestamp;
///
/// let moment = Timestamp::new(-1, 999_999_999);
/// assert!(moment < Timestamp::EPOCH);
/// assert_eq!(moment.nanos(), 999_999_999);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(from = "(i64, u32)", into = "(i64, u32)"))]
pub struct Timestamp {
    secs: i64,
    nanos: u32,
}

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self::new(0, 0);

    /// `secs` seconds and `nanos` nanoseconds after 1970; nanoseconds past a second are carried over.
    pub const fn new(secs: i64, nanos: u32) -> Self {
        let carry = (nanos / 1_000_000_000) as i64;
        Self { secs: secs.saturating_add(carry), nanos: nanos % 1_000_000_000 }
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn secs(self) -> i64 {
        self.secs
    }

    /// Nanoseconds since that second, 0 to 999,999,999.
    pub const fn nanos(self) -> u32 {
        self.nanos
    }
}

impl fmt::Display for Timestamp {
    /// As RFC 3339 has it, in UTC: `2023-11-14T22:13:20Z`, with as much of a fraction as there is.
    ///
    /// Years of more than four digits have a sign, as ISO 8601 has it for those who agree on it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.secs.div_euclid(86_400), self.secs.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        match year {
            0..=9999 => write!(f, "{year:04}")?,
            _ => write!(f, "{year:+05}")?,
        }
        write!(f, "-{month:02}-{day:02}T")?;
        write!(f, "{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)?;
        if self.nanos > 0 {
            write!(f, ".{}", format!("{:09}", self.nanos).trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

/// Year, month and day of a day, counted from 1970-01-01, in the Gregorian calendar: in years that begin in March, the leap
/// day is the last, and the months before it are 153 days for every five.
fn civil(days: i64) -> (i64, i64, i64) {
    let day = days + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let from_january = if month < 10 { month + 3 } else { month - 9 };
    let carry = i64::from(from_january <= 2);
    (year + era * 400 + carry, from_january, of_year - (153 * month + 2) / 5 + 1)
}

impl FromStr for Timestamp {
    type Err = crate::ErrorKind;

    /// As RFC 3339 has it: `2023-11-14T22:13:20Z`, with digits of a second and an offset from UTC where there are any; what is
    /// finer than a nanosecond is cut off.
    ///
    /// # Errors
    ///
    /// - `InvalidInput`: anything else.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        rfc3339(text).ok_or(crate::ErrorKind::InvalidInput)
    }
}

impl From<(i64, u32)> for Timestamp {
    /// Seconds and nanoseconds, as [`new`](Self::new) takes them.
    fn from((secs, nanos): (i64, u32)) -> Self {
        Self::new(secs, nanos)
    }
}

impl From<Timestamp> for (i64, u32) {
    fn from(time: Timestamp) -> Self {
        (time.secs, time.nanos)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => {
                Self::new(0_i64.saturating_add_unsigned(after.as_secs()), after.subsec_nanos())
            }
            Err(before) => {
                let before = before.duration();
                let secs = 0_i64.saturating_sub_unsigned(before.as_secs());
                match before.subsec_nanos() {
                    0 => Self::new(secs, 0),
                    nanos => Self::new(secs.saturating_sub(1), 1_000_000_000 - nanos),
                }
            }
        }
    }
}

impl TryFrom<Timestamp> for SystemTime {
    type Error = crate::ErrorKind;

    /// # Errors
    ///
    /// - `OutOfRange`: the platform's clock cannot hold it.
    fn try_from(time: Timestamp) -> Result<Self, Self::Error> {
        let nanos = Duration::from_nanos(time.nanos.into());
        let whole = Duration::from_secs(time.secs.unsigned_abs());
        let second = if time.secs < 0 {
            Self::UNIX_EPOCH.checked_sub(whole)
        } else {
            Self::UNIX_EPOCH.checked_add(whole)
        };
        second.and_then(|second| second.checked_add(nanos)).ok_or(crate::ErrorKind::OutOfRange)
    }
}

/// The day since 1970, in the Gregorian calendar: in years that begin in March, so that the leap day is the last.
fn day(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn rfc3339(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let [year, month, day_of_month] = numbers(date, '-', [4, 2, 2])?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let in_range = (1..=12).contains(&month)
        && (1..=31).contains(&day_of_month)
        && hour < 24
        && minute < 60
        && second <= 60;
    let (nanos, zone) = match rest.strip_prefix('.') {
        Some(rest) => fraction(rest)?,
        None => (0, rest),
    };
    let secs = day(year, month, day_of_month) * 86_400 + hour * 3600 + minute * 60 + second;
    in_range.then_some(Timestamp::new(secs - offset(zone)?, nanos))
}

/// As many numbers as there are lengths, each of just so many digits.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(between);
    let mut found = [0; N];
    for (number, digits) in found.iter_mut().zip(digits) {
        let part = parts.next()?;
        let is_number = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        *number = if is_number { part.parse().ok()? } else { return None };
    }
    parts.next().is_none().then_some(found)
}

/// Nanoseconds, and what follows the digits.
fn fraction(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let nanos = format!("{digits:0<9}");
    (!digits.is_empty()).then_some((nanos.get(..9)?.parse().ok()?, rest))
}

/// Seconds east of Greenwich.
fn offset(zone: &str) -> Option<i64> {
    let (sign, zone) = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => return Some(0),
        ("+", zone) => (1, zone),
        ("-", zone) => (-1, zone),
        _ => return None,
    };
    let [hours, minutes] = numbers(zone, ':', [2, 2])?;
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamp_survives_the_way_through_system_time() {
        for time in [
            Timestamp::EPOCH,
            Timestamp::new(-1, 5),
            Timestamp::new(-7, 0),
            Timestamp::new(1 << 33, 999),
        ] {
            assert_eq!(Timestamp::from(SystemTime::try_from(time).unwrap()), time);
        }
    }

    #[test]
    fn timestamp_is_written_as_rfc_3339_has_it() {
        for (secs, nanos, text) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (-1, 500_000_000, "1969-12-31T23:59:59.5Z"),
            (951_782_400, 0, "2000-02-29T00:00:00Z"),
            (1_700_000_000, 1, "2023-11-14T22:13:20.000000001Z"),
            (253_402_300_799, 0, "9999-12-31T23:59:59Z"),
            (253_402_300_800, 0, "+10000-01-01T00:00:00Z"),
            (-62_167_219_201, 0, "-0001-12-31T23:59:59Z"),
        ] {
            assert_eq!(Timestamp::new(secs, nanos).to_string(), text);
        }
        // No time is too far away to be written.
        assert!(Timestamp::new(i64::MIN, 0).to_string().starts_with("-292277022"));
        assert!(Timestamp::new(i64::MAX, 0).to_string().starts_with("+292277026596"));
    }

    #[test]
    fn timestamp_is_read_as_it_is_written_and_with_an_offset() {
        for time in
            [(0, 0), (-1, 500_000_000), (951_782_399, 0), (951_782_400, 1), (-62_135_596_800, 0)]
        {
            let time = Timestamp::from(time);
            assert_eq!(time.to_string().parse(), Ok(time));
        }
        assert_eq!("2023-11-14T23:13:20+01:00".parse(), Ok(Timestamp::new(1_700_000_000, 0)));
        for text in ["", "now", "2023-11-14", "2023-13-14T00:00:00Z", "2023-11-14T00:00:00", "1"] {
            assert_eq!(text.parse::<Timestamp>(), Err(crate::ErrorKind::InvalidInput), "{text}");
        }
    }

    #[test]
    fn timestamp_at_the_ends_is_exact_or_out_of_range() {
        for time in [(i64::MIN, 0), (i64::MIN, 7), (i64::MIN + 1, 0), (i64::MAX, 999_999_999)] {
            let time = Timestamp::new(time.0, time.1);
            match SystemTime::try_from(time) {
                Ok(there) => assert_eq!(Timestamp::from(there), time),
                // What the platform's clock holds differs; Linux's holds all of these.
                Err(kind) => assert_eq!(kind, crate::ErrorKind::OutOfRange),
            }
        }
    }
}
