//! Numbers as people read them.

use std::time::Duration;

/// Bytes with a decimal prefix: `0 B`, `950 B`, `1.2 MB`.
pub(crate) fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut unit = "B";
    for larger in ["kB", "MB", "GB", "TB", "PB", "EB"] {
        // What would be printed as 1000 belongs to the next unit.
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    match unit {
        "B" => format!("{count} B"),
        _ if value < 9.95 => format!("{value:.1} {unit}"),
        _ => format!("{value:.0} {unit}"),
    }
}

/// A round-trip time: `0.25 ms`, `12 ms`, `1.2 s`.
pub(crate) fn round_trip(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1000.0;
    match millis {
        ..9.95 => format!("{millis:.2} ms"),
        ..999.5 => format!("{millis:.0} ms"),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

/// A long time, roughly: `12 s`, `5 min`, `3 h`, `2 d`.
pub(crate) fn roughly(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        172_800.. => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_two_digits_or_more_and_one_unit() {
        let counts = [0, 999, 1_000, 1_234, 9_960, 12_345, 999_499, 999_999, 1_000_000, 3_400_000_000, u64::MAX];
        let expected =
            ["0 B", "999 B", "1.0 kB", "1.2 kB", "10 kB", "12 kB", "999 kB", "1.0 MB", "1.0 MB", "3.4 GB", "18 EB"];
        assert_eq!(counts.map(bytes), expected);
    }

    #[test]
    fn times_get_coarser_as_they_grow() {
        let micros = [0, 247, 9_900, 12_000, 999_000, 1_230_000];
        let expected = ["0.00 ms", "0.25 ms", "9.90 ms", "12 ms", "999 ms", "1.2 s"];
        assert_eq!(micros.map(|micros| round_trip(Duration::from_micros(micros))), expected);
        assert_eq!(
            [5, 119, 120, 7_199, 7_200, 172_800].map(roughly),
            ["5 s", "119 s", "2 min", "119 min", "2 h", "2 d"]
        );
    }
}
