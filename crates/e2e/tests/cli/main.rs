//! The commands as somebody at a terminal meets them: help, output, exit codes, and errors that say what to do.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use signalbox_e2e::disk::Disk;
use signalbox_e2e::installation::Installation;
use signalbox_e2e::{environment, process};

#[path = "../support/database.rs"]
mod database;
mod installations;

/// What a command did.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(command: &mut Command) -> Result<Ran> {
    let output = command.stdin(Stdio::null()).output()?;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).context("not UTF-8");
    Ok(Ran { code: output.status.code(), out: text(output.stdout)?, err: text(output.stderr)? })
}

fn signalbox(arguments: &[&str]) -> Result<Ran> {
    run(Command::new(environment::binary()?).args(arguments).env_remove("DATABASE_URL"))
}

/// It fails with this exit code, prints nothing, and says all of these words on stderr.
fn refuses(ran: &Ran, code: i32, words: &[&str]) -> Result<()> {
    ensure!(ran.code == Some(code), "exit code {code} was expected: {ran:?}");
    ensure!(ran.out.is_empty(), "a refusal goes to stderr alone: {ran:?}");
    for word in words {
        ensure!(ran.err.contains(word), "{word:?} is missing: {ran:?}");
    }
    ensure!(!ran.err.contains("panicked") && !ran.err.contains("RUST_BACKTRACE"), "{ran:?}");
    Ok(())
}

fn json_of(installation: &Installation, arguments: &[&str]) -> Result<Value> {
    let printed = installation.run(&[arguments, &["--output", "json"]].concat())?;
    serde_json::from_str(&printed).with_context(|| format!("{arguments:?} printed {printed:?}"))
}

/// The subcommands that a help text lists.
fn subcommands(help: &str) -> Vec<&str> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    lines.filter_map(|line| line.split_whitespace().next()).filter(|word| *word != "help").collect()
}

/// Every command that does something, with its help.
fn all_commands() -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut open = vec![String::new()];
    while let Some(path) = open.pop() {
        let words: Vec<&str> = path.split_whitespace().chain(["--help"]).collect();
        let ran = signalbox(&words)?;
        ensure!(ran.code == Some(0) && ran.err.is_empty() && ran.out.contains("Usage:"), "{path}: {ran:?}");
        let below = subcommands(&ran.out);
        if below.is_empty() {
            found.push((path.trim().to_owned(), ran.out));
        } else {
            open.extend(below.iter().map(|name| format!("{path} {name}")));
        }
    }
    Ok(found)
}

/// The documents and the help tell of the same commands and options.
#[test]
fn every_command_explains_itself_and_is_documented() -> Result<()> {
    let docs = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md"))?;
    let headings: Vec<&str> = docs.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let commands = all_commands()?;
    ensure!(commands.len() >= 18, "{commands:?}");
    for (path, help) in &commands {
        ensure!(headings.iter().any(|heading| heading.split(", ").any(|one| one == path)), "{path} is not in cli.md");
        let mut lines = help.lines();
        ensure!(lines.next().is_some_and(|line| line.len() > 10), "{path} does not say what it does: {help}");
        let options = help.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 2);
        let options: BTreeSet<&str> = options.map(|word| word.trim_end_matches([',', '.', ']', ')'])).collect();
        for option in options.iter().filter(|option| !["--help", "--version"].contains(option)) {
            ensure!(docs.contains(option), "{path} {option} is not in cli.md");
        }
    }
    let version = signalbox(&["--version"])?;
    ensure!(version.code == Some(0) && version.out.starts_with("signalbox "), "{version:?}");
    Ok(())
}

#[test]
fn a_wrong_command_line_is_told_with_what_was_meant() -> Result<()> {
    let cases: [(&[&str], &[&str]); 9] = [
        (&["serv"], &["'serv'", "'serve'"]),
        (&["nonsense"], &["nonsense", "--help"]),
        (&["serve", "--lisen", "x"], &["--lisen", "'--listen'"]),
        (&["serve", "--listen", "nonsense"], &["nonsense", "--listen"]),
        (&["link", "mint", "--kind", "opens", "--campaign", "x"], &["opens", "open, click"]),
        (&["link", "mint", "--kind", "open"], &["--campaign"]),
        (&["link", "mint", "--kind", "open", "--campaign", "x", "--expires", "soon"], &["soon", "30s, 5m, 2h or 7d"]),
        (&["events", "export", "--format", "xml"], &["xml", "jsonl, csv"]),
        (&["api-token", "create", "--name", "x", "--scope", "all"], &["\"all\" is not a scope", "events:read"]),
    ];
    for (arguments, words) in cases {
        refuses(&signalbox(arguments)?, 2, words).with_context(|| format!("{arguments:?}"))?;
    }
    Ok(())
}

