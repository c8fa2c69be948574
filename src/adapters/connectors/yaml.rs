//! A connector file as YAML: read strictly into a tree that knows its places, and from there into the same tables as TOML.
//!
//! One document without anchors, aliases, merge keys and tags, each key once, no key without a value, within the limits
//! below. What a text means does not hang on how it looks: `no`, `on` and `012` are what JSON would take them for, a text
//! or a number. The parser is `serde-saphyr`; this bridges its places to those of [`toml::Spanned`], in bytes, so that both
//! forms go through one set of tables and their errors point at a line and column of the file.
//!
//! Not here: what the keys mean (`table.rs`), reading files (`config.rs`).

use std::fmt;
use std::ops::Range;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::Number;
use serde_saphyr::{Location, Spanned};

use crate::domain::{json, yaml};

/// The most values of one file; 512 routes with ten keys each are a fifth of it.
const MAX_NODES: usize = 50_000;

/// Why a text is not a connector, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct YamlError {
    /// What the reader expected.
    pub(super) detail: String,
    /// In bytes; nothing where the parser does not say.
    pub(super) span: Option<Range<usize>>,
}

/// Reads one document.
pub(super) fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    let node: Node =
        serde_saphyr::from_str_with_options(text, yaml::plain(json::MAX_DEPTH, MAX_NODES)).map_err(|error| {
            YamlError {
                detail: plain(&error.to_string()),
                span: error.location().map(|location| span(text, &location)),
            }
        })?;
    T::deserialize(node)
}

/// The parser's message in the words of who wrote the file, without the place, which is said in front of it.
fn plain(message: &str) -> String {
    let message = message.lines().next().unwrap_or("not YAML");
    let message = message.rsplit_once(" at line ").map_or(message, |(what, _)| what);
    let known = [
        ("budget breached: Anchors", "anchors and aliases are not taken: write the value out"),
        ("budget breached: Aliases", "anchors and aliases are not taken: write the value out"),
        ("budget breached: MergeKeys", "merge keys are not taken: write the members out"),
        ("budget breached: Documents", "a file holds one document"),
        ("budget breached: Depth", "nested too deeply"),
        ("budget breached", "more than a connector file may hold"),
        ("invalid type: unit value", "a key without a value: leave the key out"),
    ];
    if let Some((_, words)) = known.iter().find(|(start, _)| message.starts_with(start)) {
        return (*words).to_owned();
    }
    let message = message.split_once(", set DuplicateKeyPolicy").map_or(message, |(what, _)| what);
    message.chars().take(200).collect()
}

/// The bytes of a place; of its line and column where the parser does not count bytes.
fn span(text: &str, location: &Location) -> Range<usize> {
    let number = |n: u64| usize::try_from(n).unwrap_or_default();
    if let Some(start) = location.span().byte_offset().map(number) {
        return start..start + location.span().byte_len().map_or(0, number);
    }
    let line = text.split_inclusive('\n').take(number(location.line()).saturating_sub(1)).map(str::len).sum::<usize>();
    let rest = text.get(line..).unwrap_or_default();
    let column = rest.chars().take(number(location.column()).saturating_sub(1)).map(char::len_utf8).sum::<usize>();
    line + column..line + column
}

/// One value and where it stands.
struct Node {
    at: Range<usize>,
    kind: Kind,
}

enum Kind {
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Members(Vec<(Node, Node)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value: kind, defined, .. } = Spanned::<Kind>::deserialize(deserializer)?;
        // In memory a place is always counted in bytes.
        Ok(Self { at: span("", &defined), kind })
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
        f.write_str("a value: leave out a key that has none")
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

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Kind, E> {
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
        while let Some(Spanned { value: name, defined, .. }) = map.next_key::<Spanned<String>>()? {
            let name = Node { at: span("", &defined), kind: Kind::Text(name) };
            members.push((name, map.next_value()?));
        }
        Ok(Kind::Members(members))
    }
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for YamlError {}

impl de::Error for YamlError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { detail: message.to_string(), span: None }
    }
}

impl YamlError {
    /// The innermost value that an error comes out of is where it is.
    fn at(self, at: &Range<usize>) -> Self {
        Self { span: self.span.or_else(|| Some(at.clone())), ..self }
    }
}

impl<'de> IntoDeserializer<'de, YamlError> for Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Node {
    type Error = YamlError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        let Self { at, kind } = self;
        let read = match kind {
            Kind::Bool(value) => visitor.visit_bool(value),
            Kind::Number(number) => number.deserialize_any(visitor).map_err(de::Error::custom),
            Kind::Text(text) => visitor.visit_string(text),
            Kind::List(items) => visitor.visit_seq(de::value::SeqDeserializer::new(items.into_iter())),
            Kind::Members(members) => visitor.visit_map(Members { rest: members.into_iter(), value: None }),
        };
        read.map_err(|error| error.at(&at))
    }

    /// A key that is there has a value.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, YamlError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, YamlError> {
        if serde_spanned::de::is_spanned(name) {
            let at = self.at.clone();
            return visitor.visit_map(serde_spanned::de::SpannedDeserializer::new(self, at));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, YamlError> {
        let Self { at, kind } = self;
        let read = match kind {
            Kind::Text(name) => visitor.visit_enum(IntoDeserializer::<YamlError>::into_deserializer(name)),
            _ => Err(de::Error::invalid_type(Unexpected::Other("another value"), &"a name")),
        };
        read.map_err(|error| error.at(&at))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

struct Members {
    rest: std::vec::IntoIter<(Node, Node)>,
    value: Option<Node>,
}

impl<'de> MapAccess<'de> for Members {
    type Error = YamlError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, YamlError> {
        let Some((name, value)) = self.rest.next() else { return Ok(None) };
        self.value = Some(value);
        // What a field's name is refused with has no place of its own.
        let at = name.at.clone();
        seed.deserialize(name).map(Some).map_err(|error| error.at(&at))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, YamlError> {
        let value = self.value.take().ok_or_else(|| de::Error::custom("a value without its key"))?;
        seed.deserialize(value)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}
