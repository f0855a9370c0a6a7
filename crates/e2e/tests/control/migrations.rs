//! Migrations by commands of the manifest: backed up before, tried on a copy, run once, and no way back behind a contract.

use anyhow::{Context, Result, ensure};
use signalbox_e2e::control::{Askers, ControlHouse};

use crate::{SERVICE, STAGED, quick};

const SECTION: &str = r#"[migrations]
dir      = "migrations"
database = "sqlite:{data}/shop.log"
command  = ["sh", "-c", "cat \"$1\" >> \"$0\"", "{data}/shop.log"]
backup   = ["cp", "{data}/shop.log"]
restore  = ["sh", "-c", "cp \"$1\" \"$0\"", "{data}/shop.log"]
"#;

#[test]
fn migrations_run_once_and_a_contract_ends_the_way_back() -> Result<()> {
    let house = ControlHouse::new(SERVICE)?;
    let control = house.control(&[])?;
    let folder = house.edge.data.parent().context("a folder")?;
    let (files, log) = (folder.join("migrations"), house.edge.data.join("shop.log"));
    std::fs::create_dir(&files)?;
    std::fs::write(files.join("0001.expand.sql"), "add a column;\n")?;
    std::fs::write(&log, "a database\n")?;
    let mut manifest = quick();
    manifest.more = format!("{SECTION}{STAGED}");
    house.write(&manifest)?;
    let unready = house.deploy("1.0.0")?;
    ensure!(unready.code == 3 && unready.out.contains("database"), "{unready:?}");
    let evidence = folder.join("evidence.json");
    std::fs::write(&evidence, evidence_at(&house)?)?;
    let deploy =
        |version: &str| house.run(&["deploy", version, "--watch", "--timeout", "300s", "--evidence", "evidence.json"]);
    let first = deploy("1.0.0")?;
    ensure!(first.code == 0, "{first:?}");
    ensure!(std::fs::read_to_string(&log)? == "a database\nadd a column;\n");

    std::fs::write(files.join("0002.contract.sql"), "drop a column;\n")?;
    let askers = Askers::start(house.server.address, 4);
    let second = deploy("2.0.0")?;
    let asked = askers.stop()?;
    ensure!(second.code == 0 && asked.failed.is_empty(), "{second:?} {asked:?}");
    ensure!(std::fs::read_to_string(&log)? == "a database\nadd a column;\ndrop a column;\n", "each ran once");
    let back = house.run(&["rollback"])?;
    ensure!(back.code == 10 && back.err.contains("contract 0002"), "{back:?}");

    std::fs::write(files.join("0001.expand.sql"), "add another column;\n")?;
    let changed = deploy("3.0.0")?;
    ensure!(changed.code == 10 && changed.err.contains("0001.expand"), "{changed:?}");
    house.only("2.0.0")?;
    control.terminate()
}

/// A backup and an answer of the database of just now.
fn evidence_at(house: &ControlHouse) -> Result<String> {
    let newest = house.newest()?;
    let at = newest["begun"].as_str().context("no time")?;
    let source = format!(r#"{{"command": "backup", "reference": "a test", "at": "{at}"}}"#);
    Ok(format!(
        r#"{{"database": {{"answered_in": {{"value": "5ms", "source": {source}}},
            "backup": {{"value": {{"made_at": "{at}", "verified": true}}, "source": {source}}}}}}}"#
    ))
}
