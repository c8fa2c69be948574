//! Networks as Go's `net` package reads, compares and writes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address or a network; an IPv4-mapped IPv6 address is an IPv4 address, as in Go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Net {
    pub(super) v6: bool,
    first: u128,
    prefix: u32,
}

impl Net {
    /// `net.ParseCIDR`, host bits cleared. A mapped network wider than /96 belongs to neither family in Go, and is
    /// refused here.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let sound = !prefix.is_empty() && prefix.len() <= 6 && prefix.bytes().all(|b| b.is_ascii_digit());
        let prefix: u32 = sound.then(|| prefix.parse().ok())??;
        let (net, prefix) = match (address.parse().ok()?, Self::address(address)?) {
            (IpAddr::V6(_), net) if !net.v6 => (net, prefix.checked_sub(96)?),
            (_, net) => (net, prefix),
        };
        (prefix <= net.bits()).then(|| Self { first: net.first & net.mask(prefix), prefix, ..net })
    }

    /// `net.ParseIP`.
    pub(super) fn address(text: &str) -> Option<Self> {
        let v4 = |ip: Ipv4Addr| Self { v6: false, first: u128::from(u32::from(ip)), prefix: 32 };
        Some(match text.parse().ok()? {
            IpAddr::V4(ip) => v4(ip),
            IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
                Some(ip) => v4(ip),
                None => Self { v6: true, first: u128::from(ip), prefix: 128 },
            },
        })
    }

    pub(super) fn contains(&self, other: &Self) -> bool {
        self.v6 == other.v6 && self.prefix <= other.prefix && other.first & self.mask(self.prefix) == self.first
    }

    /// How many addresses there are, as a power of two.
    pub(super) fn host_bits(&self) -> u32 {
        self.bits() - self.prefix
    }

    pub(super) fn last(&self) -> u128 {
        self.first | (self.all() & !self.mask(self.prefix))
    }

    /// Every address; ask [`Net::host_bits`] first.
    pub(super) fn addresses(&self) -> impl Iterator<Item = String> {
        let v6 = self.v6;
        (self.first..=self.last()).map(move |address| write_address(v6, address))
    }

    fn bits(&self) -> u32 {
        if self.v6 { 128 } else { 32 }
    }

    fn all(&self) -> u128 {
        if self.v6 { u128::MAX } else { u128::from(u32::MAX) }
    }

    fn mask(&self, prefix: u32) -> u128 {
        let all = self.all();
        all & !(all.checked_shr(prefix).unwrap_or(0))
    }
}

impl std::fmt::Display for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", write_address(self.v6, self.first), self.prefix)
    }
}

fn write_address(v6: bool, address: u128) -> String {
    match u32::try_from(address) {
        Ok(v4) if !v6 => Ipv4Addr::from(v4).to_string(),
        _ => Ipv6Addr::from(address).to_string(),
    }
}

/// The fewest networks that cover the same addresses.
pub(super) fn merge(mut networks: Vec<Net>) -> Vec<Net> {
    networks.sort();
    let mut ranges: Vec<(bool, u128, u128)> = Vec::new();
    for net in &networks {
        match ranges.last_mut() {
            Some((v6, _, last)) if *v6 == net.v6 && net.first <= last.saturating_add(1) => {
                *last = (*last).max(net.last());
            }
            _ => ranges.push((net.v6, net.first, net.last())),
        }
    }
    ranges.into_iter().flat_map(|(v6, first, last)| cover(v6, first, last)).collect()
}

/// The fewest networks from `first` to `last`.
fn cover(v6: bool, mut first: u128, last: u128) -> Vec<Net> {
    let mut cover = Vec::new();
    loop {
        let bits = if v6 { 128 } else { 32 };
        // The widest network that starts here, is aligned and does not pass the end.
        let widest = (0..=bits).find_map(|prefix| {
            let net = Net { v6, first, prefix };
            (first & net.mask(prefix) == first && net.last() <= last).then_some(net)
        });
        let Some(net) = widest else { return cover };
        cover.push(net);
        match net.last().checked_add(1).filter(|_| net.last() < last) {
            Some(next) => first = next,
            None => return cover,
        }
    }
}
