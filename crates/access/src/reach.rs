//! Which principals somebody reaches: all, or a list.

use signalbox_core::id::PrincipalId;
use signalbox_store::Scope;

/// What to say to who chose a list without any.
pub(crate) const NO_PRINCIPAL: &str = "Choose at least one principal, or all of them.";

/// Which principals a user or a token reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    All,
    Principals(Vec<i64>),
}

impl Reach {
    /// As the store keeps it: `all`, or ids with commas between them.
    pub fn to_text(&self) -> String {
        match self {
            Reach::All => "all".into(),
            Reach::Principals(ids) => ids.iter().map(i64::to_string).collect::<Vec<_>>().join(","),
        }
    }

    /// Reads what [`Reach::to_text`] wrote; what is not readable reaches nothing.
    pub fn from_text(text: &str) -> Self {
        match text {
            "all" => Reach::All,
            ids => Reach::Principals(ids.split(',').filter_map(|id| id.parse().ok()).collect()),
        }
    }

    /// The rows that it opens.
    pub fn scope(&self) -> Scope {
        match self {
            Reach::All => Scope::all(),
            Reach::Principals(ids) => Scope::principals(ids.iter().copied()),
        }
    }

    /// What both reach.
    pub fn and(&self, other: &Reach) -> Reach {
        match (self, other) {
            (Reach::All, reach) | (reach, Reach::All) => reach.clone(),
            (Reach::Principals(mine), Reach::Principals(theirs)) => {
                Reach::Principals(mine.iter().copied().filter(|id| theirs.contains(id)).collect())
            }
        }
    }

    /// Whether everything that it reaches is inside `scope`.
    pub fn is_within(&self, scope: &Scope) -> bool {
        match self {
            Reach::All => *scope == Scope::all(),
            Reach::Principals(ids) => ids.iter().all(|id| scope.contains(*id)),
        }
    }
}

impl schemars::JsonSchema for Reach {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Reach".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let id = generator.subschema_for::<PrincipalId>();
        schemars::json_schema!({
            "description": "Which principals a user or a token reaches: `all`, or a list.",
            "anyOf": [{"const": "all"}, {"type": "array", "items": id}],
        })
    }
}

/// `"all"`, or a list of ids.
impl serde::Serialize for Reach {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Reach::All => out.serialize_str("all"),
            Reach::Principals(ids) => out.collect_seq(ids.iter().map(|id| PrincipalId(*id))),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Reach {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Wire {
            Word(String),
            List(Vec<PrincipalId>),
        }
        let wrong = || serde::de::Error::custom("principals is \"all\" or a list of ids of principals");
        match Wire::deserialize(input).map_err(|_| wrong())? {
            Wire::Word(word) if word == "all" => Ok(Reach::All),
            Wire::Word(_) => Err(wrong()),
            Wire::List(ids) => Ok(Reach::Principals(ids.into_iter().map(|id| id.0).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reach_reads_back_and_never_grows() {
        let two = Reach::Principals(vec![1, 2]);
        assert_eq!(Reach::from_text(&two.to_text()), two);
        assert_eq!(Reach::from_text("nonsense"), Reach::Principals(vec![]));
        assert_eq!(Reach::from_text(""), Reach::Principals(vec![]));
        assert_eq!(two.and(&Reach::Principals(vec![2, 3])), Reach::Principals(vec![2]));
        assert_eq!(two.and(&Reach::All), two);
        assert!(two.is_within(&Scope::all()) && !Reach::All.is_within(&two.scope()));
        assert!(!two.is_within(&Scope::principals([1])));
    }
}
