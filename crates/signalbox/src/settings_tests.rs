//! Settings as people write them.

use super::*;

fn load(file: &str, environment: &[(&str, &str)]) -> Result<Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signalbox.toml");
    std::fs::write(&path, file).unwrap();
    let environment: Vec<_> = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let overrides = Overrides { config: Some(path), ..Overrides::default() };
    Settings::load(&overrides, &environment)
        .map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
}

#[test]
fn the_default_file_is_complete() {
    let settings = load("", &[]).unwrap();
    assert_eq!(settings.server.listen.port(), 8080);
    assert!(settings.limits.enabled);
}

#[test]
fn sources_override_each_other_in_order() {
    let settings = load(
        "[server]\nlisten = \"127.0.0.1:1\"\n[logs]\nlevel = \"warn\"",
        &[
            ("SIGNALBOX_LISTEN", "127.0.0.1:2"),
            ("LOG_LEVEL", "debug"),
            ("SIGNALBOX_INTAKE_PATIENCE", "3s"),
            ("SIGNALBOX_SERVER_TRUSTED_PROXIES", "10.0.0.0/8, ::1/128"),
        ],
    )
    .unwrap();
    assert_eq!(settings.server.listen.port(), 2);
    assert_eq!(settings.logs.level.word(), "debug");
    assert_eq!(settings.intake.patience.0.as_secs(), 3);
    assert_eq!(settings.server.trusted_proxies.len(), 2);
}

#[test]
fn mistakes_are_told_with_their_line() {
    let said = |file: &str| load(file, &[]).unwrap_err();
    assert_eq!(
        said("# x\n[server]\nlisen = \"a\""),
        "signalbox.toml:3: unknown key \"lisen\" in [server]; did you mean \"listen\"?"
    );
    assert_eq!(said("[sever]\n"), "signalbox.toml:1: unknown section [sever]; did you mean \"server\"?");
    assert!(said("[intake]\n\npatience = 5").starts_with("signalbox.toml:3: intake.patience: "));
    assert!(said("[server\n").starts_with("signalbox.toml:1: "));
    assert!(said("[limits]\nhits_per_second = 0").contains("limits must be at least 1"));
    assert!(said("server.metrics_path = \"/o/x\"").contains("metrics_path"));
}

#[test]
fn what_would_make_a_dead_server_is_refused() {
    for (file, said) in [
        ("intake.connections = 0", "intake.connections must be from 10"),
        ("intake.batch_bytes = \"0\"", "intake.batch_bytes must be from 1 KiB"),
        ("intake.queue_bytes = \"0\"", "intake.queue_bytes must be at least"),
        ("intake.queue_bytes = \"1 MiB\"", "intake.queue_bytes must be at least intake.batch_bytes"),
        ("intake.patience = \"0s\"", "intake.patience must be from 10ms to 60s"),
        ("intake.patience = \"99999999999d\"", "intake.patience must be from 10ms to 60s"),
        ("server.public_url = \"garbage\"", "server.public_url \"garbage\" is not the address"),
        ("server.public_url = \"ftp://example.org\"", "is not the address"),
        ("server.public_url = \"https://example.org/?a\"", "is not the address"),
        ("server.trusted_proxies = [\"10.0.0\"]", "write it as 10.0.0.0/8"),
        ("database.url = \"sqlite:///x.db\"", "leave it out for SQLite"),
        ("database.url = \"mysql://u:secret@h/d\"", "looks like postgres://"),
        ("logs.level = \"loud\"", "it is error, warn, info, debug or trace"),
    ] {
        let error = load(file, &[]).unwrap_err();
        assert!(error.contains(said) && !error.contains("secret"), "{file}: {error}");
    }
}

#[test]
fn what_is_plain_enough_is_taken() {
    for level in ["debug", "Debug", "DEBUG"] {
        assert_eq!(load("", &[("LOG_LEVEL", level)]).unwrap().logs.level.word(), "debug");
    }
    let endpoint = |value| load("", &[("HEALTH_CHECK_ENDPOINT", value)]).map(|settings| settings.server.health_path);
    assert_eq!(endpoint("http://host:8080/healthz").unwrap(), "/healthz");
    assert_eq!(endpoint("/healthz").unwrap(), "/healthz");
    assert!(endpoint("http://host:8080").is_err());
    let alone = load("server.trusted_proxies = [\"10.0.0.1\", \"::1\", \"10.0.0.0/8\"]", &[]).unwrap();
    let alone: Vec<_> = alone.server.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(alone, ["10.0.0.1/32", "::1/128", "10.0.0.0/8"]);
    for good in ["https://t.example.org", "http://10.0.0.1:8080/", "https://example.org/below"] {
        assert!(load(&format!("server.public_url = \"{good}\""), &[]).is_ok(), "{good}");
    }
}

#[test]
fn mistakes_in_the_environment_are_told() {
    let said = |name: &str, value: &str| load("", &[(name, value)]).unwrap_err();
    assert_eq!(
        said("SIGNALBOX_SERVER_LISEN", "x"),
        "unknown variable SIGNALBOX_SERVER_LISEN; did you mean SIGNALBOX_SERVER_LISTEN?"
    );
    assert!(said("SIGNALBOX_INTAKE_THREADS", "many").contains("SIGNALBOX_INTAKE_THREADS"));
    assert!(!format!("{:?}", load("", &[("DATABASE_URL", "postgres://u:secret@h/d")]).unwrap()).contains("secret"));
}
