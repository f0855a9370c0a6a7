//! The audit log from outside: what commands change is told, what is tampered with is found, exports are verified where
//! nothing else is, and neither `kill -9` nor a full disk leaves a gap.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use signalbox_e2e::cluster::Cluster;
use signalbox_e2e::disk::Small;
use signalbox_e2e::environment::{self, random, rounds};
use signalbox_e2e::installation::Installation;
use signalbox_e2e::process::{output, wait_for};

/// An installation on either engine.
struct Site {
    installation: Installation,
    cluster: Option<Cluster>,
}

impl Site {
    fn sqlite() -> Result<Self> {
        Ok(Self { installation: Installation::sqlite()?, cluster: None })
    }

    fn postgres() -> Result<Self> {
        let cluster = Cluster::create()?;
        let installation = Installation::sqlite()?.on_postgres(cluster.url())?;
        Ok(Self { installation, cluster: Some(cluster) })
    }

    /// Runs statements past the program.
    fn tamper(&self, statements: &[&str]) -> Result<()> {
        match &self.cluster {
            None => {
                let database = rusqlite::Connection::open(self.installation.data.join("signalbox.db"))?;
                statements.iter().try_for_each(|statement| Ok(database.execute_batch(statement)?))
            }
            Some(cluster) => {
                let psql = environment::postgres_programs()?.join("psql");
                let mut command = Command::new(psql);
                command.args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", &cluster.url()]);
                for statement in statements {
                    command.args(["--command", statement]);
                }
                output(&mut command).map(drop)
            }
        }
    }

    fn drop_triggers(&self) -> Result<()> {
        let all: &[(&str, &str)] = match &self.cluster {
            None => &[
                ("audit_entry_no_update", ""),
                ("audit_entry_no_delete", ""),
                ("audit_entry_no_replace", ""),
                ("audit_personal_no_update", ""),
                ("audit_head_forward", ""),
                ("audit_head_no_delete", ""),
            ],
            Some(_) => &[
                ("audit_entry_no_change", "audit_entry"),
                ("audit_personal_no_change", "audit_personal"),
                ("audit_head_no_delete", "audit_head"),
                ("audit_head_forward", "audit_head"),
            ],
        };
        all.iter().try_for_each(|(trigger, table)| {
            let on = if table.is_empty() { String::new() } else { format!(" ON {table}") };
            self.tamper(&[&format!("DROP TRIGGER {trigger}{on}")])
        })
    }

    fn fill(&self, count: usize) -> Result<()> {
        self.installation.run(&["migrate"])?;
        let before = self.entries(&[])?.len();
        (0..count).try_for_each(|number| {
            self.installation.run(&["principal", "create", &format!("brand {before} {number}")]).map(drop)
        })
    }

    /// The entries, the newest first.
    fn entries(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let listed = [&["audit", "list", "--limit", "10000", "--output", "json"], arguments].concat();
        let printed: Value = serde_json::from_str(&self.installation.run(&listed)?)?;
        Ok(printed["items"].as_array().context("no items")?.clone())
    }

    fn verify(&self, arguments: &[&str]) -> Result<Verdict> {
        let all = [&["audit", "verify", "--output", "json"], arguments].concat();
        Verdict::of(&mut self.installation.command(&all))
    }

    fn is_intact(&self) -> Result<u64> {
        let verdict = self.verify(&[])?;
        ensure!(verdict.code == 0, "{}", verdict.said);
        verdict.report["entries"].as_u64().context("no entries")
    }
}

/// What `audit verify` said.
struct Verdict {
    code: i32,
    report: Value,
    said: String,
}

impl Verdict {
    fn of(command: &mut Command) -> Result<Self> {
        let output = command.stdin(Stdio::null()).output()?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = format!("{printed}{}", String::from_utf8_lossy(&output.stderr));
        let report = serde_json::from_str(&printed).unwrap_or_default();
        Ok(Self { code: output.status.code().context("it was killed")?, report, said })
    }

    /// The first place that does not hold.
    fn first(&self) -> Option<(i64, &str)> {
        Some((self.report["first"]["seq"].as_i64()?, self.report["first"]["kind"].as_str()?))
    }
}

/// The binary in an empty folder, with nothing of any installation.
fn elsewhere(folder: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(environment::binary()?);
    command.args(arguments).current_dir(folder).env_clear();
    Ok(command)
}

