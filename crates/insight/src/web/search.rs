//! `GET /search`: campaigns, contacts and pages by name.

use askama::Template;
use axum::extract::{Extension, Query, State};
use axum::response::Response;
use serde::Deserialize;
use signalbox_core::time::DAY;
use signalbox_http::caller::{Caller, Permission};
use signalbox_http::page::{Frame, Item};
use signalbox_http::reply::Reply;

use super::context::Link;
use super::render;
use crate::api::Insight;
use crate::report::{self, CampaignOrder, Range};

/// Of each kind of thing.
const MOST: i64 = 20;
const LONGEST: usize = 200;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    q: String,
}

#[derive(Debug, Clone, Template)]
#[template(path = "search.html")]
struct SearchPage {
    frame: Frame,
    words: String,
    pages: Vec<&'static Item>,
    campaigns: Vec<Link>,
    contacts: Vec<Link>,
    most: i64,
    searches_contacts: bool,
}

impl SearchPage {
    fn found_nothing(&self) -> bool {
        self.pages.is_empty() && self.campaigns.is_empty() && self.contacts.is_empty()
    }
}

pub(super) async fn page(
    State(insight): State<Insight>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<Asked>,
) -> Reply<Response> {
    let words: String = asked.q.trim().chars().take(LONGEST).collect();
    let mut frame = Frame::new("Search", "", Some(&caller));
    frame.query.clone_from(&words);
    let small = words.to_lowercase();
    let items = frame.groups.iter().flat_map(|group| group.items.iter().copied());
    let pages: Vec<_> = items.filter(|item| !words.is_empty() && item.label.to_lowercase().contains(&small)).collect();
    // A contact's name is personal, so it is found by those who may see single events.
    let searches_contacts = caller.may(Permission::EventsRead);
    let (campaigns, contacts) = if words.is_empty() {
        (Vec::new(), Vec::new())
    } else {
        let (range, sought) = (Range::last(DAY, insight.clock.now()), words.clone());
        let found = insight.store.read(caller.scope.clone(), move |conn| {
            let campaigns = report::campaign_list(conn, &range, CampaignOrder::Newest, &sought, None, MOST)?;
            let contacts =
                if searches_contacts { report::contact_list(conn, &sought, None, MOST)? } else { Vec::new() };
            Ok((campaigns, contacts))
        });
        found.await?
    };
    let link = |href: String, label: String| Link { href, label };
    render(&SearchPage {
        frame,
        words,
        pages,
        campaigns: campaigns
            .into_iter()
            .map(|row| link(format!("/campaigns/{}", row.campaign.id), row.campaign.name))
            .collect(),
        contacts: contacts.into_iter().map(|one| link(format!("/contacts/{}", one.id), one.key)).collect(),
        most: MOST,
        searches_contacts,
    })
}
