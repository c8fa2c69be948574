//! `io.jwt.*`: tokens in the compact form of RFC 7515, decoded and verified as OPA does.
//!
//! Stricter than OPA, always to *undefined* or *false*: duplicate members, texts that are not UTF-8, RSA keys below
//! 2,048 bits, a curve that is not the algorithm's, small-order Ed25519 keys. Tokens are bounded in size and nesting.

use regorus::Value;

use super::crypto::lower_hex;
use super::jwk::{self, Key};
use super::{Extension, Outcome, Session, Stop, args, extension};
use crate::domain::policy::engine::value;

const MAX_TOKEN: usize = 64 * 1024;
const MAX_KEY_TEXT: usize = 256 * 1024;
const MAX_NESTED: usize = 4;

pub(super) const TABLE: &[Extension] = &[
    extension("io.jwt.decode", 1, |_, a| decode(args::text(a, 0)?)),
    extension("io.jwt.decode_verify", 2, decode_verify),
    extension("io.jwt.verify_rs256", 2, |_, a| verify("RS256", a)),
    extension("io.jwt.verify_rs384", 2, |_, a| verify("RS384", a)),
    extension("io.jwt.verify_rs512", 2, |_, a| verify("RS512", a)),
    extension("io.jwt.verify_ps256", 2, |_, a| verify("PS256", a)),
    extension("io.jwt.verify_ps384", 2, |_, a| verify("PS384", a)),
    extension("io.jwt.verify_ps512", 2, |_, a| verify("PS512", a)),
    extension("io.jwt.verify_es256", 2, |_, a| verify("ES256", a)),
    extension("io.jwt.verify_es384", 2, |_, a| verify("ES384", a)),
    extension("io.jwt.verify_es512", 2, |_, a| verify("ES512", a)),
    extension("io.jwt.verify_eddsa", 2, |_, a| verify("EdDSA", a)),
    extension("io.jwt.verify_hs256", 2, |_, a| verify_secret("HS256", a)),
    extension("io.jwt.verify_hs384", 2, |_, a| verify_secret("HS384", a)),
    extension("io.jwt.verify_hs512", 2, |_, a| verify_secret("HS512", a)),
];

/// The three parts of a token.
struct Token<'t> {
    /// What is signed: header, dot, payload.
    signed: &'t str,
    header: &'t str,
    payload: &'t str,
    signature: &'t str,
}

impl<'t> Token<'t> {
    fn split(text: &'t str) -> Result<Self, Stop> {
        args::short(text, MAX_TOKEN)?;
        let (signed, signature) = text.rsplit_once('.').ok_or(Stop::Undefined)?;
        let (header, payload) = signed.split_once('.').ok_or(Stop::Undefined)?;
        let sound = !payload.contains('.');
        sound.then_some(Self { signed, header, payload, signature }).ok_or(Stop::Undefined)
    }

    /// The header; an encrypted token (RFC 7516 §9) has none that is of use.
    fn header(&self) -> Result<Members, Stop> {
        let header = object(&decoded_text(self.header)?)?;
        if header.get("enc").is_some() { Err(Stop::Undefined) } else { Ok(header) }
    }

    fn signature(&self) -> Result<Vec<u8>, Stop> {
        base64url(self.signature).ok_or(Stop::Undefined)
    }
}

/// A JSON object.
struct Members(Value);

impl Members {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.as_object().ok()?.get(&Value::from(name))
    }

    /// A text; empty where there is none.
    fn text(&self, name: &str) -> Result<&str, Stop> {
        match self.get(name) {
            None => Ok(""),
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(Stop::Undefined),
        }
    }
}

fn object(text: &str) -> Result<Members, Stop> {
    match value::input(text) {
        Some(value @ Value::Object(_)) => Ok(Members(value)),
        _ => Err(Stop::Undefined),
    }
}

fn decoded_text(part: &str) -> Result<String, Stop> {
    base64url(part).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(Stop::Undefined)
}