/// Makes of each function a test per engine.
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn sqlite() -> anyhow::Result<()> {
                super::$name(&super::Site::sqlite()?)
            }

            #[test]
            fn postgres() -> anyhow::Result<()> {
                super::$name(&super::Site::postgres()?)
            }
        }
    )+};
}

on_both_engines!(
    what_commands_change_is_in_the_audit_log,
    tampering_is_located_and_told_by_the_exit_code,
    an_audit_export_is_verified_where_nothing_else_is,
    processes_that_append_at_once_and_are_killed_leave_one_gapless_chain,
    the_server_leaves_checkpoints_that_prove_the_end,
    secrets_never_enter_the_audit_log,
);

fn what_commands_change_is_in_the_audit_log(site: &Site) -> Result<()> {
    let run = |arguments: &[&str]| site.installation.run(arguments);
    run(&["principal", "create", "brand"])?;
    run(&["principal", "create", "brand"])?;
    run(&["principal", "list"])?;
    let made: Value = serde_json::from_str(&run(&[
        "api-token",
        "create",
        "--name",
        "x",
        "--scope",
        "events:read",
        "--output",
        "json",
    ])?)?;
    let token = made["id"].as_str().context("no id")?;
    run(&["api-token", "revoke", token])?;
    ensure!(run(&["api-token", "revoke", token]).is_err());
    run(&["key", "rotate"])?;
    run(&["key", "retire", "2"])?;
    ensure!(run(&["key", "retire", "9"]).is_err());
    run(&["rebuild", "--dry-run"])?;
    run(&["rebuild"])?;
    run(&["verdict", "replay"])?;
    run(&["migrate"])?;
    let mut entries = site.entries(&[])?;
    entries.reverse();
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let actions: Vec<_> = entries.iter().map(|entry| text(entry, "action")).collect();
    let expected = [
        "schema.migrated",
        "principal.created",
        "principal.created",
        "token.created",
        "token.revoked",
        "key.rotated",
        "key.retired",
        "figures.rebuild_started",
        "figures.rebuilt",
        "verdicts.replay_started",
        "verdicts.replayed",
    ];
    ensure!(actions == expected, "{actions:?}");
    let me = output(Command::new("id").arg("-un"))?.trim().to_owned();
    for entry in entries.iter().filter(|entry| entry["actor"] != "system") {
        ensure!(entry["actor"] == "command" && text(entry, "actor_name") == me, "{entry}");
        ensure!(text(entry, "correlation").starts_with("cmd_"), "{entry}");
    }
    let of_token: Vec<_> = site.entries(&["--object", token])?.iter().map(|entry| text(entry, "action")).collect();
    ensure!(of_token == ["token.revoked", "token.created"], "{of_token:?}");
    let correlations: BTreeSet<_> = entries.iter().map(|entry| text(entry, "correlation")).collect();
    ensure!(correlations.len() >= expected.len() - 3, "each command has its own correlation: {correlations:?}");
    let rebuilt = text(&entries[8], "correlation");
    ensure!(site.entries(&["--correlation", &rebuilt])?.len() == 2, "a rebuild begins and ends");
    ensure!(site.entries(&["--action", "key"])?.len() == 2);
    ensure!(site.entries(&["--actor", "system"])?.len() == 1);
    let from = text(&entries[5], "at");
    ensure!(site.entries(&["--from", &from])?.len() == 6 && site.entries(&["--to", &from])?.len() == 5);
    let shown = run(&["audit", "list", "--limit", "2"])?;
    ensure!(shown.lines().count() == 3 && shown.contains("verdicts.replayed"), "{shown}");
    ensure!(site.is_intact()? == expected.len() as u64);
    Ok(())
}

