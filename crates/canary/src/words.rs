//! Numbers as people read them.

use std::time::Duration;

/// The head of a text that somebody else wrote, for an error message.
pub(crate) fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

/// At most six digits behind the point, and no zeros at the end.
pub(crate) fn plain(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `39,870`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A share as `18.9 %`, `0.11 %` or `0.0031 %`.
pub fn percent(share: f64) -> String {
    format!("{} %", digits(share * 100.0))
}

/// A difference of shares as `+0.41 points`.
pub fn points(difference: f64) -> String {
    let sign = if difference < 0.0 { '-' } else { '+' };
    format!("{sign}{} points", digits(difference.abs() * 100.0))
}

/// Three digits that say something, and no more than four behind the point.
pub(crate) fn digits(value: f64) -> String {
    let size = value.abs();
    let behind = match size {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.0995 => 2,
        0.0 => 0,
        _ => 4,
    };
    format!("{value:.behind$}")
}

/// `43 ms`, `1.2 s` or `850 µs`.
pub fn latency(us: f64) -> String {
    if us < 999.5 {
        format!("{us:.0} µs")
    } else if us < 9_950.0 {
        format!("{:.1} ms", us / 1e3)
    } else if us < 999_500.0 {
        format!("{:.0} ms", us / 1e3)
    } else {
        format!("{:.1} s", us / 1e6)
    }
}

/// As in a setting: `90s`, `5m`, `2h`.
pub fn period(period: Duration) -> String {
    let ms = period.as_millis();
    match ms {
        0 => "0s".to_owned(),
        _ if ms.is_multiple_of(86_400_000) => format!("{}d", ms / 86_400_000),
        _ if ms.is_multiple_of(3_600_000) => format!("{}h", ms / 3_600_000),
        _ if ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
        _ if ms.is_multiple_of(1_000) => format!("{}s", ms / 1_000),
        _ => format!("{ms}ms"),
    }
}

/// For reading: `2m 10s`.
pub fn elapsed(period: Duration) -> String {
    let seconds = period.as_secs();
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, 0) => format!("{minutes}m"),
        (0, minutes, seconds) => format!("{minutes}m {seconds}s"),
        (hours, 0, _) => format!("{hours}h"),
        (hours, minutes, _) => format!("{hours}h {minutes}m"),
    }
}

/// Two digits that say something: 1,873 is about 1,900.
pub fn about(value: f64) -> u64 {
    if value.is_nan() || value <= 0.0 {
        return 0;
    }
    let unit = 10f64.powf((value.log10().floor() - 1.0).max(0.0));
    ((value / unit).ceil() * unit).min(1e18) as u64
}

/// The bound on a false alarm, from evidence: `1 in 10,000`.
pub fn one_in(evidence: f64) -> String {
    if evidence >= 1e9 {
        return "1 in a billion".to_owned();
    }
    let evidence = evidence.max(1.0);
    let unit = 10f64.powf((evidence.log10().floor() - 1.0).max(0.0));
    format!("1 in {}", count(((evidence / unit).floor() * unit) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            [count(0), count(999), count(1_000), count(39_870), count(1_234_567)],
            ["0", "999", "1,000", "39,870", "1,234,567"]
        );
        assert_eq!(
            [percent(0.189), percent(0.0011), percent(1.0), percent(0.0), percent(0.000_031)],
            ["18.9 %", "0.11 %", "100 %", "0 %", "0.0031 %"]
        );
        assert_eq!([points(0.004_1), points(-0.123)], ["+0.41 points", "-12.3 points"]);
        assert_eq!(
            [latency(850.0), latency(1_240.0), latency(43_200.0), latency(1_200_000.0)],
            ["850 µs", "1.2 ms", "43 ms", "1.2 s"]
        );
        assert_eq!([about(1_873.0), about(7.2), about(0.0), about(f64::NAN)], [1_900, 8, 0, 0]);
        assert_eq!(
            [one_in(10_432.0), one_in(61.7), one_in(0.5), one_in(1e300)],
            ["1 in 10,000", "1 in 61", "1 in 1", "1 in a billion"]
        );
        assert_eq!(elapsed(Duration::from_secs(130)), "2m 10s");
    }
}
