//! Single events: the explorer, the timeline, the export.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use signalbox_core::address::from_bytes;
use signalbox_core::id::{CampaignId, ContactId, LinkId, MessageId, PrincipalId};
use signalbox_core::time::Micros;
use signalbox_events::agent::read_agent;
use signalbox_events::judge::Reasons;
use signalbox_events::kind::{Class, Kind};
use signalbox_store::{Conn, Row, StoreError, Value};

use super::model::decimal;
use crate::stretch;

/// An event, in words.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct EventRow {
    /// Its place in the log; order is seq, never time.
    pub seq: i64,
    /// Yours, or `evt_…`.
    pub id: String,
    pub principal: PrincipalId,
    pub kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign: Option<CampaignId>,
    /// Your name for the campaign.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<ContactId>,
    /// Your key for the contact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkId>,
    /// Where a click led.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When it happened.
    pub occurred_at: Micros,
    /// When it arrived here.
    pub received_at: Micros,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    pub user_agent: String,
    /// The mail client or browser, as read from `user_agent`.
    pub client: &'static str,
    pub device: &'static str,
    /// For `opened` and `clicked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<VerdictView>,
    /// Of a conversion; decimal, exact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// What the event API was told beyond these fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<std::collections::BTreeMap<String, serde_json::Value>>")]
    pub detail: Option<Box<RawValue>>,
    /// The version of the program that recorded the event.
    pub version: String,
}

/// Why an event is in its class.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct VerdictView {
    pub class: Class,
    /// 0 speaks for a person, 1 for a machine.
    pub score: f64,
    pub reasons: Vec<ReasonView>,
    pub rule_version: i64,
}

/// One signal.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ReasonView {
    pub code: &'static str,
    pub words: &'static str,
    /// How much it speaks for a machine, from 0 to 1.
    pub weight: f64,
}

/// Which events are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub campaign: Option<i64>,
    pub recipient: Option<i64>,
    pub message: Option<i64>,
    pub kind: Option<Kind>,
    pub class: Option<Class>,
    pub from: Option<Micros>,
    pub to: Option<Micros>,
}

const COLUMNS: &str = "e.seq, e.id, e.principal_id, e.kind, e.campaign_id, c.key, e.message_id, e.recipient_id, t.key, e.link_id, l.key,
    e.occurred_at, e.received_at, e.source, u.text, e.class, e.score, e.reasons, e.rule_version, e.value_micros, e.currency, e.detail, e.version";
const JOINS: &str = "LEFT JOIN campaign AS c ON c.id = e.campaign_id AND c.principal_id = e.principal_id
    LEFT JOIN contact AS t ON t.id = e.recipient_id AND t.principal_id = e.principal_id
    LEFT JOIN link AS l ON l.id = e.link_id AND l.principal_id = e.principal_id
    LEFT JOIN user_agent AS u ON u.id = e.user_agent_id";

fn read(row: &Row<'_>) -> Result<EventRow, StoreError> {
    let some = |id: i64| (id != 0).then_some(id);
    let kind = Kind::from_code(row.int(3)?).ok_or(StoreError::Shape { column: 3 })?;
    let class = Class::from_code(row.int(15)?).ok_or(StoreError::Shape { column: 15 })?;
    let user_agent = row.opt_text(14)?.unwrap_or_default();
    let agent = read_agent(&user_agent);
    let reasons = Reasons(row.int(17)? as u32);
    let verdict = kind.is_judged().then(|| {
        Ok::<_, StoreError>(VerdictView {
            class,
            score: row.int(16)? as f64 / 1000.0,
            reasons: reasons
                .list()
                .map(|reason| ReasonView {
                    code: reason.code,
                    words: reason.words,
                    weight: f64::from(reason.weight) / 1000.0,
                })
                .collect(),
            rule_version: row.int(18)?,
        })
    });
    Ok(EventRow {
        seq: row.int(0)?,
        id: row.text(1)?,
        principal: PrincipalId(row.int(2)?),
        kind,
        campaign: some(row.int(4)?).map(CampaignId),
        campaign_name: row.opt_text(5)?,
        message: some(row.int(6)?).map(MessageId),
        recipient: some(row.int(7)?).map(ContactId),
        recipient_key: row.opt_text(8)?,
        link: some(row.int(9)?).map(LinkId),
        url: row.opt_text(10)?,
        occurred_at: Micros(row.int(11)?),
        received_at: Micros(row.int(12)?),
        ip: row.opt_address(13)?.map(|bytes| from_bytes(bytes).to_string()),
        user_agent,
        client: agent.client,
        device: agent.device,
        verdict: verdict.transpose()?,
        value: row.opt_int(19)?.map(decimal),
        currency: row.opt_text(20)?,
        detail: row.opt_text(21)?.and_then(|json| RawValue::from_string(json).ok()),
        version: row.text(22)?,
    })
}