fn tampering_is_located_and_told_by_the_exit_code(site: &Site) -> Result<()> {
    site.fill(6)?;
    site.is_intact()?;
    ensure!(site.tamper(&["UPDATE audit_entry SET action = 'x' WHERE seq = 5"]).is_err(), "a trigger refuses changes");
    ensure!(site.tamper(&["DELETE FROM audit_entry WHERE seq = 5"]).is_err(), "a trigger refuses deletions");
    let checkpoints = site.installation.data.join("outside.jsonl");
    site.installation.run(&["audit", "checkpoint"])?;
    fs::copy(site.installation.data.join("audit-checkpoints.jsonl"), &checkpoints)?;
    site.drop_triggers()?;
    let keep = "CREATE TABLE kept_entry AS SELECT * FROM audit_entry";
    let (head, personal) = ("AS SELECT * FROM audit_head", "AS SELECT * FROM audit_personal");
    site.tamper(&[keep, &format!("CREATE TABLE kept_head {head}"), &format!("CREATE TABLE kept_personal {personal}")])?;
    let last = site.is_intact()? as i64;
    let cut = format!("DELETE FROM audit_entry WHERE seq > {}", last - 2);
    let cut_head =
        format!("UPDATE audit_head SET seq = {0}, hash = (SELECT hash FROM audit_entry WHERE seq = {0})", last - 2);
    let cut_personal = format!("DELETE FROM audit_personal WHERE seq > {}", last - 2);
    let insert = format!(
        "INSERT INTO audit_entry SELECT {}, id, at, actor, actor_name, address, action, object, correlation, payload, previous, hash
         FROM audit_entry WHERE seq = 3",
        last + 1
    );
    for (statements, expected) in [
        (vec!["UPDATE audit_entry SET action = 'x' WHERE seq = 5"], (5, "changed")),
        (vec!["UPDATE audit_personal SET value = 'x' WHERE seq = 4 AND slot = 0"], (4, "personal_changed")),
        (vec!["DELETE FROM audit_entry WHERE seq = 3"], (3, "missing")),
        (vec![insert.as_str()], (last + 1, "changed")),
        (
            vec![
                "UPDATE audit_entry SET seq = 999 WHERE seq = 4",
                "UPDATE audit_entry SET seq = 4 WHERE seq = 6",
                "UPDATE audit_entry SET seq = 6 WHERE seq = 999",
            ],
            (4, "changed"),
        ),
        (vec![cut.as_str()], (last - 1, "truncated")),
        (vec![cut.as_str(), cut_head.as_str(), cut_personal.as_str()], (last - 1, "truncated")),
    ] {
        site.tamper(&statements)?;
        let verdict = site.verify(&[])?;
        ensure!(verdict.code == 1 && verdict.first() == Some(expected), "{statements:?}: {}", verdict.said);
        let text = Verdict::of(&mut site.installation.command(&["audit", "verify"]))?;
        ensure!(text.code == 1 && text.said.contains(&format!("at entry {}", expected.0)), "{}", text.said);
        let unprovable = statements.len() == 3 && expected.1 == "truncated";
        if unprovable {
            // Whoever cuts the end off and puts the head right is found out by what left the machine, and by nothing else.
            fs::remove_file(site.installation.data.join("audit-checkpoints.jsonl"))?;
            let unproven = site.verify(&[])?;
            ensure!(unproven.code == 0 && unproven.said.contains("cannot be proven"), "{}", unproven.said);
            let outside = checkpoints.display().to_string();
            let proven = site.verify(&["--checkpoints", &outside])?;
            ensure!(proven.code == 1 && proven.first() == Some(expected), "{}", proven.said);
        }
        if !unprovable {
            ensure!(site.installation.run(&["audit", "checkpoint"]).is_err(), "{statements:?}: it was signed");
        }
        site.tamper(&[
            "DELETE FROM audit_entry",
            "INSERT INTO audit_entry SELECT * FROM kept_entry",
            "DELETE FROM audit_head",
            "INSERT INTO audit_head SELECT * FROM kept_head",
            "DELETE FROM audit_personal",
            "INSERT INTO audit_personal SELECT * FROM kept_personal",
        ])?;
        if !site.installation.data.join("audit-checkpoints.jsonl").exists() {
            fs::copy(&checkpoints, site.installation.data.join("audit-checkpoints.jsonl"))?;
        }
        site.is_intact()?;
    }
    Ok(())
}

