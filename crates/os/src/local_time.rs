//! The wall clock in local time, as text.

use std::mem::MaybeUninit;

/// The time now as `2026-11-25 19:17:27`, in the time zone of this machine.
pub fn text() -> String {
    text_at(crate::clock::unix_seconds())
}

/// The time so many seconds after 1970-01-01 UTC, in the same form.
pub fn text_at(unix_seconds: u64) -> String {
    let seconds = libc::time_t::try_from(unix_seconds).unwrap_or(0);
    let mut fields = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid for the call, and a zeroed `tm` is valid whatever it returns.
    let fields = unsafe {
        libc::localtime_r(&raw const seconds, fields.as_mut_ptr());
        fields.assume_init()
    };
    let (year, month) = (fields.tm_year + 1900, fields.tm_mon + 1);
    format!(
        "{year:04}-{month:02}-{:02} {:02}:{:02}:{:02}",
        fields.tm_mday, fields.tm_hour, fields.tm_min, fields.tm_sec
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_text_has_the_shape_of_a_log_line() {
        let text = super::text();
        let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
        assert_eq!(shape, "9999-99-99 99:99:99");
        assert!(text.as_str() > "2020");
    }
}
