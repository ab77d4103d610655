//! Host names to addresses, by this machine's own configuration and nothing else. The resolver inside the HTTP client
//! would ask a public server where `/etc/resolv.conf` is missing; at a closed site nothing may try that.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use hickory_resolver::config::{LookupIpStrategy, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{Resolver, TokioResolver};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Resolves names; the configuration is read when the first name comes up.
#[derive(Clone, Default)]
pub(super) struct Names {
    resolver: Arc<OnceLock<Result<TokioResolver, String>>>,
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let names = self.clone();
        Box::pin(async move {
            let resolver = names.resolver.get_or_init(configured).as_ref().map_err(Clone::clone)?;
            let found = resolver.lookup_ip(name.as_str()).await?;
            let addresses: Vec<SocketAddr> = found.iter().map(|ip| SocketAddr::new(ip, 0)).collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

fn configured() -> Result<TokioResolver, String> {
    let mut builder = Resolver::builder_tokio().unwrap_or_else(|_| {
        // Without name servers there are still the names of the hosts file.
        Resolver::builder_with_config(ResolverConfig::default(), TokioRuntimeProvider::default())
    });
    builder.options_mut().ip_strategy = LookupIpStrategy::Ipv6AndIpv4;
    builder.build().map_err(|error| format!("cannot resolve names: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_name_servers_there_is_the_hosts_file_and_no_panic() {
        let builder = Resolver::builder_with_config(ResolverConfig::default(), TokioRuntimeProvider::default());
        let resolver = builder.build().unwrap();
        assert!(resolver.lookup_ip("localhost").await.is_ok());
        assert!(resolver.lookup_ip("charts.example.invalid").await.is_err());
    }
}
