//! What a client would take.

use hyper::HeaderMap;
use hyper::header::ACCEPT;

/// How much a client wants a media type, in thousandths; 0 for not at all. Without `Accept`, everything is welcome.
pub(crate) fn quality(headers: &HeaderMap, media_type: &str) -> u16 {
    if !headers.contains_key(ACCEPT) {
        return 1000;
    }
    let wanted = media_type.split(';').next().unwrap_or_default().trim();
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges = values.flat_map(|value| value.split(','));
    // The most specific range that fits decides.
    let fits = ranges.filter_map(|range| fit(range, wanted));
    fits.max_by_key(|(specific, _)| *specific).map_or(0, |(_, quality)| quality)
}

/// How specific a range is that the type falls into, and its quality.
fn fit(range: &str, wanted: &str) -> Option<(u8, u16)> {
    let mut parts = range.split(';').map(str::trim);
    let range = parts.next()?;
    let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1000, thousandths);
    if range.eq_ignore_ascii_case(wanted) {
        return Some((2, quality));
    }
    let family = |text: &str| text.split('/').next().unwrap_or_default().to_ascii_lowercase();
    match range {
        "*/*" | "*" => Some((0, quality)),
        range if range.ends_with("/*") && family(range) == family(wanted) => Some((1, quality)),
        _ => None,
    }
}

/// `0`, `1`, or a fraction of up to three digits; what is none counts as 0.
fn thousandths(text: &str) -> u16 {
    match text.split_once('.') {
        None => text.parse::<u16>().map_or(0, |whole| whole.min(1) * 1000),
        Some(("1", _)) => 1000,
        Some((_, digits)) => {
            let digits: String = digits.chars().chain("000".chars()).take(3).collect();
            digits.parse().unwrap_or(0)
        }
    }
}
