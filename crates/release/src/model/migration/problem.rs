use std::fmt;

use serde::{Deserialize, Serialize};

/// What is wrong with the migrations. None of these is ever ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "problem", rename_all = "snake_case")]
pub enum Problem {
    BadName {
        file: String,
    },
    NotText {
        file: String,
    },
    Empty {
        file: String,
    },
    BadDependency {
        file: String,
        word: String,
    },
    SameNumber {
        number: u32,
        files: Vec<String>,
    },
    UnknownDependency {
        migration: String,
        wants: u32,
    },
    /// With `order = "number"` a migration depends on a higher one.
    DependsOnLater {
        migration: String,
        wants: u32,
    },
    Circle {
        migrations: Vec<String>,
    },
    /// It ran, and its file is not what ran.
    Changed {
        migration: String,
    },
    /// It ran, and its file is gone.
    Missing {
        number: u32,
    },
    /// It ran under another kind.
    Relabelled {
        migration: String,
        ran_as: String,
    },
    /// A later one ran, this one did not.
    OutOfOrder {
        migration: String,
        ran: u32,
    },
    /// It cannot run before a contract that has to wait for the old version to go.
    BehindContract {
        migration: String,
        contract: String,
    },
    /// The old version still runs.
    ContractWhileOldLives {
        migration: String,
    },
    /// A rollback to the old version is still promised.
    ContractWhileWindowOpen {
        migration: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName { file } => {
                write!(
                    out,
                    "{file:?} is not the name of a migration; name it 0007.expand.sql, 0008.backfill.sql or 0009.contract.sql"
                )
            }
            Self::NotText { file } => write!(out, "{file} is not UTF-8 text"),
            Self::Empty { file } => write!(out, "{file} has no statement"),
            Self::BadDependency { file, word } => {
                write!(out, "{file} depends on {word:?}; write numbers: -- depends-on: 0003, 0005")
            }
            Self::SameNumber { number, files } => {
                write!(out, "number {number:04} is there twice: {}", files.join(", "))
            }
            Self::UnknownDependency { migration, wants } => {
                write!(out, "{migration} depends on {wants:04}, which is not there")
            }
            Self::DependsOnLater { migration, wants } => {
                write!(
                    out,
                    "{migration} depends on {wants:04}, which has no lower number; renumber them, or say order = \"depends-on\""
                )
            }
            Self::Circle { migrations } => write!(out, "{} depend on each other in a circle", migrations.join(", ")),
            Self::Changed { migration } => {
                write!(out, "{migration} was changed after it ran; put its text back and write a new migration")
            }
            Self::Missing { number } => write!(out, "{number:04} has run and its file is gone; put it back"),
            Self::Relabelled { migration, ran_as } => write!(out, "{migration} ran as {ran_as}; give it its kind back"),
            Self::OutOfOrder { migration, ran } => {
                write!(out, "{migration} has not run although {ran:04} has; give it a number above {ran:04}")
            }
            Self::BehindContract { migration, contract } => {
                write!(
                    out,
                    "{migration} comes after {contract}, which waits for the old version to go; release them one after the other"
                )
            }
            Self::ContractWhileOldLives { migration } => {
                write!(out, "{migration} must wait: the old version still runs")
            }
            Self::ContractWhileWindowOpen { migration } => {
                write!(out, "{migration} must wait: a rollback to the old version is still promised")
            }
        }
    }
}