#[test]
fn a_wrong_setting_is_told_with_its_place_and_what_was_meant() -> Result<()> {
    let installation = Installation::sqlite()?;
    let file = installation.data.with_file_name("wrong.toml");
    let path = file.to_str().context("a path")?;
    let cases: [(&str, &[&str]); 5] = [
        ("[server]\nlisten = \"127.0.0.1:0\"\nlisen = 1\n", &[":3:", "\"lisen\"", "did you mean \"listen\""]),
        ("[sever]\n", &[":1:", "[sever]", "did you mean \"server\""]),
        ("[server]\nlisten = \"nonsense\"\n", &[":2:", "server.listen"]),
        ("[server\n", &[":1:"]),
        ("listen = \"127.0.0.1:0\"\n", &[":1:", "listen"]),
    ];
    for (text, words) in cases {
        std::fs::write(&file, text)?;
        refuses(&run(&mut installation.command(&["serve", "--config", path]))?, 1, words)?;
        let doctor = run(&mut installation.command(&["doctor", "--config", path]))?;
        ensure!(doctor.code == Some(1) && words.iter().all(|word| doctor.out.contains(word)), "{doctor:?}");
    }
    refuses(&run(&mut installation.command(&["serve", "--config", "absent.toml"]))?, 1, &["absent.toml"])?;
    let mut command = installation.command(&["serve"]);
    refuses(
        &run(command.env("SIGNALBOX_SERVER_LISEN", "x"))?,
        1,
        &["SIGNALBOX_SERVER_LISEN", "SIGNALBOX_SERVER_LISTEN"],
    )?;
    ensure!(!installation.data.exists(), "nothing is made before the settings are right");
    Ok(())
}

#[test]
fn a_taken_port_is_told() -> Result<()> {
    let installation = Installation::sqlite()?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    refuses(&run(&mut installation.command(&["serve", "--listen", &address]))?, 1, &[&address, "--listen"])
}

fn damage(path: &Path, at: usize) -> Result<()> {
    let mut bytes = std::fs::read(path)?;
    ensure!(bytes.len() >= at + 2000, "{} is too short to damage", path.display());
    bytes[at..at + 2000].fill(0xA5);
    Ok(std::fs::write(path, bytes)?)
}

/// The line of `doctor` about one thing.
fn doctor_line(installation: &Installation, name: &str) -> Result<(Option<i32>, String)> {
    let ran = run(&mut installation.command(&["doctor"]))?;
    let line = ran.out.lines().find(|line| line.split_whitespace().nth(1) == Some(name));
    Ok((ran.code, line.with_context(|| format!("no {name}: {ran:?}"))?.to_owned()))
}

#[test]
fn a_damaged_database_is_told_and_left_as_it_is() -> Result<()> {
    let installation = Installation::sqlite()?;
    installation.run(&["migrate"])?;
    let file = installation.data.join("signalbox.db");
    damage(&file, 0)?;
    let before = std::fs::read(&file)?;
    for arguments in [["events", "count"], ["serve", "--listen=127.0.0.1:0"]] {
        refuses(&run(&mut installation.command(&arguments))?, 1, &["signalbox.db", "is not a SQLite database"])?;
    }
    let (code, line) = doctor_line(&installation, "database")?;
    ensure!(code == Some(1) && line.starts_with('✗') && line.contains("signalbox.db"), "{line}");
    ensure!(std::fs::read(&file)? == before, "the damaged file was touched");
    Ok(())
}

