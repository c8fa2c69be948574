//! Texts that people read: plain text, sentences of acts, times, templates of days.
#![no_main]

use atb::domain::sentence::Sentence;
use atb::domain::text::PlainText;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(plain) = text.parse::<PlainText>() {
        assert_eq!(plain.as_str(), text);
    }
    let _ = text.parse::<Sentence>();
});
