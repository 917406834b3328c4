//! What a client asks of locks, any bytes. The properties are in `ombak_locks::fuzz`, where tests run them too.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    ombak_locks::fuzz::request(input);
    ombak_locks::fuzz::session(input);
});
