//! `net.cidr_*`.

use std::collections::BTreeSet;

use regorus::Value;

use super::cidr::{self, Net};
use super::{Extension, Outcome, Stop, args, extension};

/// A /20 of IPv4.
const MAX_EXPANDED_BITS: u32 = 12;
const MAX_NETWORKS: usize = 1024;
const MAX_PAIRS: usize = 16_384;

pub(super) const TABLE: &[Extension] = &[
    extension("net.cidr_contains", 2, |_, a| contains(network(a, 0)?, args::text(a, 1)?).map(Value::from)),
    extension("net.cidr_contains_matches", 2, |_, a| matches(a)),
    extension("net.cidr_expand", 1, |_, a| {
        let net = network(a, 0)?;
        if net.host_bits() > MAX_EXPANDED_BITS {
            return Err(Stop::Bound("more than 4,096 addresses"));
        }
        Ok(Value::from(net.addresses().map(Value::from).collect::<BTreeSet<_>>()))
    }),
    extension("net.cidr_intersects", 2, |_, a| {
        let (left, right) = (network(a, 0)?, network(a, 1)?);
        Ok(Value::from(left.contains(&right) || right.contains(&left)))
    }),
    extension("net.cidr_is_valid", 1, |_, a| Ok(Value::from(network(a, 0).is_ok()))),
    extension("net.cidr_merge", 1, |_, a| merge(a)),
];

fn network(a: &[Value], at: usize) -> Result<Net, Stop> {
    Net::parse(args::text(a, at)?).ok_or(Stop::Undefined)
}

fn contains(net: Net, other: &str) -> Result<bool, Stop> {
    let other = Net::address(other).or_else(|| Net::parse(other)).ok_or(Stop::Undefined)?;
    Ok(net.contains(&other))
}

/// The network of an element: a text, or the first member of an array.
fn element(value: &Value) -> Result<&Value, Stop> {
    match value {
        Value::String(_) => Ok(value),
        Value::Array(items) => items.first().ok_or(Stop::Undefined),
        _ => Err(Stop::Undefined),
    }
}

/// The networks of an operand, each with the key under which it is reported.
fn keyed(value: &Value) -> Result<Vec<(&Value, Value)>, Stop> {
    match value {
        Value::String(_) => Ok(vec![(value, value.clone())]),
        Value::Array(items) => items.iter().enumerate().map(|(i, item)| Ok((element(item)?, Value::from(i)))).collect(),
        Value::Set(items) => items.iter().map(|item| Ok((element(item)?, item.clone()))).collect(),
        Value::Object(members) => members.iter().map(|(key, item)| Ok((element(item)?, key.clone()))).collect(),
        _ => Ok(Vec::new()),
    }
}

fn matches(a: &[Value]) -> Outcome {
    let [left, right] = a else { return Err(Stop::Undefined) };
    let size = |v: &Value| match v {
        Value::Array(items) => items.len(),
        Value::Set(items) => items.len(),
        Value::Object(members) => members.len(),
        _ => 1,
    };
    if size(left).saturating_mul(size(right)) > MAX_PAIRS {
        return Err(Stop::Bound("more than 16,384 pairs"));
    }
    let left = keyed(left)?;
    let mut found = BTreeSet::new();
    // An operand on the right is looked at only once there is one on the left, as in OPA.
    let right = if left.is_empty() { Vec::new() } else { keyed(right)? };
    for (network, left_key) in &left {
        for (other, right_key) in &right {
            let pair = [(*network).clone(), (*other).clone()];
            if contains(self::network(&pair, 0)?, args::text(&pair, 1)?)? {
                found.insert(Value::from(vec![left_key.clone(), right_key.clone()]));
            }
        }
    }
    Ok(Value::from(found))
}

fn merge(a: &[Value]) -> Outcome {
    let items: Vec<&Value> = match a.first() {
        Some(Value::Array(items)) => items.iter().collect(),
        Some(Value::Set(items)) => items.iter().collect(),
        _ => return Err(Stop::Undefined),
    };
    if items.len() > MAX_NETWORKS {
        return Err(Stop::Bound("more than 1,024 networks"));
    }
    let read = |item: &&Value| match item {
        // OPA gives a bare address the mask of its historic class; nobody means that.
        Value::String(text) if Net::address(text).is_some() => Err(Stop::Bound("an address without a prefix length")),
        Value::String(text) => Net::parse(text).ok_or(Stop::Undefined),
        _ => Err(Stop::Undefined),
    };
    let networks = items.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(Value::from(cidr::merge(networks).iter().map(|net| Value::from(net.to_string())).collect::<BTreeSet<_>>()))
}