/// Base64 for URLs with or without padding. As Go's decoder it passes over line ends, and over bits that are left.
pub(super) fn base64url(text: &str) -> Option<Vec<u8>> {
    let text: Vec<u8> = text.bytes().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
    let padded = text.iter().rev().take_while(|b| **b == b'=').count();
    if padded > 2 || (padded > 0 && !text.len().is_multiple_of(4)) {
        return None;
    }
    let digits = text.get(..text.len() - padded)?;
    if digits.len() % 4 == 1 {
        return None;
    }
    let (mut bytes, mut buffer, mut bits) = (Vec::with_capacity(digits.len() * 3 / 4), 0_u32, 0_u32);
    for digit in digits {
        let six = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        buffer = (buffer << 6) | u32::from(six);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((buffer >> bits) & 0xff).ok()?);
        }
    }
    Some(bytes)
}

fn decode(text: &str) -> Outcome {
    let mut text = text.to_owned();
    for _ in 0..MAX_NESTED {
        let token = Token::split(&text)?;
        let header = token.header()?;
        let payload = decoded_text(token.payload)?;
        if header.text("cty")? == "JWT" {
            text = payload.trim_matches(|c| matches!(c, '"' | '\'')).to_owned();
            continue;
        }
        let signature = lower_hex(&token.signature()?);
        return Ok(Value::from(vec![header.0, object(&payload)?.0, Value::from(signature)]));
    }
    Err(Stop::Bound("a token inside of more than three others"))
}

fn verify(algorithm: &str, a: &[Value]) -> Outcome {
    let token = Token::split(args::text(a, 0)?)?;
    let keys = keys(args::text(a, 1)?)?;
    let signature = token.signature()?;
    let header = Header::read(&token.header()?)?;
    let holds = |key: &Key| key.verifies(algorithm, token.signed.as_bytes(), &signature);
    Ok(Value::from(any_key(&keys, &header, holds)))
}

/// The key that the token names, if it is there; else any that is for the token's algorithm.
fn any_key(keys: &[Key], header: &Header, holds: impl Fn(&Key) -> bool) -> bool {
    let named = keys.iter().find(|key| !header.kid.is_empty() && key.id == header.kid);
    named.map_or_else(|| keys.iter().any(|k| (k.algorithm.is_empty() || k.algorithm == header.alg) && holds(k)), &holds)
}

fn keys(text: &str) -> Result<Vec<Key>, Stop> {
    jwk::read(args::short(text, MAX_KEY_TEXT)?).ok_or(Stop::Undefined)
}

fn verify_secret(algorithm: &str, a: &[Value]) -> Outcome {
    let (token, secret) = (Token::split(args::text(a, 0)?)?, args::text(a, 1)?);
    let signature = token.signature()?;
    Ok(Value::from(jwk::verify_hmac(algorithm, secret.as_bytes(), token.signed.as_bytes(), &signature)))
}

/// The members of a header that say how to read the token.
struct Header {
    alg: String,
    kid: String,
    cty: String,
    /// RFC 7515 §4.1.11: a critical member that is not known makes the token invalid.
    unknown_critical: bool,
}

impl Header {
    fn read(header: &Members) -> Result<Self, Stop> {
        let text = |name| header.text(name).map(str::to_owned);
        text("typ")?;
        let unknown_critical = match header.get("crit") {
            None => false,
            Some(Value::Array(items)) => {
                let names: Vec<&str> = items.iter().map_while(|i| i.as_string().ok().map(AsRef::as_ref)).collect();
                if names.is_empty() {
                    return Err(Stop::Undefined);
                }
                let known = ["alg", "kid", "typ", "cty", "crit"];
                names.iter().any(|name| !known.contains(name) && header.get(name).is_some())
            }
            Some(_) => return Err(Stop::Undefined),
        };
        Ok(Self { alg: text("alg")?, kid: text("kid")?, cty: text("cty")?, unknown_critical })
    }
}

