//! Who is asking, as far as rows are concerned. Rows that belong to a principal are reached only through a scope.

/// Which principals' rows may be seen and written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope(Reach);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reach {
    All,
    Principals(Vec<i64>),
}

impl Scope {
    /// Everything: the program itself (projector, migrations) and whoever was granted all principals.
    pub fn all() -> Self {
        Self(Reach::All)
    }

    /// The rows of the given principals and no others; none at all when the list is empty.
    pub fn principals(ids: impl IntoIterator<Item = i64>) -> Self {
        let mut ids: Vec<_> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        Self(Reach::Principals(ids))
    }

    /// Whether the rows of `principal` are inside.
    pub fn contains(&self, principal: i64) -> bool {
        match &self.0 {
            Reach::All => true,
            Reach::Principals(ids) => ids.binary_search(&principal).is_ok(),
        }
    }

    /// The principal, when there is exactly one.
    pub fn only(&self) -> Option<i64> {
        match &self.0 {
            Reach::Principals(ids) if ids.len() == 1 => Some(ids[0]),
            _ => None,
        }
    }

    /// The condition that a statement carries, for example `e.principal_id IN (1,2)`. Only numbers are rendered.
    pub fn condition(&self, column: &'static str) -> String {
        match &self.0 {
            Reach::All => "1 = 1".into(),
            Reach::Principals(ids) if ids.is_empty() => "1 = 0".into(),
            Reach::Principals(ids) if ids.len() == 1 => format!("{column} = {}", ids[0]),
            Reach::Principals(_) => format!("{column} IN ({})", self.list()),
        }
    }

    /// What row-level security reads from `app.principals`.
    pub(crate) fn list(&self) -> String {
        match &self.0 {
            Reach::All => "all".into(),
            Reach::Principals(ids) => ids.iter().map(i64::to_string).collect::<Vec<_>>().join(","),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_renders_its_condition() {
        assert_eq!(Scope::all().condition("e.principal_id"), "1 = 1");
        assert_eq!(Scope::principals([]).condition("e.principal_id"), "1 = 0");
        assert_eq!(Scope::principals([7]).condition("e.principal_id"), "e.principal_id = 7");
        assert_eq!(Scope::principals([9, 7, 9]).condition("principal_id"), "principal_id IN (7,9)");
        assert!(Scope::principals([7]).contains(7) && !Scope::principals([7]).contains(8));
    }
}