fn an_audit_export_is_verified_where_nothing_else_is(site: &Site) -> Result<()> {
    site.fill(5)?;
    let away = environment::scratch("away")?;
    let file = away.path().join("export.jsonl");
    let name = file.display().to_string();
    let told: Value =
        serde_json::from_str(&site.installation.run(&["audit", "export", "--file", &name, "--output", "json"])?)?;
    let key = site.installation.run(&["audit", "key"])?.trim().to_owned();
    ensure!(told["head"]["public_key"] == key.as_str(), "{told}");
    let streamed = site.installation.run(&["audit", "export", "--file", "-"])?;
    let text = fs::read_to_string(&file)?;
    ensure!(streamed.lines().skip(1).eq(text.lines().skip(1)), "standard output gets the same entries");
    let verify = |arguments: &[&str]| {
        let all = [&["audit", "verify", "--output", "json"], arguments].concat();
        Verdict::of(&mut elsewhere(away.path(), &all)?)
    };
    let good = verify(&["--file", "export.jsonl"])?;
    ensure!(
        good.code == 0 && good.report["entries"].as_u64() == Some(text.lines().count() as u64 - 1),
        "{}",
        good.said
    );
    ensure!(good.report["public_key"] == key.as_str());
    ensure!(verify(&["--file", "export.jsonl", "--key", &key])?.code == 0);
    let other = Installation::sqlite()?.run(&["audit", "key"])?.trim().to_owned();
    let forged = verify(&["--file", "export.jsonl", "--key", &other])?;
    ensure!(forged.code == 1 && forged.report["first"]["kind"] == "bad_checkpoint", "{}", forged.said);
    for (index, change) in [("brand", "brane"), ("\"seq\":4", "\"seq\":5"), ("command", "commant")].iter().enumerate() {
        let tampered = format!("tampered-{index}.jsonl");
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        let mut lines = lines;
        lines[4] = lines[4].replacen(change.0, change.1, 1);
        fs::write(away.path().join(&tampered), lines.join("\n") + "\n")?;
        let verdict = verify(&["--file", &tampered])?;
        ensure!(verdict.code == 1 && verdict.first().is_some_and(|(seq, _)| seq == 4), "{change:?}: {}", verdict.said);
    }
    let cut: Vec<_> = text.lines().take(4).collect();
    fs::write(away.path().join("cut.jsonl"), cut.join("\n"))?;
    let verdict = verify(&["--file", "cut.jsonl"])?;
    ensure!(verdict.code == 1 && verdict.first() == Some((4, "truncated")), "{}", verdict.said);
    // What cannot be looked at is another matter than what was tampered with.
    fs::write(away.path().join("empty"), "")?;
    fs::write(away.path().join("noise"), [0xff, 0x00, 0x0a])?;
    for wrong in ["nowhere.jsonl", "empty", "noise", "."] {
        let verdict = verify(&["--file", wrong])?;
        ensure!(verdict.code == 2 && verdict.said.starts_with("error: "), "{wrong}: {} {}", verdict.code, verdict.said);
    }
    ensure!(verify(&["--file", "export.jsonl", "--key", "zz"])?.code == 2);
    ensure!(verify(&["--file", "export.jsonl", "--checkpoints", "empty"])?.code == 2);
    ensure!(verify(&[])?.code == 2, "there is no database");
    ensure!(!away.path().join("signalbox-data").exists(), "looking makes nothing");
    Ok(())
}

fn processes_that_append_at_once_and_are_killed_leave_one_gapless_chain(site: &Site) -> Result<()> {
    site.fill(1)?;
    let before = site.is_intact()?;
    let mut running = Vec::new();
    for number in 0..rounds(24, 200) {
        let name = format!("crowd {number}");
        let mut command = site.installation.command(&["principal", "create", &name]);
        running.push((command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?, number % 3 == 0));
        while running.len() >= 4 {
            let (mut child, is_killed) = running.remove(0);
            if is_killed {
                std::thread::sleep(Duration::from_millis(random(40)));
                child.kill()?;
            }
            child.wait()?;
        }
    }
    for (mut child, _) in running {
        child.wait()?;
    }
    let after = site.is_intact()?;
    let printed: Value = serde_json::from_str(&site.installation.run(&["principal", "list", "--output", "json"])?)?;
    let principals = printed.as_array().context("no list")?.len() as u64;
    let told = site.entries(&["--action", "principal.created"])?.len() as u64;
    ensure!(after > before && told == principals, "{principals} principals, {told} entries");
    let seqs: Vec<_> = site.entries(&[])?.iter().filter_map(|entry| entry["seq"].as_u64()).collect();
    ensure!(seqs == (1..=after).rev().collect::<Vec<_>>(), "{seqs:?}");
    Ok(())
}

