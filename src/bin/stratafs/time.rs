//! Points in time as people write them, in UTC.

use std::fmt;

use stratafs::Timestamp;

const DAY: i128 = 86_400;

/// `2026-11-24T14:55:22Z`, with as many digits of a second as are needed.
pub(crate) struct Rfc3339(pub(crate) Timestamp);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_seconds(f, self.0, 'T')?;
        if self.0.nanos() > 0 {
            let digits = format!("{:09}", self.0.nanos());
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

/// `2026-11-24 14:55:22`, for listings.
pub(crate) struct Listed(pub(crate) Timestamp);

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_seconds(f, self.0, ' ')
    }
}

fn write_seconds(f: &mut fmt::Formatter<'_>, time: Timestamp, between: char) -> fmt::Result {
    let secs = i128::from(time.secs());
    let (days, of_day) = (secs.div_euclid(DAY), secs.rem_euclid(DAY));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    write!(f, "{year:04}-{month:02}-{day:02}{between}{hour:02}:{minute:02}:{second:02}")
}

/// Year, month and day of a day since 1970: the years of 400 years each, which begin in March, so that the day that not
/// every year has comes last.
fn date(days: i128) -> (i128, i128, i128) {
    let from_march = days + 719_468;
    let (era, day) = (from_march.div_euclid(146_097), from_march.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = year + era * 400 + i128::from(month >= 10);
    (year, if month < 10 { month + 3 } else { month - 9 }, day)
}

/// The day since 1970: `date` backwards.
fn day(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// `2026-11-24T14:55:22Z`, the same with an offset or with digits of a second, or seconds since 1970.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    if let Ok(secs) = text.strip_prefix('@').unwrap_or(text).parse() {
        return Ok(Timestamp::new(secs, 0));
    }
    rfc3339(text).ok_or_else(|| {
        format!("`{text}` is no time: write 2026-11-24T14:55:22Z or seconds since 1970")
    })
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
    fn times_are_written_and_read_alike() {
        for (secs, nanos, text) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (-1, 500_000_000, "1969-12-31T23:59:59.5Z"),
            (951_782_399, 0, "2000-02-28T23:59:59Z"),
            (951_782_400, 1, "2000-02-29T00:00:00.000000001Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00Z"),
            (-62_135_596_800, 0, "0001-01-01T00:00:00Z"),
        ] {
            let time = Timestamp::new(secs, nanos);
            assert_eq!(Rfc3339(time).to_string(), text);
            assert_eq!(parse(text), Ok(time), "{text}");
        }
        assert!(!Rfc3339(Timestamp::new(i64::MIN, 0)).to_string().is_empty());
    }

    #[test]
    fn times_are_read_in_other_forms_too() {
        let time = Ok(Timestamp::new(1_700_000_000, 0));
        for text in ["1700000000", "@1700000000", "2023-11-14T23:13:20+01:00"] {
            assert_eq!(parse(text), time, "{text}");
        }
        for text in ["", "now", "2023-11-14", "2023-13-14T00:00:00Z", "2023-11-14T00:00:00"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
