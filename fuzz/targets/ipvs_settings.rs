#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| lvs_host::properties::ipvs_settings(data));
