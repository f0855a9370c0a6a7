//! Events as the API takes them: parsed strictly, one by one, so that a bad one does not sink the good ones.

use std::net::IpAddr;

use serde::Deserialize;
use serde_json::value::RawValue;
use signalbox_core::address::to_bytes;
use signalbox_core::id::{CampaignId, ContactId, EventId, LinkId, MessageId, PrincipalId};
use signalbox_core::time::{DAY, MINUTE, Micros};
use signalbox_events::chunk::Packed;
use signalbox_events::kind::Kind;
use signalbox_events::record::{Detail, Name, Record, RecordId, cut, hint, most};

/// A clock that is fast by no more than this is forgiven: the event counts as having just happened.
const AHEAD: i64 = 5 * MINUTE;
/// Nine digits before the point, in millionths.
const MOST_VALUE: i64 = 999_999_999_999_999;
/// Older events are refused: they would re-open hours that are long closed.
const OLDEST: i64 = 5 * 366 * DAY;

/// One event, as sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'w> {
    kind: String,
    id: Option<String>,
    principal: Option<String>,
    campaign: Option<String>,
    message: Option<String>,
    recipient: Option<String>,
    url: Option<String>,
    link: Option<String>,
    occurred_at: Option<Micros>,
    user_agent: Option<String>,
    ip: Option<String>,
    name: Option<String>,
    reason: Option<String>,
    code: Option<String>,
    bounce_type: Option<String>,
    #[serde(borrow)]
    value: Option<&'w RawValue>,
    currency: Option<String>,
    #[serde(borrow)]
    properties: Option<&'w RawValue>,
}

/// Who sends, and when it arrived.
#[derive(Debug, Clone)]
pub struct Sender<'s> {
    /// The principals that the caller may write for.
    pub scope: &'s signalbox_store::Scope,
    /// The principal of events that name none.
    pub principal: Option<i64>,
    pub request_id: &'s str,
    pub now: Micros,
}

/// One event of a body, or why it is not even JSON.
pub type Item<'b> = Result<&'b RawValue, String>;

/// Splits a body into its events: one object, an array, or one object per line; `lines` when it is said to be the last.
pub fn split(body: &[u8], lines: bool, most_events: usize) -> Result<Vec<Item<'_>>, String> {
    let body = without_mark(body).trim_ascii();
    let text = std::str::from_utf8(body);
    let items: Vec<Item<'_>> = match body.first() {
        None => return Err("the body is empty; send an event, an array of events, or one event per line".into()),
        Some(b'[') if !lines => {
            let text = text.map_err(|_| "the body is not UTF-8".to_owned())?;
            let items: Vec<&RawValue> =
                serde_json::from_str(text).map_err(|error| format!("the body is not a JSON array: {error}"))?;
            items.into_iter().map(Ok).collect()
        }
        Some(_) => match text.ok().and_then(|text| stream(text).collect::<Result<Vec<_>, _>>().ok()) {
            // As most send it, and also one event over several lines.
            Some(items) => items.into_iter().map(Ok).collect(),
            // Something in it is not JSON: that is told, the rest is taken.
            None => {
                let items: Vec<_> = body.split(|byte| *byte == b'\n').flat_map(read_line).collect();
                if let Some(Err(error)) = items.iter().find(|item| item.is_err())
                    && items.iter().all(Result::is_err)
                {
                    return Err(format!("nothing in the body is JSON: {error}"));
                }
                items
            }
        },
    };
    if items.len() > most_events {
        return Err(format!("the body holds {} events; at most {most_events} go into one request", items.len()));
    }
    if items.is_empty() {
        return Err("the array is empty; send at least one event".into());
    }
    Ok(items)
}

fn stream(text: &str) -> impl Iterator<Item = serde_json::Result<&RawValue>> {
    serde_json::Deserializer::from_str(text).into_iter()
}

fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// The events of one line. A byte order mark before them and a comma after them are forgiven; after what is not JSON, nothing
/// of the line is read.
fn read_line(line: &[u8]) -> Vec<Item<'_>> {
    let line = without_mark(line.trim_ascii()).trim_ascii();
    let line = line.strip_suffix(b",").unwrap_or(line);
    match std::str::from_utf8(line) {
        // The iterator ends after its first error.
        Ok(text) => stream(text).map(|item| item.map_err(|error| format!("the line is not JSON: {error}"))).collect(),
        Err(_) => vec![Err("the line is not UTF-8".into())],
    }
}

