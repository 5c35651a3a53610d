//! Points in time as people write them, in UTC.

use stratafs::Timestamp;

/// `2026-11-24 14:55:22`, for listings.
pub(crate) fn listed(time: Timestamp) -> String {
    let text = Timestamp::new(time.secs(), 0).to_string();
    text.trim_end_matches('Z').replace('T', " ")
}

/// The day since 1970, in the Gregorian calendar: in years that begin in March, so that the leap day is the last.
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
    fn times_are_read_as_they_are_written() {
        for (secs, nanos) in [
            (0, 0),
            (-1, 500_000_000),
            (951_782_399, 0),
            (951_782_400, 1),
            (4_107_542_400, 0),
            (-62_135_596_800, 0),
            (253_402_300_799, 999_999_999),
        ] {
            let time = Timestamp::new(secs, nanos);
            assert_eq!(parse(&time.to_string()), Ok(time));
        }
    }

    #[test]
    fn times_are_listed_to_the_second() {
        assert_eq!(listed(Timestamp::new(951_782_399, 999)), "2000-02-28 23:59:59");
        assert!(!listed(Timestamp::new(i64::MIN, 0)).is_empty());
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
