//! Where a connection may go: checked on the addresses that are connected to, so that a name that changes its mind
//! between a check and the connection (DNS rebinding) changes nothing.
//!
//! A name reaches public addresses only. Private ones (RFC 1918, loopback, unique local and their kind) need a connector
//! that names the address itself or `localhost`, or that says `allow_private`. Link-local, multicast and unspecified
//! addresses are never an upstream: cloud metadata lives there.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;

/// What stands in the host part of an upstream's URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostKind {
    /// An address: no name is resolved.
    Literal(IpAddr),
    /// `localhost`, which may be loopback and nothing else.
    Localhost,
    /// A name.
    Name,
}

impl HostKind {
    /// `host` as in a URL, with brackets around an IPv6 address.
    pub(crate) fn of(host: &str) -> Self {
        match host.trim_start_matches('[').trim_end_matches(']').parse() {
            Ok(address) => Self::Literal(address),
            Err(_) if host.eq_ignore_ascii_case("localhost") => Self::Localhost,
            Err(_) => Self::Name,
        }
    }

    /// A loopback address, or `localhost`.
    pub(crate) fn is_this_machine(self) -> bool {
        match self {
            Self::Literal(address) => Reach::of(address) == Reach::Loopback,
            Self::Localhost => true,
            Self::Name => false,
        }
    }

    pub(crate) fn is_never_an_upstream(self) -> bool {
        matches!(self, Self::Literal(address) if Reach::of(address) == Reach::Never)
    }
}

/// The resolver of one connector: names in, permitted addresses out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GuardedResolver {
    host: HostKind,
    allow_private: bool,
}

/// No address of the name may be connected to.
#[derive(Debug, thiserror::Error)]
#[error("the upstream's name resolves to an address that it may not have")]
pub(super) struct ForbiddenAddress;

impl GuardedResolver {
    pub(crate) fn new(host: HostKind, allow_private: bool) -> Self {
        Self { host, allow_private }
    }

    fn permits(self, address: IpAddr) -> bool {
        match (self.host, Reach::of(address)) {
            (_, Reach::Never) => false,
            (HostKind::Literal(literal), _) => literal == address,
            (HostKind::Localhost, reach) => reach == Reach::Loopback,
            (HostKind::Name, Reach::Public) => true,
            (HostKind::Name, Reach::Private | Reach::Loopback) => self.allow_private,
        }
    }
}

impl tower::Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let guard = *self;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let permitted: Vec<_> = found.filter(|address| guard.permits(address.ip())).collect();
            if permitted.is_empty() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, ForbiddenAddress));
            }
            Ok(permitted.into_iter())
        })
    }
}

/// How far an address reaches (IANA special-purpose registries, RFC 6890).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Public,
    Private,
    Loopback,
    Never,
}

impl Reach {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => embedded_v4(v6).map_or_else(|| Self::of_v6(v6), Self::of_v4),
        }
    }

    fn of_v4(v4: Ipv4Addr) -> Self {
        let [a, b, c, _] = v4.octets();
        if v4.is_link_local() || v4.is_multicast() || v4.is_broadcast() || a == 0 {
            Self::Never
        } else if v4.is_loopback() {
            Self::Loopback
        } else if v4.is_private()
            || v4.is_documentation()
            || (a == 100 && b & 0xc0 == 64) // shared address space, RFC 6598
            || (a == 192 && b == 0 && c == 0) // protocol assignments
            || (a == 198 && b & 0xfe == 18) // benchmarking
            || a >= 240
        {
            Self::Private
        } else {
            Self::Public
        }
    }

    fn of_v6(v6: Ipv6Addr) -> Self {
        let [first, second, ..] = v6.segments();
        if v6.is_unspecified() || v6.is_multicast() || v6.is_unicast_link_local() || first & 0xffc0 == 0xfec0 {
            Self::Never
        } else if v6.is_loopback() {
            Self::Loopback
        } else if first & 0xe000 != 0x2000 || (first == 0x2001 && second == 0xdb8) {
            // Global unicast is 2000::/3; unique local addresses and the rest are not.
            Self::Private
        } else {
            Self::Public
        }
    }
}

/// The IPv4 address that an IPv6 address leads to: mapped, NAT64 (RFC 6052) or 6to4 (RFC 3056).
fn embedded_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(host: &str, allow_private: bool, address: &str) -> bool {
        GuardedResolver::new(HostKind::of(host), allow_private).permits(address.parse().unwrap())
    }

    #[test]
    fn a_name_reaches_public_addresses_only() {
        for public in ["93.184.216.34", "2606:2800:220:1::1"] {
            assert!(permits("erp.example.com", false, public), "{public}");
        }
        for hidden in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "192.0.0.1",
            "198.18.0.1",
            "240.0.0.1",
            "::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001:db8::1",
        ] {
            assert!(!permits("erp.example.com", false, hidden), "{hidden}");
            assert!(permits("erp.example.com", true, hidden), "{hidden}");
        }
    }

    #[test]
    fn metadata_and_its_kind_are_never_an_upstream() {
        for never in [
            "169.254.169.254",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "fe80::1",
            "::",
            "ff02::1",
            "::ffff:169.254.169.254",
        ] {
            for host in ["erp.example.com", "localhost"] {
                assert!(!permits(host, true, never), "{never}");
            }
        }
        assert!(HostKind::of("169.254.169.254").is_never_an_upstream());
        assert!(HostKind::of("[fe80::1]").is_never_an_upstream());
    }

    #[test]
    fn localhost_is_loopback_and_nothing_else() {
        assert!(permits("localhost", false, "127.0.0.1"));
        assert!(!permits("localhost", true, "93.184.216.34"));
        assert!(permits("[::1]", false, "::1"));
    }
}