/// Parses one event and packs it. Gives back its id; `own` is the id for an event that names none.
pub fn pack(item: &RawValue, sender: &Sender<'_>, own: i64, packed: &mut Packed) -> Result<String, String> {
    if !item.get().starts_with('{') {
        return Err("an event is a JSON object".into());
    }
    let wire: Wire<'_> = serde_json::from_str(item.get()).map_err(|error| plain(&error))?;
    let kind: Kind = wire.kind.parse()?;
    wire.check_fields(kind)?;
    let id = check(wire.id.as_deref(), "id", most::ID)?;
    let principal = principal(wire.principal.as_deref(), sender)?;
    let now = sender.now;
    let occurred_at = match wire.occurred_at {
        Some(at) if at.0 > now.0 + AHEAD => return Err(format!("occurred_at {at} is in the future")),
        Some(at) if at.0 < now.0 - OLDEST => return Err(format!("occurred_at {at} is more than five years ago")),
        Some(at) => at.min(now),
        None => now,
    };
    let source = match wire.ip.as_deref() {
        Some(text) => Some(text.parse::<IpAddr>().map_err(|_| format!("ip {:?} is not an IP address", cut(text, 64)))?),
        None => None,
    };
    let link = match (check(wire.link.as_deref(), "link", most::KEY)?, check(wire.url.as_deref(), "url", most::URL)?) {
        (Some(_), Some(_)) => return Err("link and url name the same thing; send one of them".into()),
        (Some(link), None) => Name::Id(link.parse::<LinkId>().map_err(|error| format!("link: {error}"))?.0),
        (None, Some(url)) if is_web(url) => Name::Key(url),
        (None, Some(url)) => return Err(format!("url {:?} is not an http or https address", cut(url, 64))),
        (None, None) => Name::None,
    };
    let value_micros = wire.value.map(|value| parse_value(value.get())).transpose()?;
    let currency = check(wire.currency.as_deref(), "currency", 3)?.unwrap_or_default();
    let is_code = currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase());
    if !currency.is_empty() && !is_code {
        return Err(format!("currency {currency:?} is not an ISO 4217 code such as EUR"));
    }
    if value_micros.is_some() && currency.is_empty() {
        return Err("a value needs its currency".into());
    }
    let user_agent = cut(wire.user_agent.as_deref().unwrap_or_default(), most::USER_AGENT);
    if user_agent.chars().any(char::is_control) {
        return Err("user_agent holds control characters".into());
    }
    let json = wire.detail_json()?;
    let detail = Detail { value_micros, currency, json: &json };
    let record = Record {
        id: id.map_or(RecordId::Own(own), RecordId::Given),
        principal,
        campaign: name(wire.campaign.as_deref(), "campaign", |text| text.parse().map(|id: CampaignId| id.0).ok())?,
        message: name(wire.message.as_deref(), "message", |text| text.parse().map(|id: MessageId| id.0).ok())?,
        recipient: name(wire.recipient.as_deref(), "recipient", |text| text.parse().map(|id: ContactId| id.0).ok())?,
        link,
        kind: kind as u8,
        occurred_at: occurred_at.0,
        received_at: now.0,
        source: source.map(to_bytes),
        user_agent,
        request_id: cut(sender.request_id, most::REQUEST_ID),
        hints: hint::REPORTED,
        detail: (detail != Detail::default()).then_some(detail),
    };
    packed.push(&record);
    Ok(id.map_or_else(|| EventId(own).to_string(), str::to_owned))
}

/// Whether `url` begins as an address of the web, as where links lead does.
fn is_web(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let is_host = |first: char| !first.is_whitespace() && !matches!(first, '/' | '?' | '#' | ':');
    matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") && rest.starts_with(is_host)
}

/// What serde says, without the position inside one event.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(words, _)| words.to_owned())
}

/// A text that names something: present, not blank, not too long, without control characters.
fn check<'t>(text: Option<&'t str>, field: &str, most: usize) -> Result<Option<&'t str>, String> {
    match text {
        None => Ok(None),
        Some(text) if text.trim().is_empty() => Err(format!("{field} is empty; leave it out instead")),
        Some(text) if text.len() > most => Err(format!("{field} is longer than {most} bytes")),
        Some(text) if text.chars().any(char::is_control) => Err(format!("{field} holds control characters")),
        Some(text) => Ok(Some(text)),
    }
}

