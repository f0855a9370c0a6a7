//! Manifests with every kind of mistake, and what is said about each.

use signalbox_release::model::manifest::{EXAMPLE, Manifest, Profile, schema};

use crate::given::{LEAST, manifest};

fn said(text: &str) -> String {
    Manifest::parse("release.toml", text).err().map_or("nothing".into(), |faults| faults.to_string())
}

/// What is added behind the least manifest (which ends on line 4), and what is said.
const MISTAKES: &[(&str, &str)] = &[
    (
        "[canary]\nmin_request = 5",
        "release.toml:6: unknown key \"min_request\" in [canary]; did you mean \"min_requests\"?",
    ),
    ("[canry]", "release.toml:5: unknown section [canry]; did you mean \"canary\"?"),
    ("[canary]\n[[canary.metrics]]", "release.toml:6: unknown key \"metrics\" in [canary]; did you mean \"metric\"?"),
    ("[service.helth]", "release.toml:5: unknown key \"helth\" in [service]; did you mean \"health\"?"),
    ("canary = 5", "release.toml:5: unknown key \"canary\" in [service]"),
    ("[canary]\nsteps = 5", "release.toml:6: canary.steps is a list; write canary.steps = [\"…\", \"…\"]"),
    ("[canary]\nmetric = 5", "release.toml:6: canary.metric is a list of sections; write [[canary.metric]]"),
    ("limits = 5", "release.toml:5: service.limits is a section; write [service.limits]"),
    ("instances = 0", "release.toml:5: service.instances: 0 is not a whole number from 1 to 1000"),
    ("instances = \"2\"", "release.toml:5: service.instances: \"2\" is not a whole number from 1 to 1000"),
    (
        "instances = 50\nports = \"20000-20010\"",
        "release.toml:6: service.ports: 11 ports are too few: two versions of 50 instances and one for staging need 101",
    ),
    (
        "ports = \"80-90\"",
        "release.toml:5: service.ports: \"80-90\" is not a range of ports; write 20000-20099, from 1024 to 65535",
    ),
    ("version = \"../1\"", "service.version: \"../1\" is not a version"),
    ("drain = \"30\"", "release.toml:5: service.drain: \"30\" is not a duration; write it as 500ms, 30s, 5m, 2h or 7d"),
    ("stop = \"0s\"", "release.toml:5: service.stop: must be longer than nothing, for example 1s"),
    ("limits = { memory = \"lots\" }", "service.limits.memory: \"lots\" is not a size"),
    ("restart = { first = \"1m\", most = \"1s\" }", "[service.restart] must have a most that is no shorter than first"),
    ("env = { \"1A\" = \"x\" }", "\"1A\" is not a name of a variable"),
    (
        "env = { A = \"{prot}\" }",
        "service.env.A: {prot} is not known; there are {port}, {version} and {data}; did you mean \"port\"?",
    ),
    ("artifact = { path = \"a\" }", "release.toml:5: [service.artifact] needs \"sha256\""),
    ("artifact = { path = \"a\", sha256 = \"9f2c\" }", "\"9f2c\" is not a SHA-256"),
    ("[canary]\nsteps = []", "[canary] has no steps"),
    (
        "[canary]\nsteps = [5, 1, 100]",
        "release.toml:6: canary.steps[2]: 1 % does not rise; steps are above 0 and each higher than the one before",
    ),
    ("[canary]\nsteps = [0, 100]", "canary.steps[1]: 0 % does not rise"),
    ("[canary]\nsteps = [1, 50]", "canary.steps[2]: the last step is 50 %; it must be 100"),
    ("[canary]\nsteps = [1, 101]", "canary.steps[2]: 101 is not a percentage; write a number from 0 to 100"),
    ("[canary]\nsteps = [{ weight = 1, hold = \"0s\" }, 100]", "canary.steps[1]: a step is held for some time"),
    ("[canary]\nsteps = [{ weigth = 1 }, 100]", "canary.steps[1]: unknown field `weigth`"),
    ("[canary]\nhold = \"0s\"", "canary.hold: must be longer than nothing"),
    (
        "[canary]\ninsufficient = \"hold 15m, then pass\"",
        "release.toml:6: canary.insufficient: \"hold 15m, then pass\": what could not be decided is never a pass",
    ),
    ("[[canary.metric]]\nname = \"errors\"", "release.toml:5: [[canary.metric]] needs \"worse\""),
    ("[[canary.metric]]\nworse = \"+1 %\"", "release.toml:5: [[canary.metric]] needs \"name\""),
    (
        "[[canary.metric]]\nname = \"errors\"\nworse = \"1 %\"",
        "release.toml:7: canary.metric[1].worse: \"1 %\" does not say how much worse is too much",
    ),
    (
        "[[canary.metric]]\nname = \"erors\"\nworse = \"+1 %\"",
        "\"erors\" has no query, and built in are errors, latency; did you mean \"errors\"?",
    ),
    (
        "[[canary.metric]]\nname = \"delivery\"\nworse = \"-1 %\"",
        "\"delivery\" is built in only where service.kind = \"engage\"",
    ),
    ("kind = \"engage\"\n[[canary.metric]]\nname = \"delivry\"\nworse = \"-1 %\"", "did you mean \"delivery\"?"),
    (
        "[[canary.metric]]\nname = \"orders\"\nquery = \"up\"\nworse = \"-1 %\"",
        "release.toml:7: canary.metric[1].query: a query has $version in it",
    ),
    (
        "[[canary.metric]]\nname = \"errors\"\nquery = \"$version\"\nworse = \"+1 %\"",
        "\"errors\" is built in and takes no query",
    ),
    (
        "[[canary.metric]]\nname = \"errors\"\nworse = \"+1 %\"\n[[canary.metric]]\nname = \"errors\"\nworse = \"+1 %\"",
        "release.toml:9: canary.metric[2].name: \"errors\" is there twice",
    ),
    ("[rollback]\nerrors = \"mean > 1s for 5m\"", "rollback.errors: is a share; write > 1 % for 5m"),
    ("[rollback]\nlatency = \"> 1 % for 5m\"", "rollback.latency: is a time; write mean > 500ms for 5m"),
    (
        "[rollback]\nbreaker = \"often\"",
        "rollback.breaker: \"often\" is not a breaker; write 50 % of 20 requests; or off",
    ),
    (
        "[rollback]\nvulnerability = \"low\"",
        "rollback.vulnerability: unknown variant `low`, expected one of `high`, `critical`, `off`",
    ),
    ("[migrations]", "release.toml:5: [migrations] needs \"database\"\nrelease.toml:5: [migrations] needs \"dir\""),
    (
        "[migrations]\ndir = \"m\"\ndatabase = \"postgres://u:p@h/d\"",
        "release.toml:7: migrations.database: a URL holds a password; put it into a file and write postgres:FILE",
    ),
    ("[migrations]\ndir = \"m\"\ndatabase = \"mysql:x\"", "\"mysql:x\" is not a database"),
    ("[approvals]\nroles = [\"Security\"]", "approvals.roles[1]: \"Security\" is not a name"),
    ("[approvals]\nroles = [\"a\", \"a\"]", "approvals.roles[2]: \"a\" is there twice"),
    (
        "[windows]\nallow = [\"Mon..Thu 09:00-16:00\"]",
        "release.toml:6: windows.allow[1]: \"Mon..Thu 09:00-16:00\" is not a window: it has days, times and a time zone",
    ),
    (
        "[windows]\nallow = [\"Mon 09:00-16:00 Europe/Berln\"]",
        "\"Europe/Berln\" is not a time zone; write UTC or a name such as Europe/Berlin",
    ),
    (
        "[[windows.freeze]]\nfrom = \"2026-12-20\"\nto = \"2026-12-19\"\nreason = \"x\"",
        "release.toml:7: windows.freeze[1].to: 2026-12-19 is before 2026-12-20",
    ),
    (
        "[[windows.freeze]]\nfrom = \"2026-02-30\"\nto = \"2026-03-01\"\nreason = \"x\"",
        "\"2026-02-30\" is not a date; write it as 2026-12-20",
    ),
    ("[staging]\nsmoke = [\"./smoke\"]", "staging.smoke[1]: a command is a list, the program first"),
    ("[[staging.probe]]\npath = \"x\"", "staging.probe[1].path: \"x\" is not a path"),
    ("[[staging.probe]]\npath = \"/\"\njson = { \"a\" = 1 }", "\"a\" is not a path into JSON; write it as $.version"),
    ("[staging.load]\nfactor = 2", "[staging.load] needs \"peak\""),
    ("[readiness]\nthreshold = 101", "readiness.threshold: 101 is not a whole number from 0 to 100"),
    (
        "[readiness.weights]\ndatabas = 5",
        "readiness.weights.databas: \"databas\" is not a component; there are configuration, git_state",
    ),
    (
        "[readiness]\nmust = [\"build.coverag\"]",
        "readiness.must[1]: \"build.coverag\" is not a check; did you mean \"build.coverage\"?",
    ),
    (
        "[[notification]]\nurl = \"https://u:p@h/\"",
        "notification[1].url: an address here has no user name or password in it",
    ),
    ("[[notification]]\nurl = \"https://h/\"\non = [\"always\"]", "notification[1].on[1]: unknown variant `always`"),
    (
        "[[checklist]]\nat = \"noon\"\nwhat = \"x\"",
        "checklist[1].at: \"noon\" is not a time of the checklist; write T-24h, T-0 or T+30min",
    ),
    ("[[risk]]\nwhat = \"x\"\nkind = \"legal\"\nlevel = \"low\"", "risk[1].kind: unknown variant `legal`"),
    ("name = \"x\"", "release.toml:5: duplicate key"),
    ("drain = ", "release.toml:5: "),
];

