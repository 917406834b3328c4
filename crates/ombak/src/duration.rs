//! Times as people write them: `10s`, `500ms`.

use std::time::Duration;

/// A number and a unit; without one, seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_seconds = match unit {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("units of time are ms, s, m and h".into()),
    };
    let number: f64 = number.parse().map_err(|_| "a time is a number and a unit, such as 10s")?;
    Duration::try_from_secs_f64(number * unit_seconds).map_err(|error| error.to_string())
}

/// Milliseconds for people: the two largest units that are not zero.
pub fn shown(ms: u64) -> String {
    match ms {
        0..=999 => format!("{ms} ms"),
        1_000..=9_999 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        10_000..=59_999 => format!("{} s", ms / 1_000),
        60_000..=3_599_999 => format!("{} m {} s", ms / 60_000, ms % 60_000 / 1_000),
        _ => format!("{} h {} m", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        let good = [("10s", 10_000), ("500ms", 500), ("1.5m", 90_000), ("3", 3000), ("0s", 0)];
        for (text, ms) in good {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "-1s", "1 s", "1d", "1.2.3s", "99999999999999999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_shown() {
        let all = [20, 1_250, 12_999, 61_000, 7_260_000].map(shown);
        assert_eq!(all, ["20 ms", "1.2 s", "12 s", "1 m 1 s", "2 h 1 m"]);
    }
}
