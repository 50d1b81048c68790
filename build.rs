//! Compiles the service definition in `proto/` with protox, so that building needs no protoc.

use std::error::Error;

use tonic_build::manual::{Builder, Method, Service};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto/zerobus_service.proto");
    let files = protox::compile(["zerobus_service.proto"], ["proto"])?;
    tonic_prost_build::configure()
        // Records stay slices of the buffer that the frame arrived in.
        .bytes(".")
        .build_client(false)
        .build_server(false)
        .compile_fds(files)?;
    if std::env::var_os("CARGO_FEATURE_EMULATOR").is_some() {
        server();
    }
    Ok(())
}

/// The server's half, which takes the requests of a stream in a form of its own.
fn server() {
    const PROST: &str = "tonic_prost::ProstCodec";
    let method = |name: &str, route: &str, input: &str, codec: &str| {
        Method::builder()
            .name(name)
            .route_name(route)
            .input_type(input)
            .output_type(format!("crate::wire::{route}Response"))
            .codec_path(codec)
    };
    let ephemeral = method(
        "ephemeral_stream",
        "EphemeralStream",
        "crate::emulator::incoming::Incoming",
        "crate::emulator::incoming::IncomingCodec",
    );
    let persistent = method(
        "persistent_stream",
        "PersistentStream",
        "crate::wire::PersistentStreamRequest",
        PROST,
    );
    let retire = method(
        "retire_stream",
        "RetireStream",
        "crate::wire::RetireStreamRequest",
        PROST,
    );
    let service = Service::builder()
        .name("Zerobus")
        .package("databricks.zerobus")
        .method(ephemeral.client_streaming().server_streaming().build())
        .method(persistent.client_streaming().server_streaming().build())
        .method(retire.build())
        .build();
    Builder::new().build_client(false).compile(&[service]);
}
