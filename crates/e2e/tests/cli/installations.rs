//! What an installation is made of: what makes it, what may be missing or foreign in it, and who may read it.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use signalbox_e2e::cluster::Cluster;
use signalbox_e2e::installation::Installation;
use signalbox_e2e::process;

use crate::{database, doctor_line, opened, refuses, run, signalbox};

const SERVE: [&str; 2] = ["serve", "--listen=127.0.0.1:0"];

/// Every file with what it holds.
fn files(folder: &Path) -> Result<Vec<(std::path::PathBuf, Vec<u8>)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push((path.clone(), std::fs::read(&path)?));
        }
    }
    found.sort();
    Ok(found)
}

#[test]
fn the_database_of_another_program_is_refused_and_left_as_it_is() -> Result<()> {
    // Some have a table that we would have, too.
    for tables in ["CREATE TABLE foo (a)", "CREATE TABLE event (a); CREATE TABLE schema_migration (version TEXT)"] {
        let installation = Installation::sqlite()?;
        std::fs::create_dir_all(&installation.data)?;
        let foreign = opened(&installation)?;
        foreign.execute_batch(tables)?;
        drop(foreign);
        let before = std::fs::read(installation.data.join("signalbox.db"))?;
        for arguments in [&SERVE[..], &["events", "count"], &["migrate"], &["migrate", "--plan"], &["user", "list"]] {
            let ran = run(&mut installation.command(arguments))?;
            refuses(&ran, 1, &["signalbox.db holds tables of another program"])
                .with_context(|| format!("{arguments:?}"))?;
            ensure!(ran.err.lines().count() == 1, "{ran:?}");
        }
        ensure!(std::fs::read(installation.data.join("signalbox.db"))? == before, "{tables}: it was changed");
        ensure!(!installation.data.join("keys").exists(), "{tables}: keys were made beside it");
    }
    for tables in
        ["CREATE TABLE foo (a int)", "CREATE TABLE event (a int); CREATE TABLE schema_migration (version text)"]
    {
        let (installation, other) = (Installation::sqlite()?, database::Database::create());
        database::run_sql(&other.url(), tables);
        for arguments in [&SERVE[..], &["events", "count"], &["migrate"], &["migrate", "--plan"]] {
            let ran = run(installation.command(arguments).env("DATABASE_URL", other.url()))?;
            refuses(&ran, 1, &["DATABASE_URL holds tables of another program"])
                .with_context(|| format!("{arguments:?}"))?;
        }
        let there = database::run_sql(&other.url(), "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'");
        ensure!(there == [[tables.matches("CREATE").count().to_string()]], "{there:?}");
    }
    Ok(())
}

#[test]
fn what_is_lost_of_an_installation_is_never_made_anew_in_silence() -> Result<()> {
    let lose = |what: &str, how: fn(&Path) -> std::io::Result<()>, words: &[&str]| -> Result<()> {
        let installation = Installation::sqlite()?;
        let link = installation.mint_opens(1)?.remove(0).path;
        let server = installation.serve()?;
        ensure!(server.get(&link)?.event_id().is_some());
        server.terminate()?;
        let file = installation.data.join(what);
        let kept = std::fs::read(&file)?;
        how(&file)?;
        let left = files(&installation.data)?;
        let commands: [&[&str]; 5] = [
            &SERVE,
            &["events", "count"],
            &["migrate"],
            &["key", "list"],
            &["link", "mint", "--kind=open", "--campaign=x"],
        ];
        for arguments in commands {
            let ran = run(&mut installation.command(arguments))?;
            refuses(&ran, 1, words).with_context(|| format!("{what}: {arguments:?}"))?;
        }
        let doctor = run(&mut installation.command(&["doctor"]))?;
        ensure!(doctor.code == Some(1) && words.iter().all(|word| doctor.out.contains(word)), "{doctor:?}");
        let names = |files: &[(std::path::PathBuf, Vec<u8>)]| {
            // What SQLite has beside an open database may come and go.
            let names = files.iter().map(|(path, _)| path.display().to_string());
            names.filter(|name| !name.ends_with("-wal") && !name.ends_with("-shm")).collect::<Vec<_>>()
        };
        ensure!(names(&files(&installation.data)?) == names(&left), "{what}: something was made");
        std::fs::write(&file, kept)?;
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        let server = installation.serve()?;
        ensure!(server.get(&link)?.event_id().is_some(), "{what}: put back, and the link is dead");
        server.terminate()
    };
    fn remove(file: &Path) -> std::io::Result<()> {
        std::fs::remove_file(file)
    }
    fn empty(file: &Path) -> std::io::Result<()> {
        std::fs::write(file, "")
    }
    lose("signalbox.db", remove, &["signalbox.db is missing", "restore it from a backup"])?;
    lose("signalbox.db", empty, &["signalbox.db is empty", "restore it from a backup"])?;
    lose("keys/keyring.json", remove, &["keyring.json is missing", "restore it from a backup"])
}

#[test]
fn keys_and_a_postgres_database_belong_together() -> Result<()> {
    let (installation, first, second) =
        (Installation::sqlite()?, database::Database::create(), database::Database::create());
    let with = |arguments: &[&str], url: &str| run(installation.command(arguments).env("DATABASE_URL", url));
    ensure!(with(&["migrate"], &first.url())?.code == Some(0));
    ensure!(with(&["events", "count"], &first.url())?.code == Some(0));
    for arguments in [&SERVE[..], &["migrate"], &["key", "list"]] {
        refuses(&with(arguments, &second.url())?, 1, &["the database is empty although", "keyring.json is there"])?;
    }
    std::fs::remove_file(installation.data.join("keys/keyring.json"))?;
    for arguments in [&SERVE[..], &["migrate"], &["key", "list"], &["events", "count"]] {
        refuses(&with(arguments, &first.url())?, 1, &["keyring.json is missing", "restore it from a backup"])?;
    }
    ensure!(!installation.data.join("keys/keyring.json").exists());
    Ok(())
}

