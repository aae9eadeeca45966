//! When two spellings name the same model.

/// Whose names say nothing about the model.
const VENDORS: [&str; 4] = ["nvidia", "amd", "intel", "apple"];

/// What is compared of a name: its ASCII letters and digits in lower case, without the vendor in front.
pub(super) fn letters(text: &str) -> impl Iterator<Item = u8> {
    let text = text.trim_start();
    let word = text.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or("");
    let vendor = VENDORS.iter().any(|vendor| word.eq_ignore_ascii_case(vendor));
    let rest = if vendor { &text[word.len()..] } else { text };
    rest.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase())
}

/// The last of them, for a text that is more than a vendor's name.
pub(super) fn last(text: &str) -> Option<u8> {
    let last = text.bytes().rev().find(u8::is_ascii_alphanumeric);
    last.map(|byte| byte.to_ascii_lowercase())
}

/// The same as a text.
pub(super) fn essence(text: &str) -> String {
    letters(text).map(char::from).collect()
}