#[test]
fn a_damaged_intake_log_is_found_by_the_doctor() -> Result<()> {
    let installation = Installation::sqlite()?;
    let token = installation.token()?;
    let server = installation.serve()?;
    let events: Vec<Value> = (0..2000).map(|number| json!({"kind": "sent", "id": format!("e-{number}")})).collect();
    ensure!(server.post_events(&token, &json!(events).to_string())?.status == 200);
    server.terminate()?;
    let (code, line) = doctor_line(&installation, "intake")?;
    ensure!(code == Some(0) && line.starts_with('✓') && line.contains("readable"), "{line}");
    let log = installation.data.join("intake.db");
    let length = std::fs::metadata(&log)?.len() as usize;
    damage(&log, length - 2500)?;
    let (code, line) = doctor_line(&installation, "intake")?;
    ensure!(code == Some(1) && line.starts_with('✗'), "damaged near its end of {length} bytes: {line}");
    damage(&log, 0)?;
    let (code, line) = doctor_line(&installation, "intake")?;
    ensure!(code == Some(1) && line.starts_with('✗') && line.contains("intake.db"), "{line}");
    Ok(())
}

fn opened(installation: &Installation) -> Result<rusqlite::Connection> {
    Ok(rusqlite::Connection::open(installation.data.join("signalbox.db"))?)
}

#[test]
fn a_database_of_a_newer_program_is_refused() -> Result<()> {
    let installation = Installation::sqlite()?;
    installation.run(&["migrate"])?;
    opened(&installation)?.execute("INSERT INTO schema_migration VALUES (9999, 'newer', 'x', 0, 0)", [])?;
    for arguments in [["events", "count"], ["migrate", "--plan"], ["serve", "--listen=127.0.0.1:0"]] {
        let ran = run(&mut installation.command(&arguments))?;
        refuses(&ran, 1, &["schema 9999", "use a newer signalbox"]).with_context(|| format!("{arguments:?}"))?;
    }
    let (code, line) = doctor_line(&installation, "schema")?;
    ensure!(code == Some(1) && line.contains("use a newer signalbox"), "{line}");
    Ok(())
}

#[test]
fn a_locked_database_is_told() -> Result<()> {
    let installation = Installation::sqlite()?;
    installation.run(&["migrate"])?;
    let holder = opened(&installation)?;
    holder.execute_batch("BEGIN EXCLUSIVE")?;
    let ran = run(&mut installation.command(&["principal", "create", "acme"]))?;
    refuses(&ran, 1, &["the database is locked by another program", "stop it or wait"])?;
    holder.execute_batch("ROLLBACK")?;
    installation.run(&["principal", "create", "acme"])?;
    Ok(())
}

/// A file system that is remounted read-only, as Linux does after errors of a disk.
#[test]
fn a_read_only_disk_is_told() -> Result<()> {
    let disk = Disk::create(64 << 20)?;
    let installation = Installation::at(disk.path().join("data"))?;
    installation.run(&["migrate"])?;
    let remount = |how: &str| process::output(Command::new("mount").args(["-o", how]).arg(disk.path()));
    remount("remount,ro")?;
    let serve = run(&mut installation.command(&["serve", "--listen", "127.0.0.1:0"]))?;
    let create = run(&mut installation.command(&["principal", "create", "acme"]))?;
    let doctor = run(&mut installation.command(&["doctor"]))?;
    remount("remount,rw")?;
    for ran in [serve, create] {
        refuses(&ran, 1, &["error: ", "check that the folder exists and may be written"])?;
    }
    ensure!(doctor.code == Some(1) && doctor.out.contains("✗ permissions"), "{doctor:?}");
    Ok(())
}

#[test]
fn a_postgres_that_cannot_be_used_is_told() -> Result<()> {
    let installation = Installation::sqlite()?;
    let empty = database::Database::create();
    let url = empty.url();
    let with = |url: &str| run(installation.command(&["events", "count"]).env("DATABASE_URL", url));
    refuses(&with("mysql://127.0.0.1/x")?, 1, &["DATABASE_URL", "postgres://"])?;
    refuses(&with("sqlite:///x.db")?, 1, &["DATABASE_URL", "leave it out for SQLite"])?;
    refuses(&with("postgres://a:secret@127.0.0.1:1/x")?, 1, &["PostgreSQL cannot be reached", "refused"])?;
    let (server, _) = url.rsplit_once('/').context("a url")?;
    refuses(&with(&format!("{server}/no_such_database"))?, 1, &["no_such_database", "does not exist"])?;
    let (user, place) = server.rsplit_once('@').context("a url")?;
    let (user, password) = user.rsplit_once(':').context("a url")?;
    let wrong = with(&format!("{user}:not-{password}@{place}/postgres"))?;
    refuses(&wrong, 1, &["password authentication failed"])?;
    ensure!(!wrong.err.contains(&format!("not-{password}")), "a password is not shown: {wrong:?}");
    let superuser = environment::postgres_superuser()?;
    refuses(&with(&superuser)?, 1, &["is a superuser", "connect as an ordinary user"])?;
    refuses(&with(&url)?, 1, &["there is no installation in the database"])?;
    installation.run_with(&["migrate"], &[("DATABASE_URL", &url)])?;
    ensure!(with(&url)?.code == Some(0));
    Ok(())
}