#[test]
fn every_mistake_is_told_with_its_line_and_what_is_right() {
    for (text, wanted) in MISTAKES {
        let said = said(&format!("{LEAST}{text}"));
        assert!(said.contains(wanted), "{text}\nsaid:   {said}\nwanted: {wanted}");
        assert!(said.lines().all(|line| line.starts_with("release.toml:")), "{said}");
    }
}

#[test]
fn what_is_missing_is_told() {
    assert_eq!(said(""), "release.toml:1: [service] is missing; it says what is released and how it runs");
    assert_eq!(
        said("[service]"),
        "release.toml:1: [service] needs \"health\"\nrelease.toml:1: [service] needs \"name\"\nrelease.toml:1: [service] needs \"run\""
    );
    assert!(said("[service]\nname = \"a\"\nrun = [\"./a\"]\nhealth = { path = \"/\" }").contains("has {port} in it"));
    assert!(said("[service]\nname = \"a\"\nrun = \"./a {port}\"").contains("a command is a list"));
    assert!(
        said("profile = \"quick\"").contains("unknown variant `quick`, expected one of `fast`, `standard`, `careful`")
    );
}

#[test]
fn many_mistakes_are_told_together() {
    let text = "[service]\nname = \"Shop\"\nrun = []\nhealth = { path = \"/\", intervall = \"1s\" }\n[canary]\nhold = \"soon\"\nstep = 1\n";
    let said = said(text);
    let lines: Vec<&str> = said.lines().map(|line| &line[..15]).collect();
    assert_eq!(
        lines,
        ["release.toml:2:", "release.toml:3:", "release.toml:4:", "release.toml:6:", "release.toml:7:"],
        "{said}"
    );
}

