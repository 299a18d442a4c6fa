//! Compiles the .proto files with protox, so that no protoc need be installed.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    let files = ["fusebox/v1/inference.proto", "fusebox/v1/control.proto", "fusebox/store/v1/store.proto"];
    for file in files {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    let mut config = tonic_prost_build::Config::new();
    // By their names messages find their descriptors, and so their JSON.
    config.enable_type_names();
    tonic_prost_build::configure().bytes(".fusebox.v1.Media").compile_fds_with_config(descriptors, config)?;
    Ok(())
}
