//! Points in time as people write them, in UTC.

use stratafs::Timestamp;

/// `2026-11-24 14:55:22`, for listings.
pub(crate) fn listed(time: Timestamp) -> String {
    let text = Timestamp::new(time.secs(), 0).to_string();
    text.trim_end_matches('Z').replace('T', " ")
}

/// `2026-11-24T14:55:22Z`, the same with an offset or with digits of a second, or seconds since 1970.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    if let Ok(secs) = text.strip_prefix('@').unwrap_or(text).parse() {
        return Ok(Timestamp::new(secs, 0));
    }
    text.parse().map_err(|_| {
        format!("`{text}` is no time: write 2026-11-24T14:55:22Z or seconds since 1970")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
