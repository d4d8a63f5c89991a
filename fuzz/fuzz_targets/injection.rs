//! What a user writes behind `--inject`: refused in a sentence, or understood, and then what it says of itself is understood as
//! the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stormglass_allocator::Injection;

fuzz_target!(|text: &str| {
    match text.parse::<Injection>() {
        Ok(injection) => {
            let said = injection.to_string();
            assert_eq!(said.parse::<Injection>().ok(), Some(injection), "{said}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
