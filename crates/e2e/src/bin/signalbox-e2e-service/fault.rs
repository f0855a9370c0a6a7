//! What can be wrong with a version.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    None,
    /// `crash-at-start 3`: ends at once with that code, and with words.
    CrashAtStart(u8),
    /// `crash-unless FILE`: ends at once unless the file is there, which the first try makes.
    CrashUnless(PathBuf),
    NeverHealthy,
    WrongVersion,
    /// `errors 2`: so many in a hundred.
    Errors(u64),
    /// `slow 600`: milliseconds.
    Slow(u64),
    WrongBody,
    /// `crash-after 100`: requests.
    CrashAfter(u64),
    /// `database-away 100`: its health check fails after so many requests, and nothing else does.
    DatabaseAway(u64),
    /// `no-database 100`: what tells of its database fails after so many requests, and nothing else does.
    NoDatabase(u64),
    /// `leak 4`: MiB that it takes more, every 20 ms.
    Leak(usize),
    /// `chatter 1000`: lines that it writes before it is healthy.
    Chatter(u32),
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        fn number<T: FromStr>(value: &str) -> Result<T, String> {
            value.parse().map_err(|_| format!("{value:?} is no number"))
        }
        Ok(match name {
            "" => Self::None,
            "crash-at-start" => Self::CrashAtStart(number(value)?),
            "crash-unless" => Self::CrashUnless(value.into()),
            "never-healthy" => Self::NeverHealthy,
            "wrong-version" => Self::WrongVersion,
            "errors" => Self::Errors(number(value)?),
            "slow" => Self::Slow(number(value)?),
            "wrong-body" => Self::WrongBody,
            "crash-after" => Self::CrashAfter(number(value)?),
            "database-away" => Self::DatabaseAway(number(value)?),
            "no-database" => Self::NoDatabase(number(value)?),
            "leak" => Self::Leak(number(value)?),
            "chatter" => Self::Chatter(number(value)?),
            other => return Err(format!("{other:?} is no fault")),
        })
    }
}

impl Fault {
    /// With what the service ends before it listens, where it does.
    pub fn at_start(&self) -> Option<ExitCode> {
        match self {
            Self::CrashAtStart(code) => {
                eprintln!("this version cannot find its configuration");
                Some(ExitCode::from(*code))
            }
            Self::CrashUnless(file) => first_time(file).then(|| ExitCode::from(9)),
            Self::Chatter(lines) => {
                (0..*lines).for_each(|number| println!("chatter {number} {}", "x".repeat(200)));
                None
            }
            _ => None,
        }
    }

    /// What goes on beside the answers.
    pub fn go_on(&self) {
        let Self::Leak(more) = *self else { return };
        std::thread::spawn(move || {
            let mut kept: Vec<Vec<u8>> = Vec::new();
            loop {
                kept.push(vec![1; more << 20]);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
    }
}

fn first_time(file: &Path) -> bool {
    let first = !file.exists();
    if first {
        std::fs::write(file, "").expect("a file");
    }
    first
}
