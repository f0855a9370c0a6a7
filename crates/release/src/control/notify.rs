//! Webhooks as Standard Webhooks has them: signed, with an id that stays the same when it is sent again, and tried again
//! until it arrives or a day is over. How far each has come is on disk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::Sha256;
use signalbox_core::time::{DAY, Micros, SECOND};

use super::controller::Controller;
use super::shelf::Kept;
use crate::executor::words;
use crate::model::machine::{Direction, Event, Outcome, Record};
use crate::model::manifest::{Notification, Occasion};
use crate::model::plan::{Action, Plan};
use crate::model::value::Placeholders;
use crate::{ask, disk};

const TICK: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest time between two tries.
const MOST: i64 = 300 * SECOND;

/// How far the webhooks of a release have come, by their place in the manifest.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Sent {
    records: BTreeMap<usize, u64>,
}

/// Goes on as long as the controller does.
pub(super) async fn notify(controller: Arc<Controller>) {
    let mut tries: BTreeMap<(String, usize), (u32, Micros)> = BTreeMap::new();
    loop {
        tokio::time::sleep(TICK).await;
        let Ok(all) = controller.all() else { continue };
        let now = controller.tools.clock.now();
        for kept in all.iter().filter(|kept| is_fresh(kept, now)) {
            if let Err(why) = turn(&controller, kept, now, &mut tries).await {
                tracing::warn!(release.id = %kept.id, "webhooks: {why}");
            }
        }
    }
}

/// What ended long ago is told no more.
fn is_fresh(kept: &Kept, now: Micros) -> bool {
    kept.ended().is_none_or(|(_, at, _)| now.0 - at.0 < DAY)
}

async fn turn(
    controller: &Controller,
    kept: &Kept,
    now: Micros,
    tries: &mut BTreeMap<(String, usize), (u32, Micros)>,
) -> Result<(), String> {
    let manifest = kept.manifest()?;
    if manifest.notifications.is_empty() {
        return Ok(());
    }
    let path = kept.folder.join("notified.json");
    let mut sent: Sent = disk::load_json(&path).map_err(|error| error.to_string())?.unwrap_or_default();
    for (place, webhook) in manifest.notifications.iter().enumerate() {
        let key = (kept.id.clone(), place);
        if tries.get(&key).is_some_and(|(_, next)| *next > now) {
            continue;
        }
        let done = sent.records.get(&place).copied().unwrap_or(0);
        let plan = kept.journal.plan();
        let due = kept.journal.records().iter().filter(|record| record.seq > done);
        for record in due {
            let occasion =
                occasion(&record.event, plan).filter(|one| webhook.on.is_empty() || webhook.on.contains(one));
            if let Some(occasion) = occasion
                && let Err(why) = send(controller, kept, webhook, occasion, record).await
            {
                let (count, _) = tries.get(&key).copied().unwrap_or_default();
                let pause = (SECOND << count.min(9)).min(MOST);
                tries.insert(key.clone(), (count + 1, now.plus(pause)));
                tracing::warn!(release.id = %kept.id, attempt = count + 1, "a webhook did not arrive: {why}");
                break;
            }
            tries.remove(&key);
            sent.records.insert(place, record.seq);
        }
    }
    disk::store_json(&path, &sent).map_err(|error| error.to_string())
}

/// What a record is to those who are told.
fn occasion(event: &Event, plan: &Plan) -> Option<Occasion> {
    let action = |step| plan.step(step).map(|step| &step.action);
    match event {
        Event::Begun { .. } => Some(Occasion::Begun),
        Event::Intent { step, direction: Direction::Do, .. } => match action(*step)? {
            Action::AwaitGo { roles } if !roles.is_empty() => Some(Occasion::AwaitingApproval),
            _ => None,
        },
        Event::Confirm { step, direction: Direction::Do, .. } => match action(*step)? {
            Action::SetWeight { .. } => Some(Occasion::Step),
            _ => None,
        },
        Event::Paused { .. } => Some(Occasion::Paused),
        Event::RollbackBegun { .. } => Some(Occasion::RollingBack),
        Event::Ended { outcome, .. } => Some(match outcome {
            Outcome::Promoted => Occasion::Promoted,
            Outcome::RolledBack => Occasion::RolledBack,
            Outcome::NeedsHands => Occasion::Failed,
        }),
        _ => None,
    }
}

async fn send(
    controller: &Controller,
    kept: &Kept,
    webhook: &Notification,
    occasion: Occasion,
    record: &Record,
) -> Result<(), String> {
    let plan = kept.journal.plan();
    let body = json!({
        "type": format!("release.{}", serde_json::to_value(occasion).ok().and_then(|word| Some(word.as_str()?.replace('-', "_"))).unwrap_or_default()),
        "timestamp": record.at,
        "data": {
            "release": kept.id, "service": plan.service, "from": plan.from, "to": plan.to, "record": record.seq,
            "by": kept.request.by, "said": words::of(&record.event, kept.journal.plan()),
        },
    });
    let body = Bytes::from(serde_json::to_vec(&body).map_err(|error| error.to_string())?);
    let id = format!("{}-{}", kept.id, record.seq);
    let at = controller.tools.clock.now().0 / SECOND;
    let mut fields = vec![
        ("content-type", "application/json".to_owned()),
        ("webhook-id", id.clone()),
        ("webhook-timestamp", at.to_string()),
    ];
    if let Some(file) = &webhook.secret_file {
        let data = controller.tools.data.display().to_string();
        let place = Placeholders { port: 0, version: kept.request.version.clone(), data };
        let path = kept.request.base.join(file.fill(&place));
        let secret = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        fields.push(("webhook-signature", sign(secret.trim(), &id, at, &body)?));
    }
    let answer = ask::post(&webhook.url.to_string(), &fields, body, PATIENCE).await?;
    if (200..300).contains(&answer.status) { Ok(()) } else { Err(format!("status {}", answer.status)) }
}

/// `v1,` and the HMAC-SHA-256 of id, time and body, as the specification of Standard Webhooks has it.
fn sign(secret: &str, id: &str, at: i64, body: &[u8]) -> Result<String, String> {
    let key = secret.strip_prefix("whsec_").unwrap_or(secret);
    let key = STANDARD.decode(key).map_err(|_| "the secret is not whsec_ and Base64")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|error| error.to_string())?;
    mac.update(format!("{id}.{at}.").as_bytes());
    mac.update(body);
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_specification() {
        // The example of the specification's reference libraries.
        let body = br#"{"test": 2432232314}"#;
        let signed =
            sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed, Ok("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".into()));
        assert!(sign("whsec_?", "a", 1, b"").is_err());
    }
}
