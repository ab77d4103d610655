//! libFuzzer's way to `targets::chart`. Its input is what is packed: it would never find its way into gzip.

#![no_main]
#![allow(dead_code)]

use std::io::Write;

#[path = "../../tests/fuzz/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    if gz.write_all(bytes).is_ok()
        && let Ok(packed) = gz.finish()
    {
        targets::chart(&packed);
    }
});
