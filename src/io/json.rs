//! JSON of files, read strictly: nothing in it is dropped in silence, and it takes no more memory than it may.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// What an object of up to five values takes: one node of its tree.
const NODE: usize = 640;
/// What a value in a list takes, while the list grows.
const ITEM: usize = 2 * size_of::<Value>();
/// What the first one takes beside that: a list begins with room for four.
const FIRST: usize = 2 * size_of::<Value>();

/// What a tree may take in memory beside eight bytes for each of the text: enough for ten thousand layers.
const MEMORY: usize = 64 << 20;

/// Reads JSON in which no object has a key twice. A short text like `{"":0}` becomes a hundred times as long in memory:
/// so much is allowed up to a point. Nesting is limited by the parser (128 levels).
pub(crate) fn parse(text: &str) -> serde_json::Result<Value> {
    read(text, MEMORY.saturating_add(text.len().saturating_mul(8)))
}

/// The same into a tree of about `memory` bytes at most.
fn read(text: &str, memory: usize) -> serde_json::Result<Value> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = Reader { left: &Cell::new(memory) }.deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

/// A number as a setting. JSON has none for NaN and the infinities, which become strings.
pub(crate) fn real(x: f64) -> Value {
    Number::from_f64(x).map_or_else(|| Value::String(x.to_string()), Value::Number)
}

/// Reads a value, as long as there is memory left for it.
#[derive(Clone, Copy)]
struct Reader<'m> {
    left: &'m Cell<usize>,
}

impl Reader<'_> {
    fn take<E: Error>(self, memory: usize) -> Result<(), E> {
        let left = self.left.get().checked_sub(memory).ok_or_else(|| E::custom("it would take too much memory"))?;
        self.left.set(left);
        Ok(())
    }

    fn text<E: Error>(self, text: &str) -> Result<String, E> {
        self.take(text.len())?;
        Ok(text.to_owned())
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.text(value).map(Value::String)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Value, S::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            self.take(if list.is_empty() { ITEM + FIRST } else { ITEM })?;
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut entries: M) -> Result<Value, M::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.take(key.len())?;
            if map.len().is_multiple_of(5) {
                self.take(NODE)?;
            }
            if map.contains_key(&key) {
                return Err(M::Error::custom(format_args!("the key {key:?} stands twice in one object")));
            }
            map.insert(key, entries.next_value_seed(self)?);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_what_serde_json_reads_but_no_key_twice() {
        let text = r#"{"a": [1, -2, 2.5, "x\n", null, true, {}], "b": {"a": 1e-3}}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(parse(text).unwrap(), value);
        let message = parse(r#"[{"a": 1, "b": 2, "a": 1}]"#).unwrap_err().to_string();
        assert!(message.contains("the key \"a\" stands twice"), "{message}");
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert!(parse(&deep).is_err());
        assert!(parse("1 2").is_err());
    }

    #[test]
    fn stops_where_the_memory_ends() {
        for text in [format!("[{}0]", "0,".repeat(2000)), format!("[{}0]", "{\"\":0},".repeat(100)), "9".repeat(1000)] {
            let text = if text.starts_with('9') { format!("\"{text}\"") } else { text };
            assert!(parse(&text).is_ok());
            let message = read(&text, 999).unwrap_err().to_string();
            assert!(message.contains("too much memory"), "{message}");
        }
    }

    #[test]
    fn numbers_that_json_has_not_are_strings() {
        assert_eq!(real(0.1), json!(0.1));
        assert_eq!([f64::NAN, f64::INFINITY, -f64::INFINITY].map(real), [json!("NaN"), json!("inf"), json!("-inf")]);
    }
}