fn the_server_leaves_checkpoints_that_prove_the_end(site: &Site) -> Result<()> {
    let outside = environment::scratch("outside")?;
    let (file, socket) = (outside.path().join("away/checkpoints.jsonl"), outside.path().join("log"));
    let syslog = UnixDatagram::bind(&socket)?;
    syslog.set_read_timeout(Some(Duration::from_secs(30)))?;
    fs::create_dir_all(&site.installation.data)?;
    let settings = format!("[audit]\ncheckpoints = {file:?}\nsyslog = {socket:?}\ncheckpoint_entries = 3\n");
    fs::write(site.installation.data.join("signalbox.toml"), settings)?;
    // A place that is not there keeps nothing from running.
    let server = site.installation.serve()?;
    site.fill(4)?;
    ensure!(server.get("/health")?.status == 200);
    fs::create_dir(outside.path().join("away"))?;
    let name = file.display().to_string();
    wait_for(Duration::from_secs(30), "a checkpoint", || {
        ensure!(fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n')), "there is none");
        Ok(())
    })?;
    let mut bytes = [0; 4096];
    let length = syslog.recv(&mut bytes).context("syslog got nothing")?;
    let message = String::from_utf8_lossy(&bytes[..length]).into_owned();
    ensure!(message.starts_with("<109>1 ") && message.contains("signalbox-audit-checkpoint/1"), "{message}");
    site.fill(1)?;
    server.terminate()?;
    let verdict = site.verify(&["--checkpoints", &name])?;
    let last = verdict.report["last_seq"].as_i64().context("no last_seq")?;
    ensure!(verdict.code == 0 && verdict.report["proven"]["seq"] == last, "{}", verdict.said);
    // What syslog wrote to a file proves as much as the file of checkpoints.
    let log = outside.path().join("syslog");
    fs::write(&log, format!("somebody else said this\n{message}\n"))?;
    let verdict = site.verify(&["--checkpoints", &log.display().to_string()])?;
    ensure!(verdict.code == 0 && verdict.report["proven"]["seq"].as_i64() > Some(0), "{}", verdict.said);
    // Anything else does not.
    let text = fs::read_to_string(&file)?;
    fs::write(&file, text.replacen("\"seq\":", "\"seq\":1", 1))?;
    let verdict = site.verify(&[])?;
    ensure!(verdict.code == 1 && verdict.said.contains("bad_checkpoint"), "{}", verdict.said);
    Ok(())
}

fn secrets_never_enter_the_audit_log(site: &Site) -> Result<()> {
    let token = site.installation.token()?;
    site.installation.run(&["key", "rotate"])?;
    let server = site.installation.serve()?;
    server.terminate()?;
    let mut secrets = vec![token];
    for name in ["keyring.json", "audit.json"] {
        let text = fs::read_to_string(site.installation.data.join("keys").join(name)).unwrap_or_default();
        let words = text.split('"').filter(|word| word.len() >= 43 && word.ends_with('='));
        secrets.extend(words.map(str::to_owned));
    }
    ensure!(secrets.len() >= 4, "two keys that sign links and one that signs checkpoints: {}", secrets.len());
    let export = site.installation.run(&["audit", "export", "--file", "-"])?;
    ensure!(export.contains("token.created") && export.contains("key.rotated"));
    for secret in &secrets {
        ensure!(!export.contains(secret.as_str()), "a secret is in the audit log");
    }
    if site.cluster.is_none() {
        // Nor anywhere else in the database's files.
        for name in ["signalbox.db", "signalbox.db-wal"] {
            let bytes = fs::read(site.installation.data.join(name)).unwrap_or_default();
            for secret in &secrets {
                ensure!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "a secret is in {name}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_full_disk_changes_nothing_and_tells_nothing() -> Result<()> {
    let small = Small::create(48 << 20)?;
    let installation = Installation::at(small.path().join("data"))?;
    let site = Site { installation, cluster: None };
    site.fill(2)?;
    let before = site.is_intact()?;
    small.fill(0)?;
    let mut failed = 0;
    for number in 0..5 {
        let mut command = site.installation.command(&["principal", "create", &format!("late {number}")]);
        failed += u32::from(!command.output()?.status.success());
    }
    ensure!(failed > 0, "the disk is not full");
    let export = small.path().join("export.jsonl");
    let name = export.display().to_string();
    let exported = site.installation.run(&["audit", "export", "--file", &name]);
    ensure!(exported.is_err() && !export.exists(), "half an export is there");
    small.free()?;
    let after = site.is_intact()?;
    ensure!(after - before == u64::from(5 - failed), "{before} + {} is not {after}", 5 - failed);
    let told = site.entries(&["--action", "principal.created"])?.len();
    let printed: Value = serde_json::from_str(&site.installation.run(&["principal", "list", "--output", "json"])?)?;
    ensure!(printed.as_array().map(Vec::len) == Some(told), "{printed}");
    site.installation.run(&["audit", "export", "--file", &name])?;
    let leftovers: Vec<_> = fs::read_dir(small.path())?.flatten().map(|entry| entry.file_name()).collect();
    ensure!(leftovers.len() == 2, "{leftovers:?}");
    Ok(())
}