/// The constraints of `io.jwt.decode_verify`.
#[derive(Default)]
struct Constraints {
    keys: Option<Vec<Key>>,
    secret: String,
    alg: String,
    iss: String,
    aud: String,
    /// In nanoseconds.
    time: f64,
}

impl Constraints {
    fn read<'v>(session: &Session, members: impl Iterator<Item = (&'v Value, &'v Value)>) -> Result<Self, Stop> {
        let text = |value: &Value| value.as_string().map(|s| s.to_string()).map_err(|_| Stop::Undefined);
        let (mut constraints, mut time) = (Self::default(), None);
        for (name, value) in members {
            match text(name)?.as_str() {
                "cert" => constraints.keys = Some(keys(&text(value)?)?),
                "secret" => constraints.secret = text(value)?,
                "alg" => constraints.alg = text(value)?,
                "iss" => constraints.iss = text(value)?,
                "aud" => constraints.aud = text(value)?,
                "time" => time = Some(number(value).filter(|time| *time >= 0.0).ok_or(Stop::Undefined)?),
                _ => return Err(Stop::Undefined),
            }
        }
        // Either a secret or keys, not both and not neither.
        if constraints.keys.is_some() != constraints.secret.is_empty() {
            return Err(Stop::Undefined);
        }
        constraints.time = match time {
            Some(time) => time,
            None => number(&Value::from(session.now()?)).ok_or(Stop::Undefined)?,
        };
        Ok(constraints)
    }

    fn trusts(&self, header: &Header, token: &Token<'_>) -> Result<bool, Stop> {
        let signature = token.signature()?;
        let message = token.signed.as_bytes();
        Ok(match &self.keys {
            Some(keys) => any_key(keys, header, |key| key.verifies(&header.alg, message, &signature)),
            None => jwk::verify_hmac(&header.alg, self.secret.as_bytes(), message, &signature),
        })
    }

    /// RFC 7519 §4.1: issuer, audience and times.
    fn hold(&self, claims: &Members) -> Result<bool, Stop> {
        let time = self.time / 1e9;
        let at = |name| match claims.get(name) {
            None => Ok(None),
            Some(value) => number(value).map(Some).ok_or(Stop::Undefined),
        };
        if !self.iss.is_empty() && claims.text("iss")? != self.iss {
            return Ok(false);
        }
        let is_ours = |value: &Value| value.as_string().is_ok_and(|aud| **aud == *self.aud);
        let audience = match claims.get("aud") {
            None => self.aud.is_empty(),
            Some(Value::Array(all)) => all.iter().any(is_ours),
            Some(one) => is_ours(one),
        };
        Ok(audience && at("exp")?.is_none_or(|exp| time < exp) && at("nbf")?.is_none_or(|nbf| time >= nbf))
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64().or_else(|| n.format_decimal().parse().ok()),
        _ => None,
    }
}

fn decode_verify(session: &Session, a: &[Value]) -> Outcome {
    let members = a.get(1).and_then(|v| v.as_object().ok()).ok_or(Stop::Undefined)?;
    let constraints = Constraints::read(session, members.iter())?;
    let unverified = || Value::from(vec![Value::from(false), Value::new_object(), Value::new_object()]);
    let mut text = args::text(a, 0)?.to_owned();
    for _ in 0..MAX_NESTED {
        let token = Token::split(&text)?;
        let members = token.header()?;
        let header = Header::read(&members)?;
        let agreed = constraints.alg.is_empty() || constraints.alg == header.alg;
        if header.alg.is_empty() || header.unknown_critical || !agreed || !constraints.trusts(&header, &token)? {
            return Ok(unverified());
        }
        let payload = decoded_text(token.payload)?;
        if header.cty.eq_ignore_ascii_case("JWT") {
            text = payload;
            continue;
        }
        let claims = object(&payload)?;
        let verified = constraints.hold(&claims)?;
        let answer = || Value::from(vec![Value::from(true), members.0.clone(), claims.0.clone()]);
        return Ok(if verified { answer() } else { unverified() });
    }
    Err(Stop::Bound("a token inside of more than three others"))
}