fn name<'t>(text: Option<&'t str>, field: &str, id: impl Fn(&str) -> Option<i64>) -> Result<Name<'t>, String> {
    Ok(match check(text, field, most::KEY)? {
        None => Name::None,
        Some(text) => id(text).map_or(Name::Key(text), Name::Id),
    })
}

fn principal(text: Option<&str>, sender: &Sender<'_>) -> Result<i64, String> {
    match text {
        Some(text) => {
            let id = text.parse::<PrincipalId>().map_err(|error| format!("principal: {error}"))?.0;
            // The same words whether it exists or not.
            if sender.scope.contains(id) { Ok(id) } else { Err(format!("principal {text} is not one of yours")) }
        }
        None => {
            sender.principal.ok_or_else(|| "this token reaches several principals; name one as \"principal\"".into())
        }
    }
}

/// A decimal number as millionths, without going through a float.
fn parse_value(text: &str) -> Result<i64, String> {
    let wrong = || format!("value {} is not a number with at most 9 digits and 6 decimals", cut(text, 64));
    let number = text.trim_matches('"');
    let (negative, number) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    // Programs write small numbers with an exponent: 0.000001 is 1e-6 in most of them. A text is written by hand.
    if text.starts_with('"') && number.contains(['e', 'E']) {
        return Err(wrong());
    }
    let (digits, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || number.len() > 64 {
        return Err(wrong());
    }
    let exponent: i32 = exponent.parse().map_err(|_| wrong())?;
    // All digits as one whole number, and how many of them stand after the point when it is counted in millionths.
    let digits = format!("{whole}{fraction}");
    let surplus = i64::try_from(fraction.len()).map_err(|_| wrong())? - i64::from(exponent) - 6;
    let significant = digits.trim_start_matches('0');
    let micros = if significant.is_empty() {
        0
    } else if let Ok(surplus) = usize::try_from(surplus) {
        let (kept, lost) = significant.split_at(significant.len().saturating_sub(surplus));
        if surplus > significant.len() || lost.bytes().any(|byte| byte != b'0') {
            return Err(wrong());
        }
        kept.parse().map_err(|_| wrong())?
    } else {
        let zeros = usize::try_from(-surplus).map_err(|_| wrong())?;
        if significant.len() + zeros > 15 {
            return Err(wrong());
        }
        format!("{significant}{}", "0".repeat(zeros)).parse::<i64>().map_err(|_| wrong())?
    };
    if micros > MOST_VALUE {
        return Err(wrong());
    }
    Ok(if negative { -micros } else { micros })
}

impl Wire<'_> {
    /// Refuses fields that mean nothing for the kind, and kinds without what they need.
    fn check_fields(&self, kind: Kind) -> Result<(), String> {
        let fields = [
            ("url", self.url.is_some(), matches!(kind, Kind::Clicked)),
            ("link", self.link.is_some(), matches!(kind, Kind::Clicked | Kind::Converted)),
            ("value", self.value.is_some(), kind == Kind::Converted),
            ("currency", self.currency.is_some(), kind == Kind::Converted),
            ("name", self.name.is_some(), matches!(kind, Kind::Custom | Kind::Converted)),
            ("bounce_type", self.bounce_type.is_some(), kind == Kind::Bounced),
            ("code", self.code.is_some(), matches!(kind, Kind::Bounced | Kind::Deferred | Kind::Complained)),
            (
                "reason",
                self.reason.is_some(),
                matches!(kind, Kind::Bounced | Kind::Deferred | Kind::Complained | Kind::Unsubscribed),
            ),
        ];
        for (field, present, belongs) in fields {
            if present && !belongs {
                return Err(format!("{field} does not belong to a {kind} event"));
            }
        }
        if kind == Kind::Custom && self.name.is_none() {
            return Err("a custom event needs a name".into());
        }
        if kind == Kind::Converted && self.value.is_none() {
            return Err("a converted event needs a value".into());
        }
        match self.bounce_type.as_deref() {
            None | Some("hard" | "soft") => Ok(()),
            Some(other) => Err(format!("bounce_type {:?} is neither hard nor soft", cut(other, 64))),
        }
    }

    /// What has no column of its own, as a JSON object; empty when there is nothing.
    fn detail_json(&self) -> Result<String, String> {
        let mut object = serde_json::Map::new();
        for (field, value) in
            [("name", &self.name), ("reason", &self.reason), ("code", &self.code), ("bounce_type", &self.bounce_type)]
        {
            if let Some(value) = value {
                check(Some(value), field, 1024)?;
                object.insert(field.into(), value.as_str().into());
            }
        }
        if let Some(properties) = self.properties {
            let value: serde_json::Value =
                serde_json::from_str(properties.get()).map_err(|error| format!("properties: {}", plain(&error)))?;
            if !value.is_object() {
                return Err("properties is not an object".into());
            }
            object.insert("properties".into(), value);
        }
        if object.is_empty() {
            return Ok(String::new());
        }
        let json = serde_json::Value::Object(object).to_string();
        // PostgreSQL's text cannot hold it.
        if json.contains("\\u0000") {
            return Err("the event holds a NUL character".into());
        }
        if json.len() > most::DETAIL {
            Err(format!("the event's properties are larger than {} bytes", most::DETAIL))
        } else {
            Ok(json)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use signalbox_store::Scope;

    use super::*;

    const NOW: Micros = Micros(1_780_000_000_000_000);

    fn packed(text: &str) -> Result<String, String> {
        let scope = Scope::principals([7]);
        let sender = Sender { scope: &scope, principal: Some(7), request_id: "", now: NOW };
        pack(split(text.as_bytes(), false, 10)?.remove(0)?, &sender, 1, &mut Packed::default())
    }

    #[test]
    fn good_events_are_taken() {
        for text in [
            r#"{"kind":"opened","campaign":"spring","recipient":"anna","ip":"192.0.2.1","user_agent":"x"}"#,
            r#"{"kind":"clicked","url":"https://shop.example/","message":"m-1"}"#,
            r#"{"kind":"clicked","url":"HTTP://müller.example/ä b"}"#,
            r#"{"kind":"converted","value":12.5,"currency":"EUR"}"#,
            r#"{"kind":"custom","name":"signed up","properties":{"plan":"pro"}}"#,
            r#"{"kind":"bounced","bounce_type":"hard","code":"5.1.1","reason":"no such user"}"#,
        ] {
            assert!(packed(text).is_ok(), "{text}: {:?}", packed(text));
        }
        assert_eq!(packed(r#"{"kind":"opened","id":"e-1"}"#).unwrap(), "e-1");
        assert_eq!(packed(r#"{"kind":"opened"}"#).unwrap(), EventId(1).to_string());
    }

    #[test]
    fn bad_events_are_told_apart() {
        for (text, said) in [
            (r#"{"kind":"open"}"#, "not a kind of event"),
            (r#"{"kind":"opened","colour":"red"}"#, "unknown field `colour`"),
            (r#"{"campaign":"x"}"#, "missing field `kind`"),
            (r#"{"kind":"opened","occurred_at":"2099-01-01T00:00:00Z"}"#, "in the future"),
            (r#"{"kind":"opened","occurred_at":"1999-01-01T00:00:00Z"}"#, "five years ago"),
            (r#"{"kind":"opened","ip":"::x"}"#, "not an IP address"),
            (r#"{"kind":"opened","value":1}"#, "does not belong"),
            (r#"{"kind":"converted"}"#, "needs a value"),
            (r#"{"kind":"converted","value":1}"#, "needs its currency"),
            (r#"{"kind":"converted","value":1e9,"currency":"EUR"}"#, "not a number"),
            (r#"{"kind":"converted","value":1,"currency":"euro"}"#, "currency"),
            (r#"{"kind":"custom"}"#, "needs a name"),
            (r#"{"kind":"custom","name":"x","properties":[1]}"#, "not an object"),
            (r#"{"kind":"custom","name":"x","properties":{"a":"\u0000"}}"#, "NUL"),
            (r#"{"kind":"opened","id":""}"#, "id is empty"),
            (r#"{"kind":"opened","campaign":"a\u0000b"}"#, "control characters"),
            (r#"{"kind":"opened","user_agent":"a\u0000b"}"#, "control characters"),
            (r#"{"kind":"opened","principal":"pri_0000000000008"}"#, "not one of yours"),
            (r#"{"kind":"clicked","url":"javascript:alert(1)"}"#, "not an http or https address"),
            (r#"{"kind":"clicked","url":"data:text/html,x"}"#, "not an http or https address"),
            (r#"{"kind":"clicked","url":"//shop.example/"}"#, "not an http or https address"),
            (r#"{"kind":"clicked","url":"https:///x"}"#, "not an http or https address"),
            (r#"{"kind":"clicked","url":" https://shop.example/"}"#, "not an http or https address"),
            ("7", "an event is a JSON object"),
            ("[[1]]", "an event is a JSON object"),
            ("[null]", "an event is a JSON object"),
            (r#"["kind"]"#, "an event is a JSON object"),
        ] {
            let error = packed(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn bodies_are_split() {
        let count = |body: &str| split(body.as_bytes(), false, 3).map(|items| items.len());
        assert_eq!(count("{}"), Ok(1));
        assert_eq!(count("[{},7,null]"), Ok(3));
        assert_eq!(count("{}\n{}\r\n\n{}\n"), Ok(3));
        assert!(count("[{},{},{},{}]").unwrap_err().contains("at most 3"));
        for wrong in ["", "[", "[]", "[{},x]", "not json", "{\"a\":", "a=1\nb=2"] {
            assert!(count(wrong).is_err(), "{wrong}");
        }
        let good = |body: &str| split(body.as_bytes(), false, 9).unwrap().iter().map(Result::is_ok).collect::<Vec<_>>();
        assert_eq!(good("{}\nnot json\n\n{}"), [true, false, true]);
        assert_eq!(good("{}\n{\"a\":"), [true, false]);
        assert_eq!(good("{\n}\n{\n}"), [true, true]);
        assert!(split(b"\xff", false, 3).is_err());
    }

    #[test]
    fn a_bad_line_is_told_and_the_others_are_taken() {
        let good = |body: &[u8], lines| split(body, lines, 9).map(|items| items.iter().map(Result::is_ok).collect());
        for lines in [false, true] {
            let good = |body: &[u8]| good(body, lines).unwrap_or_else(|error| panic!("{body:?}: {error}"));
            let told: [(&[u8], &[bool]); 8] = [
                (b"{}\n{\"a\":\"caf\xe9\"}\n{}", &[true, false, true]),
                (b"{} {}\nbad\n{}", &[true, true, false, true]),
                (b"{}\n{} bad {}\n{}", &[true, true, false, true]),
                (b"{}\n\xef\xbb\xbf{}\n{}", &[true, true, true]),
                (b"\xef\xbb\xbf{},\r\n{},\n", &[true, true]),
                (b"bad\n{}", &[false, true]),
                (b"\xff\xfe\n{}", &[false, true]),
                (b"{}\n[oops", &[true, false]),
            ];
            for (body, told) in told {
                let got: Vec<bool> = good(body);
                assert_eq!(got, told, "{body:?}");
            }
        }
        let got: Result<Vec<bool>, _> = good(b"[oops\n{}", true);
        assert_eq!(got.as_deref(), Ok(&[false, true][..]), "lines are never an array");
        let got: Result<Vec<bool>, _> = good(b"[oops\n{}", false);
        assert!(got.unwrap_err().contains("not a JSON array"));
    }

    #[test]
    fn values_are_exact() {
        assert_eq!(parse_value("0.1"), Ok(100_000));
        assert_eq!(parse_value("-12"), Ok(-12_000_000));
        assert_eq!(parse_value("\"19.99\""), Ok(19_990_000));
        for (text, micros) in [
            ("1e-6", 1),
            ("1E3", 1_000_000_000),
            ("-2.5e+1", -25_000_000),
            ("0e99", 0),
            ("0.1000000000", 100_000),
            ("999999999.999999", MOST_VALUE),
        ] {
            assert_eq!(parse_value(text), Ok(micros), "{text}");
        }
        let long = "9".repeat(5000);
        for wrong in [
            "1e9",
            "1e-7",
            "1e",
            "1e99999999999",
            "1e2147483647",
            "1e-2147483648",
            &long,
            "0.1234567",
            "1234567890123",
            ".",
            "1.",
            "null",
            "\"\"",
            "--1",
        ] {
            assert!(parse_value(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            for items in [false, true].into_iter().filter_map(|lines| split(&body, lines, 10).ok()) {
                let scope = Scope::all();
                let sender = Sender { scope: &scope, principal: None, request_id: "", now: NOW };
                items.into_iter().flatten().for_each(|item| drop(pack(item, &sender, 1, &mut Packed::default())));
            }
        }
    }
}
