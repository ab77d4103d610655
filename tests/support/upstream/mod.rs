//! The mini-upstream: one HTTP server that plays the internet for the tests and the demo.
//!
//! A client is told `--mirror '*=http://127.0.0.1:PORT'`: it finds `https://HOST/PATH` under `/HOST/PATH`, and the
//! image or chart `HOST/REPO` of a registry under `/v2/HOST/REPO/…`. There are chart repositories (HTTP and OCI), a
//! made-up but always equal image for any reference, the tools, and extra files; requests are recorded, and things
//! go wrong on request.
//!
//! Owns the public face: starting, stopping, and what a test may ask and tell the server while it runs.

// Every test crate includes all of this and uses some of it.
#![allow(dead_code, unused_imports)]
// It serves, and stands outside of the house whose walls forbid that.
#![allow(clippy::disallowed_methods)]

mod charts;
mod config;
mod control;
mod counts;
mod faults;
mod hash;
mod images;
mod layers;
mod once;
mod registry;
mod reply;
mod repository;
mod send;
mod server;
mod tools;

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

pub use config::{Image, Links, Repository, Settings, Size, UpstreamConfig};
pub use counts::Recorded;
pub use faults::{Fault, What};
pub use hash::hex_digest;
pub use tools::architecture;

use charts::Charts;
use config::Live;
use counts::Counts;
use faults::Faults;
use registry::Registry;
use server::World;
use tools::Tools;

pub type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// A running server. It has threads of its own, so that a test may block while it waits for a program that asks the
/// server. Dropping it stops it.
pub struct Upstream {
    address: SocketAddr,
    world: Arc<World>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    /// Serves what a settings file says, on a free port of the loopback interface.
    pub async fn start(config: UpstreamConfig) -> Result<Upstream> {
        Upstream::listen(config, any_port())
    }

    /// As [`Upstream::start`], for a caller that is not async, at a given address.
    pub fn listen(config: UpstreamConfig, address: SocketAddr) -> Result<Upstream> {
        Upstream::run(Live::file(config.config)?, config.tools, &config.cache, address)
    }

    /// Serves what settings built in code say.
    pub fn with(settings: Settings, tools: Option<PathBuf>, cache: &Path) -> Result<Upstream> {
        Upstream::run(Live::fixed(settings), tools, cache, any_port())
    }

    fn run(settings: Live, tools: Option<PathBuf>, cache: &Path, address: SocketAddr) -> Result<Upstream> {
        let world = Arc::new(World {
            settings,
            charts: Charts::default(),
            registry: Registry::new(cache)?,
            tools: Tools::new(tools, cache)?,
            counts: Counts::default(),
            faults: Faults::default(),
        });
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let listener = std::net::TcpListener::bind(address).map_err(|e| format!("{address}: {e}"))?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let (stop, stopped) = oneshot::channel();
        let served = world.clone();
        let thread = std::thread::Builder::new().name("upstream".to_owned());
        let thread = thread.spawn(move || serve(runtime, listener, served, stopped))?;
        Ok(Upstream { address, world, stop: Some(stop), thread: Some(thread) })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `127.0.0.1:PORT`, as image references have it.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Packs the chart of a folder, as it is now, and puts it into a repository, in place of the same version if
    /// that is there. The repository need not be one of the settings. Returns the archive's digest as bare hex.
    pub fn put_chart(&self, repository: &str, folder: &Path) -> Result<String> {
        Ok(self.world.charts.put(repository, folder)?.digest.clone())
    }

    /// Everything that was asked for since the start or the last reset, in order.
    pub fn requests(&self) -> Vec<Recorded> {
        self.world.counts.all()
    }

    /// How many requests there were whose `METHOD PATH` contains this.
    pub fn count(&self, part: &str) -> usize {
        self.matching(part).count()
    }

    /// The bytes of all bodies.
    pub fn bytes(&self) -> u64 {
        self.bytes_of("")
    }

    /// The bytes of the bodies of the requests whose `METHOD PATH` contains this.
    pub fn bytes_of(&self, part: &str) -> u64 {
        self.matching(part).map(|request| request.bytes).sum()
    }

    fn matching(&self, part: &str) -> impl Iterator<Item = Recorded> {
        let wanted = move |request: &Recorded| format!("{} {}", request.method, request.path).contains(part);
        self.requests().into_iter().filter(wanted)
    }

    /// Forgets the requests so far.
    pub fn reset(&self) {
        self.world.counts.reset();
    }

    /// From now on this goes wrong. The first fault that fits a request strikes.
    pub fn fault(&self, fault: Fault) {
        self.world.faults.add(fault);
    }

    pub fn clear_faults(&self) {
        self.world.faults.clear();
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Its panic is no reason for one more.
            let _ = thread.join();
        }
    }
}

fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn serve(runtime: Runtime, listener: std::net::TcpListener, world: Arc<World>, stopped: oneshot::Receiver<()>) {
    runtime.block_on(async {
        let Ok(listener) = TcpListener::from_std(listener) else { return };
        tokio::select! {
            () = server::serve(listener, world) => {}
            _ = stopped => {}
        }
    });
    // Connections end here and now, as those of a server that is gone do.
    runtime.shutdown_background();
}
