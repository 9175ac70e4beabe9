//! Durations and dates, as people type and read them. Dates are UTC, so that they mean the same on every node.

use anyhow::{Result, bail};
use fides::{DAY, Time};

/// Hours, in seconds.
const HOUR: u64 = 3_600;

/// A duration: `30m`, `12h`, `7d`; in seconds.
///
/// # Errors
/// If it is none, or is zero.
pub(in crate::user) fn duration(text: &str) -> Result<u64> {
    let (number, unit) = text.split_at(text.len() - text.chars().next_back().map_or(0, char::len_utf8));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => HOUR,
        "d" => DAY,
        _ => 0,
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(seconds)) {
        Some(total) if total > 0 && number.bytes().all(|byte| byte.is_ascii_digit()) => Ok(total),
        Some(_) | None => bail!("`{text}' is no duration: write for example 30m, 12h, 7d or 90d"),
    }
}

/// A date, `2027-01-31` or `2027-01-31T12:00`.
///
/// # Errors
/// If it is none.
pub(in crate::user) fn date(text: &str) -> Result<Time> {
    let (day, clock) = text.split_once('T').unwrap_or((text, "00:00"));
    let fields = numbers::<3>(day, '-', [4, 2, 2]).zip(numbers::<2>(clock, ':', [2, 2]));
    match fields {
        Some(([year, month, day], [hour, minute]))
            if year >= 1970 && is_day(year, month, day) && hour < 24 && minute < 60 =>
        {
            Ok(Time(days(year, month, day) * DAY + hour * HOUR + minute * 60))
        }
        Some(_) | None => bail!("`{text}' is no date: write for example 2027-01-31 or 2027-01-31T12:00 (UTC)"),
    }
}

/// Numbers of so many digits each.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[u64; N]> {
    let parts: Vec<&str> = text.split(between).collect();
    let fit = parts.len() == N && parts.iter().zip(digits).all(|(part, len)| part.len() == len);
    let all: Option<Vec<u64>> = parts.iter().map(|part| part.parse().ok().filter(|_| !part.starts_with('+'))).collect();
    all.filter(|_| fit)?.try_into().ok()
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn month_days(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

fn is_day(year: u64, month: u64, day: u64) -> bool {
    (1..=month_days(year, month)).contains(&day)
}

/// Days from 1970-01-01.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let past_years: u64 = (1970..year).map(|year| 365 + u64::from(is_leap(year))).sum();
    let past_months: u64 = (1..month).map(|month| month_days(year, month)).sum();
    past_years + past_months + day - 1
}

/// A time as `2027-01-31 12:00`, or as seconds if it is too far away for a date.
pub(in crate::user) fn text(time: Time) -> String {
    let (mut left, mut year) = (time.0 / DAY, 1970);
    if time.0 >= 10_000 * 366 * DAY {
        return format!("{time} s");
    }
    while left >= 365 + u64::from(is_leap(year)) {
        left -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    while left >= month_days(year, month) {
        left -= month_days(year, month);
        month += 1;
    }
    let (hour, minute) = (time.0 % DAY / HOUR, time.0 % HOUR / 60);
    format!("{year:04}-{month:02}-{:02} {hour:02}:{minute:02}", left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(
            ["30m", "12h", "7d", "90d"].map(|text| duration(text).unwrap()),
            [1_800, 43_200, 604_800, 7_776_000]
        );
        for text in ["", "7", "d", "7 d", "-7d", "+7d", "0d", "7w", "7dd", "99999999999999999999d", "7ä"] {
            assert!(duration(text).unwrap_err().to_string().contains("7d"), "{text}");
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date("1970-01-01").unwrap(), Time(0));
        assert_eq!(date("2026-11-26T13:04").unwrap(), Time(1_795_698_240));
        assert_eq!(date("2028-02-29").unwrap().0 + DAY, date("2028-03-01").unwrap().0);
        for text in ["2027-02-29", "2027-13-01", "2027-1-1", "27-01-01", "2027-01-31T24:00", "2027-01-31 12:00", "soon"]
        {
            assert!(date(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_read_is_written_the_same() {
        for day in (0..40_000).step_by(17) {
            let time = Time(day * DAY + 12 * HOUR + 34 * 60);
            assert_eq!(date(&text(time).replace(' ', "T")).unwrap(), time);
        }
        assert_eq!(text(Time(u64::MAX)), format!("{} s", u64::MAX));
    }
}