#[test]
fn links_are_minted_as_asked() -> Result<()> {
    let installation = Installation::sqlite()?;
    let mint = ["link", "mint", "--campaign", "spring"];
    let many = installation.run(&[&mint[..], &["--kind", "open", "--count", "3"]].concat())?;
    let paths: BTreeSet<&str> = many.lines().collect();
    ensure!(paths.len() == 3 && paths.iter().all(|path| path.starts_with("/o/") && path.ends_with(".gif")), "{many}");
    let click = json_of(&installation, &[&mint[..], &["--kind", "click", "--url", "https://example.org/"]].concat())?;
    for (field, prefix) in
        [("path", "/c/"), ("campaign", "cmp_"), ("message", "msg_"), ("recipient", "con_"), ("link", "lnk_")]
    {
        ensure!(click[field].as_str().is_some_and(|text| text.starts_with(prefix)), "{field}: {click}");
    }
    // The pixel and the link of one mail.
    let mail = ["--message", "letter-7", "--recipient", "anna"];
    let pixel = json_of(&installation, &[&mint[..], &mail, &["--kind", "open"]].concat())?;
    let link =
        json_of(&installation, &[&mint[..], &mail, &["--kind", "click", "--url", "https://example.org/"]].concat())?;
    ensure!(pixel["message"] == link["message"] && pixel["recipient"] == link["recipient"], "{pixel} {link}");
    ensure!(pixel["message"] != click["message"], "{pixel} {click}");
    ensure!(installation.run(&[&mint[..], &["--kind", "open", "--count", "0"]].concat())?.is_empty());
    let cases: [(&[&str], &str); 8] = [
        (&["--kind", "open", "--expires", "0d"], "expired already"),
        (&["--kind", "open", "--expires", "99999999d"], "--expires is at most 400d"),
        (&["--kind", "click"], "add --url https://"),
        (&["--kind", "open", "--url", "https://example.org/"], "goes with --kind click"),
        (&["--kind", "click", "--url", "javascript:alert(1)"], "starts with http:// or https://"),
        (&["--kind", "click", "--url", "https://u:p@example.org/"], "no user or password"),
        (&["--kind", "open", "--recipient", ""], "1 to 320"),
        (&["--kind", "open", "--principal", "nobody"], "`signalbox principal create` makes one"),
    ];
    for (arguments, words) in cases {
        refuses(&run(&mut installation.command(&[&mint[..], arguments].concat()))?, 1, &[words])?;
    }
    // A link that is to work for a second works for that long, although a token counts in minutes.
    ensure!(!installation.run(&[&mint[..], &["--kind", "open", "--expires", "400d"]].concat())?.is_empty());
    let short = installation.run(&[&mint[..], &["--kind", "open", "--expires", "1s"]].concat())?;
    let server = installation.serve()?;
    let answer = server.get(short.trim())?;
    ensure!(answer.event_id().is_some(), "{answer:?}");
    server.terminate()
}

