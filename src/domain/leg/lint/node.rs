//! YAML and JSON with places: every member and every value knows its line and column.
//!
//! The parser is the one that loads bundles (`serde-saphyr`, the same strict options); this only keeps what it knows
//! about places. JSON is read as the YAML that it is.

use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Location, Spanned};

use crate::domain::{json, yaml};

const MAX_BYTES: usize = 8 * 1024 * 1024;
/// A catalogue of 10,000 acts has about 300,000 values.
const MAX_NODES: usize = 1_000_000;

/// A line and a column, each from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Pos {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl Pos {
    /// The start of a file.
    pub const START: Self = Self { line: 1, column: 1 };

    fn of(location: &Location) -> Self {
        let number = |n: u64| usize::try_from(n).unwrap_or(1).max(1);
        Self { line: number(location.line()), column: number(location.column()) }
    }
}

/// One value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) pos: Pos,
    pub(super) kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Members(Vec<Member>),
}

/// One member of an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    pub(super) name: String,
    /// Where the name stands.
    pub(super) pos: Pos,
    pub(super) value: Node,
}

/// Why a text is not one document, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) pos: Pos,
    pub(super) what: String,
}

impl Node {
    /// Reads one document.
    pub(super) fn parse(text: &str) -> Result<Self, SyntaxError> {
        if text.len() > MAX_BYTES {
            return Err(SyntaxError { pos: Pos::START, what: format!("more than {MAX_BYTES} bytes") });
        }
        serde_saphyr::from_str_with_options(text, yaml::plain(json::MAX_DEPTH, MAX_NODES)).map_err(|error| {
            SyntaxError {
                pos: error.location().map_or(Pos::START, |location| Pos::of(&location)),
                what: error.to_string().lines().next().unwrap_or("not YAML").chars().take(200).collect(),
            }
        })
    }

    /// The members of an object; none of anything else.
    pub(super) fn members(&self) -> &[Member] {
        if let Kind::Members(members) = &self.kind { members } else { &[] }
    }

    /// The items of a list; none of anything else.
    pub(super) fn items(&self) -> &[Self] {
        if let Kind::List(items) = &self.kind { items } else { &[] }
    }

    pub(super) fn member(&self, name: &str) -> Option<&Member> {
        self.members().iter().find(|member| member.name == name)
    }

    pub(super) fn find(&self, name: &str) -> Option<&Self> {
        self.member(name).map(|member| &member.value)
    }

    /// Where the value at an RFC 6901 pointer stands; the nearest value around it where there is none.
    pub(super) fn pos_at(&self, pointer: &str) -> Pos {
        let mut node = self;
        for name in pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")) {
            let item = name.parse().ok().and_then(|index: usize| node.items().get(index));
            let Some(next) = node.find(&name).or(item) else { break };
            node = next;
        }
        node.pos
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        if let Kind::Text(text) = &self.kind { Some(text) } else { None }
    }

    pub(super) fn as_bool(&self) -> Option<bool> {
        if let Kind::Bool(value) = self.kind { Some(value) } else { None }
    }

    pub(super) fn as_u64(&self) -> Option<u64> {
        if let Kind::Number(number) = &self.kind { number.as_u64() } else { None }
    }

    /// What it is, for people.
    pub(super) fn kind_name(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "true or false",
            Kind::Number(_) => "a number",
            Kind::Text(_) => "a text",
            Kind::List(_) => "a list",
            Kind::Members(_) => "an object",
        }
    }

    /// Every text below it, each with its place.
    pub(super) fn texts(&self) -> Vec<(&str, Pos)> {
        match &self.kind {
            Kind::Text(text) => vec![(text, self.pos)],
            Kind::List(items) => items.iter().flat_map(Self::texts).collect(),
            Kind::Members(members) => members.iter().flat_map(|member| member.value.texts()).collect(),
            Kind::Null | Kind::Bool(_) | Kind::Number(_) => Vec::new(),
        }
    }

    /// The value without its places.
    pub(super) fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => items.iter().map(Self::to_value).collect(),
            Kind::Members(members) => {
                Value::Object(members.iter().map(|m| (m.name.clone(), m.value.to_value())).collect::<Map<_, _>>())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, defined, .. } = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self { pos: Pos::of(&defined), kind: value })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("plain YAML")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_none<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Kind, E> {
        Number::from_f64(value).map(Kind::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Kind, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Kind::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key::<Spanned<String>>()? {
            let value = map.next_value()?;
            members.push(Member { pos: Pos::of(&name.defined), name: name.value, value });
        }
        Ok(Kind::Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pos(line: usize, column: usize) -> Pos {
        Pos { line, column }
    }

    #[test]
    fn names_and_values_know_their_places() {
        let node =
            Node::parse("id: consent\nlist: [\"a\", b]\nclaim:\n  party:\n    id: \"{{x}}\"\n  days: 3\n").unwrap();
        assert_eq!(node.member("list").unwrap().pos, pos(2, 1));
        assert_eq!(node.find("list").unwrap().items()[1].pos, pos(2, 13));
        let party = node.find("claim").unwrap().find("party").unwrap();
        assert_eq!((party.member("id").unwrap().pos, party.find("id").unwrap().pos), (pos(5, 5), pos(5, 9)));
        assert_eq!(node.find("claim").unwrap().find("days").unwrap().as_u64(), Some(3));
    }

    #[test]
    fn json_is_read_with_its_places_too() {
        let node =
            Node::parse("{\n  \"erp.order.read\": {\n    \"tier\": \"low\", \"bind\": false, \"n\": -1.5\n  }\n}")
                .unwrap();
        let act = node.member("erp.order.read").unwrap();
        assert_eq!(act.pos, pos(2, 3));
        assert_eq!(act.value.find("tier").unwrap().pos, pos(3, 13));
        assert_eq!(node.to_value(), serde_json::json!({"erp.order.read": {"tier": "low", "bind": false, "n": -1.5}}));
    }

    #[test]
    fn what_is_not_one_plain_document_is_refused_with_its_place() {
        assert_eq!(Node::parse("a: 1\na: 2\n").unwrap_err().pos.line, 2);
        for bad in ["a: [1", "a: &x 1\nb: *x\n", "a: 1\n---\nb: 1\n", "a: !!set {x}\n", "a: .nan\n"] {
            assert!(Node::parse(bad).is_err(), "{bad}");
        }
    }
}