#[test]
fn the_example_is_read() {
    let manifest = manifest(EXAMPLE);
    assert_eq!(manifest.service.name.as_str(), "shop");
    assert_eq!(manifest.canary.steps.len(), 6);
    assert_eq!(manifest.calendar.freezes.len(), 1);
    assert_eq!(manifest.staging.unwrap().probes[0].json.len(), 1);
}

#[test]
fn a_profile_fills_what_is_not_said() {
    for profile in Profile::ALL {
        let manifest = manifest(&format!("profile = \"{}\"\n{LEAST}", profile.word()));
        assert_eq!(manifest.profile, profile);
        assert_eq!(manifest.canary.metrics.len(), 2);
        assert_eq!(manifest.approvals.roles.len(), if profile == Profile::Careful { 4 } else { 0 });
    }
    let said = manifest(&format!(
        "profile = \"careful\"\n{LEAST}[canary]\nsteps = [2, 100]\nhold = \"7s\"\n[approvals]\nroles = []"
    ));
    assert!(said.canary.steps.iter().all(|step| step.hold.to_string() == "7s"));
    assert!(said.approvals.roles.is_empty());
}

#[test]
fn the_digest_is_of_what_is_said_not_of_how() {
    let digest = |text: &str| manifest(text).digest();
    let spaced = format!("# a note\n{}", LEAST.replace(" = ", "="));
    assert_eq!(digest(LEAST), digest(&spaced));
    assert_ne!(digest(LEAST), digest(&LEAST.replace("shop\"", "shap\"")));
}

#[test]
fn the_published_schema_is_the_one_that_is_checked_against() {
    let published = include_str!("../../../../docs/release.schema.json");
    let wanted = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    assert!(
        published == wanted,
        "docs/release.schema.json is old; run: signalbox release schema > docs/release.schema.json"
    );
}

#[test]
fn the_schema_takes_the_example_and_refuses_unknown_keys() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let as_json = |text: &str| serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap();
    let errors: Vec<String> = validator.iter_errors(&as_json(EXAMPLE)).map(|error| error.to_string()).collect();
    assert_eq!(errors, [""; 0]);
    assert!(validator.is_valid(&as_json(LEAST)));
    for wrong in ["[canary]\nmin_request = 5", "instances = 0", "[[canary.metric]]\nname = \"errors\"", "drain = 5"] {
        assert!(!validator.is_valid(&as_json(&format!("{LEAST}{wrong}"))), "{wrong}");
    }
}