#[test]
fn events_are_counted_and_exported() -> Result<()> {
    let installation = Installation::sqlite()?;
    let token = installation.token()?;
    let server = installation.serve()?;
    let events = json!([
        {"kind": "converted", "id": "c-1", "campaign": "=1+1", "recipient": "anna, \"the\" first", "value": 12.5, "currency": "EUR"},
        {"kind": "opened", "id": "o-1", "campaign": "spring", "user_agent": "curl/8.5.0"},
    ]);
    ensure!(server.post_events(&token, &events.to_string())?.status == 200);
    // Beside a running server, and without one.
    for _ in 0..2 {
        ensure!(installation.run(&["events", "count"])? == "events stored: 2\n");
    }
    server.terminate()?;
    ensure!(json_of(&installation, &["events", "count"])? == json!({"events": 2}));
    let lines = installation.run(&["events", "export", "--format", "jsonl"])?;
    let stored: Vec<Value> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(stored.len() == 2 && stored[0]["value"] == "12.5" && stored[1]["verdict"]["class"] == "machine", "{lines}");
    let csv = installation.run(&["events", "export", "--format", "csv"])?;
    let rows: Vec<&str> = csv.lines().collect();
    ensure!(rows.len() == 3 && rows[0].starts_with("seq,id,principal,kind"), "{csv}");
    ensure!(rows[1].contains("'=1+1") && rows[1].contains("\"anna, \"\"the\"\" first\""), "{csv}");
    // The rules have not changed: nothing would either.
    let replay = json_of(&installation, &["verdict", "replay", "--dry-run"])?;
    ensure!(replay["replayed"]["events"] == 2 && replay["replayed"]["differences"]["verdicts"] == 0, "{replay}");
    ensure!(installation.run(&["verdict", "replay", "--dry-run"])?.contains("no verdict changes"));
    ensure!(installation.run(&["rebuild", "--dry-run"])?.contains("every figure equals the live one"));
    // A figure that is wrong is found, left by a dry run, and corrected.
    opened(&installation)?.execute("UPDATE counter SET total = total + 5", [])?;
    ensure!(json_of(&installation, &["rebuild", "--dry-run"])?["equal"] == false);
    ensure!(json_of(&installation, &["rebuild"])?["equal"] == false);
    ensure!(json_of(&installation, &["rebuild"])?["equal"] == true);
    Ok(())
}

#[test]
fn keys_are_rotated_and_old_links_stay_good() -> Result<()> {
    let installation = Installation::sqlite()?;
    let old = installation.mint_opens(1)?.remove(0).path;
    ensure!(json_of(&installation, &["key", "rotate"])? == json!({"key": 2}));
    let keys = json_of(&installation, &["key", "list"])?;
    ensure!(keys[0]["state"] == "signing" && keys[1]["state"] == "waiting", "{keys}");
    ensure!(installation.run(&["key", "list"])?.starts_with("KEY  STATE"));
    let server = installation.serve()?;
    ensure!(server.get(&old)?.event_id().is_some());
    server.terminate()?;
    refuses(&run(&mut installation.command(&["key", "retire", "99"]))?, 1, &["`signalbox key list` shows them"])
}

#[test]
fn a_plan_shows_what_would_run_and_leaves_nothing() -> Result<()> {
    let installation = Installation::sqlite()?;
    let plan = json_of(&installation, &["migrate", "--plan"])?;
    let pending = plan["pending"].as_array().context("no pending")?;
    ensure!(
        plan["schema"] == 0
            && pending.iter().any(|step| step["sql"].as_str().is_some_and(|sql| sql.contains("CREATE TABLE event"))),
        "{plan}"
    );
    ensure!(!installation.data.join("signalbox.db").exists(), "a plan has made a database");
    let applied = json_of(&installation, &["migrate"])?;
    ensure!(applied["applied"].as_array().map(Vec::len) == Some(pending.len()), "{applied}");
    ensure!(installation.run(&["migrate"])? == "the schema is up to date\n");
    ensure!(json_of(&installation, &["migrate", "--plan"])?["pending"] == json!([]));
    Ok(())
}

#[test]
fn lists_are_for_people_and_for_programs() -> Result<()> {
    let installation = Installation::sqlite()?;
    let made = json_of(&installation, &["principal", "create", "acme"])?;
    ensure!(json_of(&installation, &["principal", "create", "acme"])? == made, "the same name is the same principal");
    let listed = json_of(&installation, &["principal", "list"])?;
    ensure!(listed[0]["name"] == "default" && listed[1]["name"] == "acme", "{listed}");
    let token = json_of(
        &installation,
        &["api-token", "create", "--name", "ci", "--scope", "events:read", "--principal", "acme"],
    )?;
    let secret = token["token"].as_str().context("no token")?;
    for list in [installation.run(&["api-token", "list"])?, json_of(&installation, &["api-token", "list"])?.to_string()]
    {
        ensure!(list.contains("ci") && list.contains("events:read") && !list.contains(secret), "{list}");
    }
    let absent = run(&mut installation.command(&["api-token", "revoke", "tok_0000000000001"]))?;
    refuses(&absent, 1, &["`signalbox api-token list` shows them"])?;
    let rules = json_of(&installation, &["verdict", "rules"])?;
    ensure!(rules["rule_version"] == 1 && rules["signals"].as_array().is_some_and(|all| all.len() > 10), "{rules}");
    let doctor = json_of(&installation, &["doctor"])?;
    let names: Vec<_> =
        doctor["checks"].as_array().context("no checks")?.iter().map(|check| check["name"].as_str()).collect();
    for name in
        ["settings", "disk", "permissions", "clock", "limits", "engine", "schema", "integrity", "intake", "keys"]
    {
        ensure!(names.contains(&Some(name)), "{name}: {doctor}");
    }
    Ok(())
}

