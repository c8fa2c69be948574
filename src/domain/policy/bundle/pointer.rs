//! JSON Pointer (RFC 6901) to a member, and what tables of cases do there.

use serde_json::Value;

/// A pointer in parts, RFC 6901.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// Reads a pointer to something below the root.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<String> = text.strip_prefix('/')?.split('/').map(unescape).collect::<Option<_>>()?;
        Some(Self(parts))
    }

    /// Puts a value there; the objects on the way are made. False where the way leads through something else.
    pub fn set(&self, document: &mut Value, value: Value) -> bool {
        let Some((last, way)) = self.0.split_last() else { return false };
        let mut at = document;
        for part in way {
            at = match at {
                Value::Object(members) => {
                    members.entry(part.clone()).or_insert_with(|| Value::Object(serde_json::Map::new()))
                }
                Value::Array(items) => match index(part).and_then(|i| items.get_mut(i)) {
                    Some(item) => item,
                    None => return false,
                },
                _ => return false,
            };
        }
        match at {
            Value::Object(members) => drop(members.insert(last.clone(), value)),
            Value::Array(items) if last == "-" => items.push(value),
            Value::Array(items) => match index(last).and_then(|i| items.get_mut(i)) {
                Some(item) => *item = value,
                None => return false,
            },
            _ => return false,
        }
        true
    }

    /// Takes away what is there. False where nothing is.
    pub fn remove(&self, document: &mut Value) -> bool {
        let Some((last, way)) = self.0.split_last() else { return false };
        let mut at = document;
        for part in way {
            let next = match at {
                Value::Object(members) => members.get_mut(part),
                Value::Array(items) => index(part).and_then(|i| items.get_mut(i)),
                _ => None,
            };
            let Some(next) = next else { return false };
            at = next;
        }
        match at {
            Value::Object(members) => members.remove(last).is_some(),
            Value::Array(items) => match index(last).filter(|i| *i < items.len()) {
                Some(i) => {
                    items.remove(i);
                    true
                }
                None => false,
            },
            _ => false,
        }
    }
}

impl std::fmt::Display for Pointer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|part| write!(f, "/{}", part.replace('~', "~0").replace('/', "~1")))
    }
}

/// An array index has no leading zero (RFC 6901 §4).
fn index(part: &str) -> Option<usize> {
    let canonical = part == "0" || part.starts_with(|c: char| ('1'..='9').contains(&c));
    if canonical { part.parse().ok() } else { None }
}

fn unescape(part: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = part.chars();
    while let Some(c) = chars.next() {
        match c {
            '~' => out.push(match chars.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            }),
            c => out.push(c),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pointer_sets_and_removes_what_it_names() {
        let mut document = json!({"a": {"b/c": [1, 2]}});
        let at = |text: &str| Pointer::parse(text).unwrap();
        assert!(at("/a/b~1c/1").set(&mut document, json!(3)) && at("/a/b~1c/-").set(&mut document, json!(4)));
        assert!(at("/x/y").set(&mut document, json!(5)));
        assert_eq!(document, json!({"a": {"b/c": [1, 3, 4]}, "x": {"y": 5}}));
        assert!(at("/a/b~1c/0").remove(&mut document) && at("/x").remove(&mut document));
        assert_eq!(document, json!({"a": {"b/c": [3, 4]}}));
        assert!(!at("/a/b~1c/01").set(&mut document, json!(1)) && !at("/a/b~1c/2").remove(&mut document));
        assert!(!at("/a/b~1c/0/x").set(&mut document, json!(1)) && Pointer::parse("a").is_none());
        assert_eq!(at("/a/b~1c~0").to_string(), "/a/b~1c~0");
    }
}
