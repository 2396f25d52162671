//! Connections for callbacks: an address is checked between its look-up and the connection to it, so that a name that
//! leads somewhere else the second time leads nowhere.

use super::Target;
use super::target::permits;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::error::Error;
use std::net::SocketAddr;

/// A name leads to an address that must not be connected to.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Forbidden(&'static str);

/// Looks names up, and gives nothing when any of their addresses is forbidden.
struct Guard {
    listed: bool,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let listed = self.listed;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            for address in &found {
                permits(address.ip(), listed).map_err(Forbidden)?;
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// The clients: for hosts on a tenant's list, and for all others.
pub struct Clients {
    listed: reqwest::Client,
    others: reqwest::Client,
}

impl Clients {
    /// Clients that follow no redirect and ask no proxy.
    ///
    /// # Errors
    /// When the system's certificates cannot be read.
    pub fn new() -> Result<Clients, reqwest::Error> {
        let client = |listed| {
            reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .dns_resolver(Guard { listed })
                .user_agent(concat!("heliosdb-gpu-offload/", env!("CARGO_PKG_VERSION")))
                .build()
        };
        Ok(Clients { listed: client(true)?, others: client(false)? })
    }

    /// The client for this target.
    pub fn of(&self, target: &Target) -> &reqwest::Client {
        if target.listed() { &self.listed } else { &self.others }
    }
}

/// What kind of address a connection was refused for.
pub fn forbidden(error: &reqwest::Error) -> Option<&'static str> {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(e) = cause {
        if let Some(Forbidden(what)) = e.downcast_ref() {
            return Some(what);
        }
        cause = e.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `localhost` is a name that leads inside on every machine.
    #[test]
    fn a_name_that_leads_inside_is_not_connected_to() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://localhost:{}/", listener.local_addr().expect("an address").port());
        let clients = Clients::new().expect("clients");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let error = runtime.block_on(clients.others.get(&url).send()).expect_err("refused");
        assert_eq!(forbidden(&error), Some("a private address"));
        listener.set_nonblocking(true).expect("a listener");
        assert!(listener.accept().is_err(), "nothing was connected");
    }
}
