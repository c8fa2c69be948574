//! A struct is written as an object, at whatever depth it stands.
//!
//! Derived `Deserialize` also takes a struct, or an enum's struct variant, from an array of its members in their order: a
//! second spelling that no schema knows, in which nothing says what is what. [`Named`] stands around a deserializer and
//! all that it hands out, and lets structs see nothing but objects. It is generic through and through: what remains after
//! compilation is the deserializer itself. Not here: what serde buffers before it knows the type (`flatten`, `untagged`,
//! `tag`); the documents that come in through a door have none of these, and a test of the module holds them to it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};

/// A part of serde's conversation in which structs are objects.
pub(super) struct Named<T>(pub(super) T);

/// A struct's visitor: sees an object or nothing.
struct Members<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for Members<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object: ")?;
        self.0.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Named(map))
    }
}

macro_rules! asked {
    ($($method:ident($($name:ident: $kind:ty),*);)*) => {
        $(fn $method<V: Visitor<'de>>(self, $($name: $kind,)* visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method($($name,)* Named(visitor))
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Named<D> {
    type Error = D::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_struct(name, fields, Members(visitor))
    }

    asked! {
        deserialize_any();
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        deserialize_identifier();
        deserialize_ignored_any();
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! seen {
    ($($method:ident($kind:ty);)*) => {
        $(fn $method<E: Error>(self, value: $kind) -> Result<V::Value, E> {
            self.0.$method(value)
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Named<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    seen! {
        visit_bool(bool);
        visit_i64(i64);
        visit_i128(i128);
        visit_u64(u64);
        visit_u128(u128);
        visit_f64(f64);
        visit_str(&str);
        visit_borrowed_str(&'de str);
        visit_string(String);
        visit_bytes(&[u8]);
        visit_borrowed_bytes(&'de [u8]);
        visit_byte_buf(Vec<u8>);
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(Named(deserializer))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(Named(deserializer))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(Named(seq))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Named(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<V::Value, A::Error> {
        self.0.visit_enum(Named(data))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Named<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Named(deserializer))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Named<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Named(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Named<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(Named(seed))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Named(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Named<A> {
    type Error = A::Error;
    type Variant = Named<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        self.0.variant_seed(Named(seed)).map(|(value, variant)| (value, Named(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Named<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(Named(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(len, Named(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.struct_variant(fields, Members(visitor))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};
    use serde_json::{Value, json};

    use crate::domain::json;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Leaf {
        a: u8,
        b: String,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Pair(u8, String);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Inside(Leaf);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Choice {
        Nothing,
        One(Leaf),
        Two(u8, Leaf),
        Members { x: Leaf, y: bool },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Tree {
        leaf: Leaf,
        maybe: Option<Leaf>,
        list: Vec<Leaf>,
        by_name: BTreeMap<String, Leaf>,
        boxed: Box<Leaf>,
        newtype: Inside,
        pair: Pair,
        tuple: (u8, Leaf),
        choices: Vec<Choice>,
        data: json::Object,
        any: Value,
    }

    fn tree() -> Value {
        let leaf = json!({"a": 1, "b": "x"});
        json!({
            "leaf": leaf, "maybe": leaf, "list": [leaf, leaf], "by_name": {"n": leaf}, "boxed": leaf, "newtype": leaf,
            "pair": [1, "x"], "tuple": [1, leaf],
            "choices": ["nothing", {"one": leaf}, {"two": [1, leaf]}, {"members": {"x": leaf, "y": true}}],
            "data": {"rows": [[1, 2], [3]]}, "any": [[1], {"z": []}],
        })
    }

    /// serde takes these apart before it knows the type, where [`super::Named`] does not see it.
    #[test]
    fn no_document_that_comes_in_through_a_door_is_buffered_before_its_type_is_known() {
        // Written by us alone: the store's rows, the policy's answers and the toolchain's reports.
        let ours = [
            "domain/approval/challenge.rs",
            "domain/ledger/entry.rs",
            "domain/leg/withdrawal.rs",
            "domain/policy/decision.rs",
            "service/toolchain/bench.rs",
            "service/toolchain/replay/report.rs",
        ];
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut folders = vec![root.clone()];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                let buffered = |line: &str| {
                    line.contains("#[serde(")
                        && ["flatten", "untagged", "tag = "].iter().any(|word| line.contains(word))
                };
                if text.lines().any(buffered) && !path.ends_with("named.rs") {
                    found.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        found.sort();
        assert_eq!(found, ours);
    }

    #[test]
    fn what_is_written_with_names_is_read_as_serde_reads_it() {
        let read: Tree = json::read(tree()).unwrap();
        assert_eq!(read, serde_json::from_value::<Tree>(tree()).unwrap());
        assert_eq!(json::parse_as::<Tree>(tree().to_string().as_bytes()).unwrap(), read);
        assert_eq!(json::from_slice::<Tree>(tree().to_string().as_bytes()).unwrap(), read);
    }

    #[test]
    fn a_struct_as_an_array_is_refused_wherever_it_stands_with_its_place() {
        let places = [
            ("/leaf", "/leaf"),
            ("/maybe", "/maybe"),
            ("/list/1", "/list/1"),
            ("/by_name/n", "/by_name/n"),
            ("/boxed", "/boxed"),
            ("/newtype", "/newtype"),
            ("/tuple/1", "/tuple/1"),
            ("/choices/1/one", "/choices/1"),
            ("/choices/2/two/1", "/choices/2/1"),
            ("/choices/3/members/x", "/choices/3/x"),
            ("/choices/3/members", "/choices/3"),
            ("", ""),
        ];
        for (place, pointer) in places {
            let mut array = tree();
            let found = array.pointer_mut(place).unwrap();
            *found = found.as_object().unwrap().values().cloned().collect();
            let text = array.to_string();
            assert!(place.is_empty() || serde_json::from_str::<Tree>(&text).is_ok(), "{place}: serde takes it");
            for error in [json::read::<Tree>(array).unwrap_err(), json::parse_as::<Tree>(text.as_bytes()).unwrap_err()]
            {
                assert_eq!(error.pointer, pointer, "{place}: {error}");
                assert!(error.detail.starts_with("invalid type: sequence, expected "), "{error}");
            }
            assert!(json::from_slice::<Tree>(text.as_bytes()).is_err(), "{place}");
        }
    }
}
