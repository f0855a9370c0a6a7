//! Forms that another site sends, names that want to be scripts, and bodies that are none.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use signalbox_e2e::installation::Installation;

use crate::person::{Person, body, encode, user};

#[test]
fn other_sites_change_nothing() -> Result<()> {
    let installation = Installation::sqlite()?;
    user(&installation, "ada@example.org", "owner", &[])?;
    let server = installation.serve()?;
    let mut ada = Person::signed_in(&server, "ada@example.org")?;
    let own = ada.headers.clone();
    let kinds: [&[(&str, &str)]; 5] = [
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[],
    ];
    for headers in kinds {
        ada.headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        for (path, fields) in [
            ("/users", &[("email", "x@example.org"), ("role", "owner")][..]),
            ("/sign-out", &[]),
            ("/profile/sessions/end-others", &[]),
        ] {
            let answer = ada.post(path, fields)?;
            ensure!(answer.status == 403 && answer.text().contains("cross-site"), "{headers:?} {path}: {answer:?}");
        }
        let answer = ada.json("POST", "/api/v1/users", &json!({"email": "x@example.org", "role": "viewer"}))?;
        ensure!(answer.status == 403, "{headers:?}: {answer:?}");
    }
    ada.headers = own;
    let all = body(&ada.get("/api/v1/users")?)?;
    ensure!(all["items"].as_array().map(Vec::len) == Some(1), "{all}");
    ada.headers = vec![("origin".into(), "https://t.example.org".into())];
    ensure!(ada.post("/profile/sessions/end-others", &[])?.status == 303, "its own forms work in older browsers");
    Ok(())
}

#[test]
fn names_are_never_scripts_or_headers() -> Result<()> {
    let installation = Installation::sqlite()?;
    user(&installation, "ada@example.org", "owner", &[])?;
    let server = installation.serve()?;
    let mut ada = Person::signed_in(&server, "ada@example.org")?;
    let corpus = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "'><svg/onload=alert(1)>",
        "</title><script>alert(1)</script>",
        "{{7*7}}",
        "javascript:alert(1)",
        "<iframe srcdoc='<script>alert(1)</script>'>",
        "&lt;script&gt;",
    ];
    for (number, name) in corpus.iter().enumerate() {
        let email = format!("x{number}@example.org");
        let made = ada.json("POST", "/api/v1/users", &json!({"email": email, "name": name, "role": "viewer"}))?;
        ensure!(made.status == 201, "{name}: {made:?}");
        let id = body(&made)?["user"]["id"].as_str().context("no id")?.to_owned();
        ensure!(ada.json("POST", "/api/v1/principals", &json!({"name": name}))?.status == 201);
        ensure!(
            ada.json("POST", "/api/v1/api-tokens", &json!({"name": name, "scopes": ["reports:read"]}))?.status == 201
        );
        for path in
            ["/users", "/tokens", "/users/new", "/audit", &format!("/users/{id}"), &format!("/users/{id}/delete")]
        {
            let page = ada.get(path)?;
            ensure!(page.status == 200, "{path}");
            for wanted in ["<script>alert", "<img src=x", "<svg/onload", "<iframe"] {
                ensure!(!page.text().contains(wanted), "{path} holds {wanted}");
            }
        }
        let query = encode(name);
        for path in [format!("/audit?action={query}"), format!("/sign-in?next={query}"), format!("/users?done={query}")]
        {
            let text = ada.get(&path)?.text();
            ensure!(!text.contains("<script>alert") && !text.contains("<img src=x"), "{path}");
        }
    }
    for name in ["a\r\nSet-Cookie: x=1", "a\0b", "a\u{202e}b", "\u{200b}"] {
        for (path, wanted) in [
            ("/api/v1/principals", json!({"name": name})),
            ("/api/v1/api-tokens", json!({"name": name, "scopes": ["reports:read"]})),
            ("/api/v1/users", json!({"email": "n@example.org", "name": name, "role": "viewer"})),
            ("/api/v1/users", json!({"email": format!("{name}@example.org"), "role": "viewer"})),
        ] {
            let answer = ada.json("POST", path, &wanted)?;
            ensure!(answer.status == 422 && answer.header("set-cookie").is_none(), "{wanted}: {answer:?}");
        }
    }
    Ok(())
}

#[test]
fn signing_in_leads_back_and_nowhere_else() -> Result<()> {
    let installation = Installation::sqlite()?;
    user(&installation, "ada@example.org", "owner", &[])?;
    let server = installation.serve()?;
    let asked = Person::new(&server).get("/audit?action=user")?;
    ensure!(asked.header("location") == Some("/sign-in?next=/audit%3Faction%3Duser"), "{asked:?}");
    for (next, place) in [
        ("/audit?action=user", "/audit?action=user"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/%0d%0aSet-Cookie: x", "/"),
        ("/\r\nSet-Cookie: x=1", "/"),
    ] {
        let answer = Person::new(&server)
            .post("/sign-in", &[("email", "ada@example.org"), ("password", crate::person::PASSWORD), ("next", next)])?;
        ensure!(answer.status == 303 && answer.header("location") == Some(place), "{next}: {answer:?}");
    }
    Ok(())
}

#[test]
fn bodies_that_are_none_are_told_so() -> Result<()> {
    let installation = Installation::sqlite()?;
    user(&installation, "ada@example.org", "owner", &[])?;
    let server = installation.serve()?;
    let mut ada = Person::signed_in(&server, "ada@example.org")?;
    let large = vec![b'a'; 70_000];
    let json = ("content-type", "application/json");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let deep = "[".repeat(50_000);
    for (path, kind, bytes, status) in [
        ("/api/v1/users", json, &b"{"[..], 400),
        ("/api/v1/users", json, deep.as_bytes(), 400),
        ("/api/v1/users", json, b"{\"email\":\"\xff\"}", 400),
        ("/api/v1/users", json, &large, 413),
        ("/api/v1/users", form, b"email=x", 415),
        ("/users", json, b"{}", 415),
        ("/users", form, b"role=%", 400),
        ("/users", form, &large, 413),
    ] {
        let answer = ada.ask("POST", path, &[kind], bytes)?;
        ensure!(answer.status == status, "{path} {kind:?}: {answer:?}");
    }
    Ok(())
}
