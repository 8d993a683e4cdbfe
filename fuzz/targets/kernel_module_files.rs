#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| lvs_host::properties::kernel_module_files(data));
