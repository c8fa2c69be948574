//! Builtins of OPA that regorus lacks, answers differently or does not bound.
//!
//! Every one is a function of its arguments and of `Session`, which holds the question's time and nothing else: no
//! clock, no network, no key but those in the arguments. What OPA calls a builtin error is *undefined* here, as OPA's
//! is outside of strict mode. What exceeds a bound of ours is an error of the whole question, so a denial: regorus
//! drops an error inside of one of several definitions of a function, so the session remembers it.
//!
//! An extension costs a look-up at every call of a builtin, so an engine gets those that its sources name.

mod adjusted;
mod args;
mod bounded;
mod cidr;
mod crypto;
mod go_format;
mod jwk;
mod jwt;
mod net;
mod regex;
mod sprintf;
mod subset;
mod text;
mod withdrawn;
mod x509;
mod x509_names;
mod x509_path;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use regorus::{Engine, Value};

/// What an extension gives.
type Outcome = Result<Value, Stop>;

/// Why an extension gives no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// OPA's builtin error: the call is undefined.
    Undefined,
    /// A bound of ours: the question is denied.
    Bound(&'static str),
}

/// What the extensions of one engine share.
#[derive(Debug)]
pub(super) struct Session {
    /// Nanoseconds since the epoch; negative: unknown.
    now: AtomicI64,
    exceeded: AtomicBool,
}

impl Session {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { now: AtomicI64::new(-1), exceeded: AtomicBool::new(false) })
    }

    /// Starts a question: the clock stands at its `input.time`, which is in seconds.
    pub(super) fn start(&self, input: &Value) {
        let seconds = input.as_object().ok().and_then(|o| o.get(&Value::from("time"))).and_then(|t| t.as_i64().ok());
        let now = seconds.filter(|s| *s >= 0).and_then(|s| s.checked_mul(1_000_000_000)).unwrap_or(-1);
        self.now.store(now, Ordering::Relaxed);
        self.exceeded.store(false, Ordering::Relaxed);
    }

    /// Whether a bound was exceeded since [`Session::start`].
    pub(super) fn exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }

    fn now(&self) -> Result<i64, Stop> {
        Some(self.now.load(Ordering::Relaxed)).filter(|now| *now >= 0).ok_or(Stop::Undefined)
    }
}

/// One extension.
struct Extension {
    name: &'static str,
    arguments: u8,
    call: fn(&Session, &[Value]) -> Outcome,
}

const fn extension(name: &'static str, arguments: u8, call: fn(&Session, &[Value]) -> Outcome) -> Extension {
    Extension { name, arguments, call }
}

fn tables() -> impl Iterator<Item = &'static Extension> {
    const CLOCK: &[Extension] = &[extension("time.now_ns", 0, |session, _| session.now().map(Value::from))];
    [
        CLOCK,
        adjusted::TABLE,
        bounded::TABLE,
        crypto::TABLE,
        jwt::TABLE,
        net::TABLE,
        regex::TABLE,
        sprintf::TABLE,
        text::TABLE,
        x509::TABLE,
    ]
    .into_iter()
    .flatten()
}

/// What modules of Rego v0 may call as well.
#[cfg(test)]
pub fn withdrawn() -> impl Iterator<Item = (&'static str, u8)> {
    withdrawn::TABLE.iter().map(|e| (e.name, e.arguments))
}

/// Every extension, by name and number of arguments.
pub fn names() -> impl Iterator<Item = (&'static str, u8)> {
    tables().map(|e| (e.name, e.arguments))
}

/// Gives `engine` the extensions that occur in one of `sources`; `legacy`: and what modules of Rego v0 may call.
pub(super) fn install(
    engine: &mut Engine,
    session: &Arc<Session>,
    sources: &[&str],
    legacy: bool,
) -> Result<(), String> {
    let withdrawn = withdrawn::TABLE.iter().filter(|_| legacy);
    for Extension { name, arguments, call } in tables().chain(withdrawn) {
        if !sources.iter().any(|source| source.contains(name)) {
            continue;
        }
        let session = Arc::clone(session);
        let run = move |values: Vec<Value>| match call(&session, &values) {
            Ok(value) => Ok(value),
            Err(Stop::Undefined) => Ok(Value::Undefined),
            Err(Stop::Bound(what)) => {
                session.exceeded.store(true, Ordering::Relaxed);
                Err(anyhow::anyhow!("{name}: {what}"))
            }
        };
        engine.add_extension((*name).to_owned(), *arguments, Box::new(run)).map_err(|e| e.to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
