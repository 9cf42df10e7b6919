//! Pure: reading JSON of which only some places matter, with numbers as the sender wrote them.
//!
//! Places are read one by one from the raw text: no tree is built, and no number becomes a float.

use std::collections::HashMap;

use serde_json::value::RawValue;

/// A value somewhere in a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Json<'a>(&'a RawValue);

impl<'a> Json<'a> {
    /// A whole body.
    pub(super) fn read(body: &'a [u8]) -> Result<Json<'a>, serde_json::Error> {
        serde_json::from_slice(body).map(Json)
    }

    /// What stands at a path such as `amounts.total`; nothing for null.
    pub(super) fn at(self, path: &str) -> Option<Json<'a>> {
        let mut here = self;
        for name in path.split('.') {
            let members: HashMap<String, &'a RawValue> = serde_json::from_str(here.0.get()).ok()?;
            here = Json(members.get(name)?);
        }
        (here.0.get() != "null").then_some(here)
    }

    /// This text, or this number as it is written; nothing for an empty text and all else.
    pub(super) fn scalar(self) -> Option<String> {
        let raw = self.0.get();
        match raw.as_bytes().first()? {
            b'"' => {
                let text: String = serde_json::from_str(raw).ok()?;
                let text = text.trim();
                (!text.is_empty()).then(|| text.to_owned())
            }
            b'-' | b'0'..=b'9' => Some(raw.to_owned()),
            _ => None,
        }
    }

    /// The text or number at a path.
    pub(super) fn text(self, path: &str) -> Option<String> {
        self.at(path)?.scalar()
    }

    /// The first text or number that stands at one of these paths.
    pub(super) fn first(self, paths: &[&str]) -> Option<String> {
        paths.iter().find_map(|path| self.text(path))
    }

    /// The items of the list at a path; none if there is none.
    pub(super) fn list(self, path: &str) -> Vec<Json<'a>> {
        let items: Option<Vec<&'a RawValue>> = self
            .at(path)
            .and_then(|list| serde_json::from_str(list.0.get()).ok());
        items.unwrap_or_default().into_iter().map(Json).collect()
    }

    /// The members of the object at a path that are texts or numbers.
    pub(super) fn members(self, path: &str) -> Vec<(String, String)> {
        let members: Option<HashMap<String, &'a RawValue>> = self
            .at(path)
            .and_then(|object| serde_json::from_str(object.0.get()).ok());
        let mut members: Vec<(String, String)> = members
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(name, value)| Some((name, Json(value).scalar()?)))
            .collect();
        members.sort_unstable();
        members
    }

    /// Whether `true` stands at a path.
    pub(super) fn is_true(self, path: &str) -> bool {
        self.at(path).is_some_and(|value| value.0.get() == "true")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_as_they_are_written() {
        let body = br#"{"a":{"b":500.00,"c":"12.30 ","d":null,"e":[1e2,-3]}}"#;
        let json = Json::read(body).unwrap();
        assert_eq!(json.text("a.b").as_deref(), Some("500.00"));
        assert_eq!(json.text("a.c").as_deref(), Some("12.30"));
        assert_eq!(json.text("a.d"), None);
        assert_eq!(json.text("a.b.x"), None);
        let list: Vec<_> = json.list("a.e").into_iter().map(Json::scalar).collect();
        assert_eq!(list, [Some("1e2".to_owned()), Some("-3".to_owned())]);
    }
}
