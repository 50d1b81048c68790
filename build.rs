//! Compiles `proto/zerobus_service.proto` with protox, so that no protoc is needed.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto/zerobus_service.proto");
    let files = protox::compile(["zerobus_service.proto"], ["proto"])?;
    tonic_prost_build::configure()
        // Records stay slices of the buffer that the frame arrived in.
        .bytes(".")
        .build_client(false)
        .build_server(std::env::var_os("CARGO_FEATURE_EMULATOR").is_some())
        .compile_fds(files)?;
    Ok(())
}
