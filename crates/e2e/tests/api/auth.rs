//! Who may ask what: tokens, their scopes, their principals.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use signalbox_e2e::client::Answer;

use crate::house::{House, body, problem};
use crate::on_both_engines;
use crate::times::minute;

on_both_engines!(a_token_reaches_its_principals_and_no_others);

const ALL: [&str; 4] = ["events:write", "events:read", "reports:read", "metrics:read"];

/// Every route that asks for a token, and the scope that it asks for.
const ROUTES: [(&str, &str, &str); 8] = [
    ("POST", "/api/v1/events", "events:write"),
    ("GET", "/api/v1/events", "events:read"),
    ("GET", "/api/v1/contacts/con_0000000000001/timeline", "events:read"),
    ("GET", "/api/v1/overview", "reports:read"),
    ("GET", "/api/v1/campaigns", "reports:read"),
    ("GET", "/api/v1/campaigns/cmp_0000000000001/report", "reports:read"),
    ("GET", "/api/v1/live", "reports:read"),
    ("GET", "/metrics", "metrics:read"),
];

#[test]
fn nobody_comes_in_without_a_good_token() {
    let house = House::sqlite();
    let forged = format!("sbx_{}", "A".repeat(43));
    let other_case = house.token.to_uppercase();
    let credentials: [Option<String>; 13] = [
        None,
        Some(String::new()),
        Some("Bearer".into()),
        Some("Bearer ".into()),
        Some(format!("Bearer {forged}")),
        Some(format!("Bearer {}x", house.token)),
        Some(format!("Bearer {}", &house.token[..house.token.len() - 1])),
        Some(format!("Bearer {other_case}")),
        Some(format!("Bearer {}", house.token.replace("sbx_", ""))),
        Some(format!("Basic {}", house.token)),
        Some(house.token.clone()),
        Some(format!("Bearer {}, Bearer {}", house.token, house.token)),
        Some(format!("Bearer {}", "x".repeat(10_000))),
    ];
    for (method, path, _) in ROUTES {
        for credential in &credentials {
            let headers: Vec<_> = credential.iter().map(|value| ("Authorization", value.as_str())).collect();
            let answer =
                house.request(method, path, &headers, if method == "POST" { b"{\"kind\":\"sent\"}" } else { b"" });
            problem(&answer, 401, "unauthenticated");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{method} {path}");
        }
    }
    assert_eq!(house.guest().events("").len(), 0, "nothing was recorded");
    assert_eq!(house.guest().answer("/api/v1/overview").status, 200);
}

#[test]
fn a_token_does_what_its_scopes_say() {
    let house = House::sqlite();
    for own in ALL {
        let guest = house.guest_with(own, None);
        for (method, path, needed) in ROUTES {
            if own == needed {
                continue;
            }
            let answer = guest.request(method, path, &[], if method == "POST" { b"{\"kind\":\"sent\"}" } else { b"" });
            let told = problem(&answer, 403, "forbidden");
            assert!(told["detail"].as_str().expect("a detail").contains(needed), "{own} at {path}: {told}");
        }
    }
    assert_eq!(house.guest_with("events:write", None).post("{\"kind\":\"sent\"}").status, 200);
    assert_eq!(house.guest_with("events:read", None).answer("/api/v1/events").status, 200);
    assert_eq!(house.guest_with("reports:read", None).answer("/api/v1/campaigns").status, 200);
    assert_eq!(house.guest_with("metrics:read", None).answer("/metrics").status, 200);
    assert_eq!(house.guest_with("events:read,reports:read", None).answer("/api/v1/overview").status, 200);
}

#[test]
fn a_token_ends_when_it_is_revoked_or_expires() {
    let house = House::sqlite();
    let make = |arguments: &[&str]| {
        let create = ["api-token", "create", "--name", "short", "--scope", "reports:read", "--output", "json"];
        body_of(&house.run(&[&create, arguments].concat()))
    };
    let made = make(&[]);
    let (id, token) = (made["id"].as_str().expect("an id"), made["token"].as_str().expect("a token"));
    let status = |token: &str| {
        let authorization = format!("Bearer {token}");
        house.request("GET", "/api/v1/overview", &[("Authorization", &authorization)], b"").status
    };
    assert_eq!(status(token), 200);
    house.run(&["api-token", "revoke", id]);
    let revoked = Instant::now();
    while status(token) != 401 {
        assert!(revoked.elapsed() < Duration::from_secs(2), "a revoked token goes on");
        std::thread::sleep(Duration::from_millis(50));
    }
    let made = make(&["--expires", "2s"]);
    let token = made["token"].as_str().expect("a token");
    assert_eq!(status(token), 200);
    let begun = Instant::now();
    while status(token) != 401 {
        assert!(begun.elapsed() < Duration::from_secs(5), "an expired token goes on");
        std::thread::sleep(Duration::from_millis(50));
    }
    let list = house.run(&["api-token", "list"]);
    assert!(!list.contains("sbx_"), "{list}");
    assert!(list.contains("revoked") && list.contains("until"), "{list}");
}

