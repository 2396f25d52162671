//! `cursor` of the targets, under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    heliosdb_fuzz::run("cursor", bytes);
});
