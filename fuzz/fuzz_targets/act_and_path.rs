//! Names of acts and paths of calls: what is read is written the same.
#![no_main]

use atb::domain::action::{ActionName, CallPath, Method};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(act) = text.parse::<ActionName>() {
        assert_eq!(act.to_string(), text);
    }
    if let Ok(path) = text.parse::<CallPath>() {
        assert_eq!(path.to_string(), text);
        assert!(path.to_string().parse::<CallPath>().is_ok_and(|again| again == path));
    }
    let _ = text.parse::<Method>();
});