#[test]
fn a_manifest_is_made_checked_and_planned() -> Result<()> {
    let installation = Installation::sqlite()?;
    let folder = installation.data.with_file_name("service");
    std::fs::create_dir_all(folder.join("migrations"))?;
    std::fs::write(folder.join("migrations/0001.contract.sql"), "DROP TABLE old;")?;
    let file = folder.join("release.toml");
    let manifest = ["--manifest", file.to_str().context("a path")?];
    let release = |verb: &[&str]| signalbox(&[&["release"], verb, &manifest].concat());
    ensure!(release(&["init"])?.code == Some(0));
    refuses(&release(&["init"])?, 1, &["release.toml", "exists"])?;
    let valid = release(&["validate"])?;
    ensure!(valid.code == Some(0) && valid.out.contains("is right: shop, profile standard"), "{valid:?}");
    // Whenever this runs: the windows of the example may be closed, and then no window is too short.
    let text = std::fs::read_to_string(&file)?;
    let (before, rest) = text.split_once("[windows]").context("windows")?;
    let (_, after) = rest.split_once("[staging]").context("staging")?;
    std::fs::write(&file, format!("{before}[staging]{after}"))?;
    let planned = release(&["plan", "1.6.0", "--traffic", "500"])?;
    ensure!(planned.code == Some(2), "{planned:?}");
    for words in [
        "first release of 1.6.0",
        "have 2 healthy instances of 1.6.0",
        "run migration 0001.contract",
        "point of no return",
    ] {
        ensure!(planned.out.contains(words), "{words:?} is missing: {}", planned.out);
    }
    let json: Value = serde_json::from_str(&release(&["plan", "--output", "json"])?.out)?;
    ensure!(json["exit"] == "changes" && json["plan"]["to"] == "1.5.0", "{json}");
    let calendar = release(&["calendar"])?;
    ensure!(calendar.code == Some(0) && calendar.out.starts_with("BEGIN:VCALENDAR"), "{calendar:?}");
    std::fs::write(&file, text.replace("min_requests", "min_request"))?;
    refuses(&release(&["validate"])?, 1, &["unknown key \"min_request\" in [canary]; did you mean \"min_requests\"?"])?;
    refuses(&release(&["plan"])?, 1, &["min_request"])?;
    let json: Value = serde_json::from_str(&release(&["validate", "--output", "json"])?.out)?;
    ensure!(json["valid"] == false && json["faults"][0]["line"].is_number(), "{json}");
    refuses(&signalbox(&["release", "plan", "--manifest", "absent.toml"])?, 1, &["absent.toml"])
}

#[test]
fn the_demo_loses_nothing_and_leaves_nothing() -> Result<()> {
    let folder = environment::scratch("demo")?;
    let mut command = Command::new(environment::binary()?);
    command.args(["demo", "--without-releases", "--no-hold", "--recipients", "50", "--listen", "127.0.0.1:0"]);
    command
        .args(["--output", "json"])
        .current_dir(folder.path())
        .env_remove("DATABASE_URL")
        .env("TMPDIR", folder.path());
    let ran = run(&mut command)?;
    ensure!(ran.code == Some(0), "{ran:?}");
    let receipt: Value = serde_json::from_str(&ran.out).with_context(|| format!("{ran:?}"))?;
    let (hits, seeded) = (&receipt["mail"]["hits"], &receipt["mail"]["seeded"]);
    ensure!(hits["sent"].as_u64() > Some(0) && seeded["written"].as_u64() > Some(0), "{receipt}");
    ensure!(hits["acknowledged"] == hits["sent"] && hits["stored"] == hits["sent"] && hits["lost"] == 0, "{receipt}");
    ensure!(seeded["stored"] == seeded["written"], "{receipt}");
    let left: Vec<_> = std::fs::read_dir(folder.path())?.collect::<Result<_, _>>()?;
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}
