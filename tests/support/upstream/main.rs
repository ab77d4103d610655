//! The mini-upstream by hand: `cargo run --example upstream -- --config FILE --tools DIR`.
//!
//! Owns the command line; everything else is the module that the tests use.

// A program of its own, outside of the house.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

#[path = "mod.rs"]
mod upstream;

#[cfg(test)]
mod tests;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use upstream::{Result, Upstream, UpstreamConfig};

/// Plays the internet for platctl: chart repositories, registries, tools, and what can go wrong with them.
#[derive(Parser)]
struct Arguments {
    /// The settings; charts/ and files/ are looked for beside them.
    #[arg(long)]
    config: PathBuf,
    /// The folder with the executables helm, kubectl and sops.
    #[arg(long)]
    tools: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A file to write the address to, for scripts.
    #[arg(long)]
    address_file: Option<PathBuf>,
    /// Where layers and packed tools are kept from run to run.
    #[arg(long, default_value_os_t = usual_cache())]
    cache: PathBuf,
}

fn usual_cache() -> PathBuf {
    let user = rustix::process::getuid().as_raw();
    std::env::temp_dir().join(format!("platctl-upstream-{user}"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (mut terminated, mut interrupted) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let config = UpstreamConfig { config: arguments.config, tools: arguments.tools, cache: arguments.cache };
    let upstream = Upstream::listen(config, arguments.listen)?;
    if let Some(file) = &arguments.address_file {
        write_address(file, &upstream.url())?;
    }
    println!("listening on {}", upstream.url());
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    Ok(())
}

/// Whoever waits for the file never sees half an address.
fn write_address(path: &Path, url: &str) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(file, "{url}")?;
    file.persist(path)?;
    Ok(())
}