fn body_of(printed: &str) -> Value {
    serde_json::from_str(printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// An answer without what differs from request to request.
fn comparable(answer: &Answer) -> (u16, Vec<(String, String)>, Vec<u8>) {
    // These differ from request to request, the policy by its nonce.
    const FRESH: [&str; 3] = ["content-security-policy", "date", "x-request-id"];
    let headers = answer.headers.iter().filter(|(name, _)| !FRESH.contains(&name.as_str()));
    (answer.status, headers.cloned().collect(), answer.body.clone())
}

fn a_token_reaches_its_principals_and_no_others(house: &House) {
    let acme_id = house.principal("acme");
    let zeta_id = house.principal("zeta");
    let [acme, zeta] =
        ["acme", "zeta"].map(|name| house.guest_with("events:write,events:read,reports:read", Some(name)));
    let events = |who: &str, count: i64| {
        let event = |number: i64| json!({"kind": "opened", "id": format!("{who}-{number}"), "campaign": "spring", "recipient": format!("{who}@example.org"), "user_agent": crate::house::CHROME, "occurred_at": minute(number)});
        json!((0..count).map(event).collect::<Vec<_>>()).to_string()
    };
    assert_eq!(acme.post(&events("acme", 3)).status, 200);
    assert_eq!(zeta.post(&events("zeta", 5)).status, 200);
    house.wait_for_seq(8);

    let campaigns =
        |guest: &crate::house::Guest<'_>| guest.get("/api/v1/campaigns")["items"].as_array().expect("items").clone();
    let (own, foreign) = (campaigns(&acme), campaigns(&zeta));
    assert_eq!((own.len(), foreign.len(), campaigns(&house.guest()).len()), (1, 1, 2));
    assert_eq!((&own[0]["principal"], &foreign[0]["principal"]), (&json!(acme_id), &json!(zeta_id)));
    assert_eq!(acme.get("/api/v1/overview")["totals"]["opens"]["human"], json!({"total": 3, "unique": 1}));
    assert_eq!(zeta.get("/api/v1/overview")["totals"]["opens"]["human"], json!({"total": 5, "unique": 1}));
    assert!(acme.events("").iter().all(|event| event["principal"] == acme_id.as_str()));
    assert_eq!((acme.events("").len(), zeta.events("").len(), house.guest().events("").len()), (3, 5, 8));

    // What belongs to somebody else is exactly as absent as what is not there.
    let (own, foreign) = (own[0]["id"].as_str().expect("an id"), foreign[0]["id"].as_str().expect("an id"));
    assert_eq!(acme.answer(&format!("/api/v1/campaigns/{own}/report")).status, 200);
    for place in ["/api/v1/campaigns/{}/report", "/campaigns/{}"] {
        let absent = comparable(&acme.answer(&place.replace("{}", "cmp_0123456789abc")));
        assert_eq!(absent.0, 404, "{place}");
        assert_eq!(comparable(&acme.answer(&place.replace("{}", foreign))), absent, "{place}");
        assert_eq!(comparable(&acme.answer(&place.replace("{}", "no-id-at-all"))), absent, "{place}");
    }
    let contact = zeta.events("")[0]["recipient"].as_str().expect("a contact").to_owned();
    assert_eq!(zeta.get(&format!("/api/v1/contacts/{contact}/timeline"))["items"].as_array().map(Vec::len), Some(5));
    let absent = comparable(&acme.answer("/api/v1/contacts/con_0123456789abc/timeline"));
    assert_eq!(comparable(&acme.answer(&format!("/api/v1/contacts/{contact}/timeline"))), absent);
    assert_eq!(acme.events(&format!("&campaign={foreign}")), Vec::<Value>::new());
    assert_eq!(acme.events(&format!("&recipient={contact}")), Vec::<Value>::new());

    // Writing for somebody else is refused in the same words as writing for nobody.
    let refused = |principal: &str| {
        let answer = acme.post(&json!({"kind": "sent", "principal": principal}).to_string());
        let told = problem(&answer, 400, "events-refused");
        told["errors"][0]["detail"].as_str().expect("a detail").replace(principal, "…")
    };
    assert_eq!(refused(&zeta_id), refused("pri_0123456789abc"));
    assert_eq!(acme.post(&json!({"kind": "sent", "principal": acme_id}).to_string()).status, 200);
    // Whoever reaches several says which one is meant.
    let both = house.run(&[
        "api-token",
        "create",
        "--name",
        "both",
        "--scope",
        "events:write",
        "--principal",
        "acme,zeta",
        "--output",
        "json",
    ]);
    let both = body_of(&both)["token"].as_str().expect("a token").to_owned();
    let authorization = format!("Bearer {both}");
    let post = |event: Value| {
        house.request("POST", "/api/v1/events", &[("Authorization", &authorization)], event.to_string().as_bytes())
    };
    let told = problem(&post(json!({"kind": "sent"})), 400, "events-refused");
    assert!(told["errors"][0]["detail"].as_str().expect("a detail").contains("principal"), "{told}");
    assert_eq!(post(json!({"kind": "sent", "principal": zeta_id})).status, 200);
    house.wait_for_seq(10);
    assert_eq!(body(&zeta.answer("/api/v1/overview"))["totals"]["events"]["sent"]["total"], 1);
}