/// Only what sets up makes something; what reads says that there is nothing.
#[test]
fn a_command_that_reads_makes_no_installation() -> Result<()> {
    let reads: [&[&str]; 11] = [
        &["events", "count"],
        &["events", "export"],
        &["rebuild"],
        &["verdict", "replay"],
        &["user", "list"],
        &["user", "show", "a@example.org"],
        &["principal", "list"],
        &["api-token", "list"],
        &["session", "list"],
        &["audit", "list"],
        &["key", "rotate"],
    ];
    let installation = Installation::sqlite()?;
    for arguments in reads {
        let ran = run(&mut installation.command(arguments))?;
        let code = if arguments[0] == "audit" { 2 } else { 1 };
        refuses(&ran, code, &["there is no installation in", "start `signalbox serve --data"])
            .with_context(|| format!("{arguments:?}"))?;
        ensure!(!installation.data.exists(), "{arguments:?} made something");
    }
    let sets_up: [&[&str]; 6] = [
        &["migrate"],
        &["key", "list"],
        &["user", "create", "--email", "a@example.org", "--owner"],
        &["api-token", "create", "--name", "x", "--scope", "events:read"],
        &["principal", "create", "acme"],
        &["link", "mint", "--kind", "open", "--campaign", "x"],
    ];
    for arguments in sets_up {
        let installation = Installation::sqlite()?;
        installation.run(arguments)?;
        ensure!(installation.count()? == 0 && installation.data.join("keys/keyring.json").exists(), "{arguments:?}");
    }
    Ok(())
}

#[test]
fn options_may_stand_before_the_command() -> Result<()> {
    let installation = Installation::sqlite()?;
    installation.run(&["migrate"])?;
    let data = installation.data.to_str().context("a path")?;
    for arguments in [
        &["--data", data, "events", "count"][..],
        &["--output=text", "--data", data, "events", "count"],
        &["events", "--data", data, "count"],
    ] {
        let ran = signalbox(arguments)?;
        ensure!(ran.code == Some(0) && ran.out == "events stored: 0\n", "{arguments:?}: {ran:?}");
    }
    // Where an option means nothing it is refused, wherever it stands.
    refuses(&signalbox(&["--data", data, "demo", "--no-hold"])?, 2, &["--data"])
}

/// Whatever the umask is: what is made is for its owner alone, and what is there keeps its mode.
#[test]
fn what_is_made_can_be_read_by_its_owner_alone() -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| -> Result<u32> { Ok(std::fs::metadata(path)?.permissions().mode() & 0o777) };
    for made_before in [false, true] {
        let installation = Installation::sqlite()?;
        if made_before {
            std::fs::create_dir_all(&installation.data)?;
            std::fs::set_permissions(&installation.data, std::fs::Permissions::from_mode(0o750))?;
        }
        let token = installation.token()?;
        let server = installation.serve()?;
        ensure!(server.post_events(&token, "{\"kind\":\"sent\"}")?.status == 200);
        let made = files(&installation.data)?;
        ensure!(made.iter().any(|(path, _)| path.ends_with("intake.db-wal")), "{made:?}");
        for (path, _) in made {
            // A collector may read the checkpoints by its group.
            let most = if path.ends_with("audit-checkpoints.jsonl") { 0o640 } else { 0o600 };
            ensure!(mode(&path)? | most == most, "{} has mode {:o}", path.display(), mode(&path)?);
        }
        ensure!(mode(&installation.data)? == if made_before { 0o750 } else { 0o700 });
        ensure!(mode(&installation.data.join("keys"))? == 0o700);
        let (code, line) = doctor_line(&installation, "permissions")?;
        ensure!(code == Some(0) && line.starts_with('✓'), "{line}");
        server.terminate()?;
    }
    Ok(())
}

#[test]
fn a_table_that_is_gone_is_told_by_the_doctor_and_by_health() -> Result<()> {
    let installation = Installation::sqlite()?;
    let token = installation.token()?;
    let (code, line) = doctor_line(&installation, "tables")?;
    ensure!(code == Some(0) && line.starts_with('✓'), "{line}");
    opened(&installation)?.execute_batch("DROP TABLE counter; ALTER TABLE event DROP COLUMN user_agent_id")?;
    let (code, line) = doctor_line(&installation, "tables")?;
    ensure!(code == Some(1) && line.contains("counter, event.user_agent_id missing"), "{line}");
    let server = installation.serve()?;
    ensure!(server.post_events(&token, "{\"kind\":\"sent\"}")?.status == 200);
    process::wait_for(std::time::Duration::from_secs(30), "a projector that fails", || {
        let health = server.get("/health")?.text();
        ensure!(health.contains("{\"name\":\"projector\",\"status\":\"warn\"}"), "{health}");
        Ok(())
    })?;
    server.terminate()
}

#[test]
fn a_postgres_that_does_not_sync_is_told_by_the_doctor() -> Result<()> {
    for (settings, well) in [(&[][..], true), (&["fsync=off"], false), (&["full_page_writes=off"], false)] {
        let cluster = Cluster::create_with(settings)?;
        let installation = Installation::sqlite()?.on_postgres(cluster.url())?;
        let (code, line) = doctor_line(&installation, "durability")?;
        ensure!((code == Some(0)) == well && line.starts_with('✓') == well, "{settings:?}: {line}");
        ensure!(settings.iter().all(|setting| line.contains(&setting.replace('=', " is "))), "{line}");
    }
    Ok(())
}
