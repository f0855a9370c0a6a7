//! Reading for people: newest first, page by page, with the personal values that are still there.

use serde::Serialize;
use serde_json::{Value as Json, json};
use signalbox_core::time::Micros;
use signalbox_crypto::chain::{SLOT_ADDRESS, SLOT_NAME, SLOT_PAYLOAD, to_hex};
use signalbox_store::{Column, Conn, StoreError, Value};

/// Which entries are wanted; all of them unless told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// A whole action, or its first word: `user` finds `user.created` too.
    pub action: Option<String>,
    /// As [`Actor`](crate::Actor) is written: `user:usr_…`, `command`.
    pub actor: Option<String>,
    pub object: Option<String>,
    pub correlation: Option<String>,
    /// Not before this instant.
    pub from: Option<Micros>,
    /// Before this instant.
    pub to: Option<Micros>,
}

/// An entry as people see it.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "AuditEntry")]
pub struct Row {
    pub seq: i64,
    pub id: String,
    pub at: Micros,
    pub actor: String,
    /// `None` when it was erased.
    pub actor_name: Option<String>,
    /// `None` when there was none, or it was erased.
    pub address: Option<String>,
    pub action: String,
    pub object: String,
    pub correlation: String,
    /// What it was before. An erased value is `{"$erased": true}`.
    #[schemars(with = "Option<serde_json::Value>")]
    pub before: Option<Json>,
    #[schemars(with = "Option<serde_json::Value>")]
    pub after: Option<Json>,
    pub hash: String,
}

/// Entries before `before_seq` (from the newest on when there is none), newest first, at most `limit`.
pub fn page(
    conn: &mut Conn<'_>,
    filter: &Filter,
    before_seq: Option<i64>,
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    let (condition, mut params) = filter.condition(before_seq);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    params.push(limit.into());
    let sql = format!(
        "SELECT seq, id, at, actor, action, object, correlation, payload, hash FROM audit_entry
         WHERE {condition} ORDER BY seq DESC LIMIT ${}",
        params.len()
    );
    let mut rows = conn.query(&sql, &params, |row| {
        let payload: Json = serde_json::from_str(&row.text(7)?).unwrap_or_default();
        Ok(Row {
            seq: row.int(0)?,
            id: row.text(1)?,
            at: Micros(row.int(2)?),
            actor: row.text(3)?,
            actor_name: None,
            address: None,
            action: row.text(4)?,
            object: row.text(5)?,
            correlation: row.text(6)?,
            before: payload.get("before").cloned(),
            after: payload.get("after").cloned(),
            hash: to_hex(&row.bytes(8)?),
        })
    })?;
    add_personal(conn, &mut rows)?;
    Ok(rows)
}

impl Filter {
    fn condition(&self, before_seq: Option<i64>) -> (String, Vec<Value<'_>>) {
        let mut conditions = vec!["1 = 1".to_owned()];
        let mut params: Vec<Value<'_>> = Vec::new();
        if let Some(seq) = before_seq {
            params.push(seq.into());
            conditions.push(format!("seq < ${}", params.len()));
        }
        if let Some(action) = &self.action {
            params.push(action.as_str().into());
            let number = params.len();
            conditions
                .push(format!("(action = ${number} OR substr(action, 1, length(${number}) + 1) = ${number} || '.')"));
        }
        let texts = [("actor", &self.actor), ("object", &self.object), ("correlation", &self.correlation)];
        for (column, text) in texts {
            if let Some(text) = text {
                params.push(text.as_str().into());
                conditions.push(format!("{column} = ${}", params.len()));
            }
        }
        for (comparison, instant) in [(">=", self.from), ("<", self.to)] {
            if let Some(instant) = instant {
                params.push(instant.0.into());
                conditions.push(format!("at {comparison} ${}", params.len()));
            }
        }
        (conditions.join(" AND "), params)
    }
}

/// Puts the personal values back where they were.
fn add_personal(conn: &mut Conn<'_>, rows: &mut [Row]) -> Result<(), StoreError> {
    let mut values = Vec::new();
    let seqs = Column::Ints(rows.iter().map(|row| row.seq).collect());
    let sql = "SELECT p.seq, p.slot, p.value FROM {keys} JOIN audit_personal p ON p.seq = k.k0";
    conn.lookup(sql, &[seqs], &mut |row| {
        values.push((row.int(0)?, row.int(1)?, row.text(2)?));
        Ok(())
    })?;
    values.sort_unstable();
    for row in rows {
        let start = values.partition_point(|(seq, ..)| *seq < row.seq);
        let end = values.partition_point(|(seq, ..)| *seq <= row.seq);
        let values = &values[start..end];
        let value = |wanted: i64| values.iter().find(|(_, slot, _)| *slot == wanted).map(|(.., value)| value.as_str());
        row.actor_name = value(SLOT_NAME).map(str::to_owned);
        row.address = value(SLOT_ADDRESS).map(str::to_owned);
        let mut slot = SLOT_PAYLOAD;
        let mut next = || {
            slot += 1;
            value(slot - 1).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| json!({"$erased": true}))
        };
        // In the order of the canonical text: `after` stands before `before`.
        row.after.iter_mut().for_each(|after| restore(after, &mut next));
        row.before.iter_mut().for_each(|before| restore(before, &mut next));
    }
    Ok(())
}

fn restore(value: &mut Json, next: &mut dyn FnMut() -> Json) {
    match value {
        Json::Object(fields) if fields.contains_key("$commitment") => *value = next(),
        Json::Object(fields) => fields.values_mut().for_each(|value| restore(value, next)),
        Json::Array(items) => items.iter_mut().for_each(|value| restore(value, next)),
        _ => (),
    }
}
