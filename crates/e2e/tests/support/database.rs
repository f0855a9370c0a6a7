//! A database of a test's own on the cluster that xtask started.

use std::process::Command;

use signalbox_e2e::{environment, process};

/// Dropped with everything in it.
pub struct Database {
    cluster: String,
    name: String,
}

impl Database {
    pub fn create() -> Self {
        let cluster = variable("SIGNALBOX_TEST_POSTGRES");
        let name = format!("e2e_{}_{}", std::process::id(), environment::random(1 << 40));
        let database = Self { cluster, name };
        run_sql(&database.cluster, &format!("CREATE DATABASE {}", database.name));
        database
    }

    pub fn url(&self) -> String {
        let (server, _) = self.cluster.rsplit_once('/').expect("the url of the cluster ends in a database");
        format!("{server}/{}", self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Only a superuser may end an autovacuum that is at work in it.
        let superuser = environment::postgres_superuser().expect("xtask names the superuser");
        run_sql(&superuser, &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has no settings: xtask hands it the cluster this way")]
fn variable(name: &str) -> String {
    match std::env::var(name) {
        Ok(value) => value,
        Err(_) => panic!("{name} is not set: run `cargo xtask test`, which starts PostgreSQL and sets it"),
    }
}

/// Runs a statement past Signalbox; the cells of the rows that it gives, row by row.
pub fn run_sql(url: &str, sql: &str) -> Vec<Vec<String>> {
    let programs = environment::postgres_programs().expect("psql");
    let mut psql = Command::new(programs.join("psql"));
    psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--field-separator", "\t"]);
    psql.args(["--set", "ON_ERROR_STOP=1", "--dbname", url, "--command", sql]);
    let printed = process::output(&mut psql).unwrap_or_else(|error| panic!("{error:#}"));
    printed.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}