/// Events, newest first, before the seq `before`.
pub fn events(
    conn: &mut Conn<'_>,
    filter: &Filter,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<EventRow>, StoreError> {
    let before = before.unwrap_or(i64::MAX);
    if filter.recipient.or(filter.message).is_none() {
        return events_within(conn, filter, None, before, limit);
    }
    let mut found = Vec::new();
    let last = stretch::last_event(conn)?.min(before.saturating_sub(1));
    for stretch in stretch::between(1, last).rev() {
        found.extend(events_within(conn, filter, Some(stretch), before, limit - found.len() as i64)?);
        if found.len() as i64 >= limit {
            break;
        }
    }
    Ok(found)
}

/// The newest `limit` events before the seq `before`, all of `stretch`, if one is given.
fn events_within(
    conn: &mut Conn<'_>,
    filter: &Filter,
    stretch: Option<i64>,
    before: i64,
    limit: i64,
) -> Result<Vec<EventRow>, StoreError> {
    // Where the index of recipients or of messages is to be searched, SQLite must not choose another one.
    let plus = if stretch.is_some() { "+" } else { "" };
    let mut conditions = vec![conn.scope().condition("e.principal_id"), format!("{plus}e.seq < $1")];
    let mut params: Vec<Value<'_>> = vec![before.into()];
    let (campaign, of_stretch) = (format!("{plus}e.campaign_id ="), format!("{} =", stretch::OF_EVENT));
    let wanted = [
        (of_stretch.as_str(), stretch),
        (campaign.as_str(), filter.campaign),
        ("e.recipient_id =", filter.recipient),
        ("e.message_id =", filter.message),
        ("e.kind =", filter.kind.map(Kind::code)),
        ("e.class =", filter.class.map(Class::code)),
        ("e.occurred_at >=", filter.from.map(|at| at.0)),
        ("e.occurred_at <", filter.to.map(|at| at.0)),
    ];
    for (condition, value) in wanted {
        if let Some(value) = value {
            params.push(value.into());
            conditions.push(format!("{condition} ${}", params.len()));
        }
    }
    // What the partial indexes ask for.
    conditions.extend(filter.recipient.map(|_| "e.recipient_id <> 0".to_owned()));
    conditions.extend(filter.message.map(|_| "e.message_id <> 0".to_owned()));
    params.push(limit.into());
    let sql = format!(
        "SELECT {COLUMNS} FROM event AS e {JOINS} WHERE {} ORDER BY e.seq DESC LIMIT ${}",
        conditions.join(" AND "),
        params.len()
    );
    conn.query(&sql, &params, read)
}

/// The event at `seq`, if it is in the scope.
pub fn event(conn: &mut Conn<'_>, seq: i64) -> Result<Option<EventRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM event AS e {JOINS} WHERE e.seq = $1 AND {}",
        conn.scope().condition("e.principal_id")
    );
    conn.first(&sql, &[seq.into()], read)
}

/// The newest events after the seq `after`, in order of seq: for live views.
pub fn events_after(conn: &mut Conn<'_>, after: i64, limit: i64) -> Result<Vec<EventRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM event AS e {JOINS} WHERE {} AND e.seq > $1 ORDER BY e.seq DESC LIMIT $2",
        conn.scope().condition("e.principal_id")
    );
    let mut events = conn.query(&sql, &[after.into(), limit.into()], read)?;
    events.reverse();
    Ok(events)
}

/// Every event of the scope in order of seq, one after the other.
pub fn read_events(
    conn: &mut Conn<'_>,
    each: &mut dyn FnMut(EventRow) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM event AS e {JOINS} WHERE {} ORDER BY e.seq",
        conn.scope().condition("e.principal_id")
    );
    conn.stream(&sql, &[], &mut |row| each(read(row)?))
}
