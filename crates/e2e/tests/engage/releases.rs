use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rusqlite::Connection;
use signalbox_e2e::control::ControlHouse;
use signalbox_e2e::environment::alone;
use signalbox_e2e::installation::Installation;
use signalbox_e2e::ledger::Ledger;
use signalbox_e2e::load::{Clients, Load, Targets};
use signalbox_e2e::process::wait_for;

const LIMIT: Duration = Duration::from_secs(120);
const SOME: Clients = Clients { pixels: 3, clicks: 3, api: 1, batch: 5 };

/// Each version is this program; what is wrong with one stands in `FAULT`.
const MANIFEST: &str = r#"profile = "fast"

[service]
name      = "engage"
kind      = "engage"
run       = ["{binary}", "engage", "--data", "{data}", "--listen", "127.0.0.1:{port}"FAULT]
instances = 1
ports     = "{ports}"
drain     = "5s"
stop      = "5s"
restart   = { first = "100ms", most = "200ms", give_up = 3 }
health    = { path = "/health", interval = "200ms", version = "$.version", startup = "30s" }

[canary]
steps        = [20, 50, 100]
hold         = "3s"
min_requests = 100
bake         = "2s"
insufficient = "hold 2m, then roll back"

[[canary.metric]]
name  = "errors"
worse = "+2 points"

[[canary.metric]]
name  = "recording"
worse = "-2 points"

[[canary.metric]]
name   = "tracking accuracy"
worse  = "-10 points"
shadow = true

[[canary.metric]]
name   = "click-through"
worse  = "-50 %"
shadow = true

[readiness]
threshold = 40

{evidence}
"#;

fn promoted(data: &std::path::Path) -> Result<(Option<String>, Option<String>)> {
    let conn = Connection::open(data.join("signalbox.db"))?;
    let first = |sql: &str| {
        let mut statement = conn.prepare(sql)?;
        let mut rows = statement.query([])?;
        Ok::<_, anyhow::Error>(rows.next()?.map(|row| row.get(0)).transpose()?)
    };
    Ok((
        first("SELECT version FROM version_share WHERE promoted = 1")?,
        first("SELECT version FROM lease WHERE name = 'jobs'")?,
    ))
}

fn house() -> Result<(ControlHouse, Installation)> {
    let house = ControlHouse::new("unused")?;
    let installation = Installation::at(house.edge.data.clone())?;
    installation.run(&["migrate"])?;
    std::fs::write(
        house.edge.data.join("signalbox.toml"),
        "[limits]\nenabled = false\n[server]\ntrusted_proxies = [\"127.0.0.1/32\"]\n",
    )?;
    house.write_text(&MANIFEST.replace("FAULT", ""))?;
    Ok((house, installation))
}

#[test]
fn a_good_version_is_promoted_and_one_that_loses_clicks_is_rolled_back() -> Result<()> {
    let _alone = alone()?;
    let (house, installation) = house()?;
    let control = house.control(&[])?;
    house.promote("1.0.0")?;
    let targets = Targets::of(&installation)?;
    let load = Load::start(house.server.address, &targets, SOME);

    let (good, seen) = std::thread::scope(|threads| {
        let deploying = threads.spawn(|| house.promote("2.0.0"));
        let seen = wait_for(LIMIT, "all metrics are seen", || {
            let status = house.run(&["status"])?.out;
            let line = |name: &str| status.lines().any(|line| line.contains(name) && line.contains("against"));
            ensure!(line("recording") && line("tracking accuracy"), "{status}");
            Ok(status)
        });
        (deploying.join(), seen)
    });
    good.ok().context("the deploy panicked")??;
    eprintln!("{}", seen?);
    house.only("2.0.0")?;
    wait_for(LIMIT, "the jobs move to the promoted version", || {
        let found = promoted(&house.edge.data)?;
        ensure!(found == (Some("2.0.0".into()), Some("2.0.0".into())), "{found:?}");
        Ok(())
    })?;
    let mut ledger = Ledger::default();
    ledger.merge(load.stop()?);
    ensure!(ledger.wrong.is_empty() && ledger.cut_off.is_empty() && ledger.unanswered == 0, "{ledger:?}");

    // Every answer of it is a pixel or a redirect, with the id of an event; a third of the clicks is nowhere.
    let fault = ", \"--allow-faults\", \"--fault\", \"drop-clicks=30%\"";
    house.write_text(&MANIFEST.replace("FAULT", fault))?;
    let load = Load::start(house.server.address, &targets, SOME);
    let bad = house.deploy("3.0.0")?;
    let lost = load.stop()?;
    ensure!(bad.code == 4, "{bad:?}");
    ensure!(bad.out.contains("recording") || bad.err.contains("recording"), "{bad:?}");
    eprintln!("{}", bad.out);
    house.only("2.0.0")?;
    ensure!(lost.wrong.is_empty() && lost.cut_off.is_empty() && lost.unanswered == 0, "{lost:?}");
    let found = promoted(&house.edge.data)?;
    ensure!(found == (Some("2.0.0".into()), Some("2.0.0".into())), "{found:?}");

    // What the good versions acknowledged is stored. (The bad one is why the second ledger cannot be even.)
    let stored = installation.export()?;
    let mut all = ledger;
    let acknowledged = all.acknowledged();
    all.merge(lost);
    let balance = all.balance(&stored);
    eprintln!("acknowledged before the bad version {acknowledged}, in the end {balance}");
    ensure!(balance.unknown.is_empty() && balance.doubled.is_empty() && !balance.lost.is_empty(), "{balance}");
    control.terminate()
}

/// A store that is dead is no reason to stay: what is not known never passes, and the way back is not held up.
#[test]
fn without_a_word_of_the_store_a_release_does_not_pass() -> Result<()> {
    let _alone = alone()?;
    let (house, installation) = house()?;
    let text = MANIFEST.replace("hold 2m, then roll back", "hold 10s, then roll back").replace("FAULT", "");
    house.write_text(&text)?;
    let control = house.control(&[])?;
    house.promote("1.0.0")?;
    let targets = Targets::of(&installation)?;
    // The controller sees a table that it cannot read; instances project into it no more, and serve.
    Connection::open(house.edge.data.join("signalbox.db"))?
        .execute("ALTER TABLE version_counter RENAME TO version_counter_gone", [])?;
    let load = Load::start(house.server.address, &targets, Clients { api: 0, ..SOME });
    let ended = house.deploy("2.0.0")?;
    load.stop()?;
    ensure!(ended.code == 4, "{ended:?}");
    ensure!(ended.out.contains("version_counter") || ended.out.contains("recording"), "{ended:?}");
    control.terminate()
}
