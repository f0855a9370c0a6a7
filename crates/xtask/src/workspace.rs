//! This workspace: where it is, what cargo says of it, and the release binary built from it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::metadata::Metadata;
use crate::{environment, process};

pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The workspace around the current folder.
    pub(crate) fn locate() -> Result<Self> {
        let mut command = Command::new(environment::cargo());
        let manifest = process::output(command.args(["locate-project", "--workspace", "--message-format", "plain"]))?;
        let root = Path::new(manifest.trim()).parent().context("the workspace's Cargo.toml has no folder")?;
        Ok(Self { root: root.to_owned() })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn cargo(&self) -> Command {
        self.command(environment::cargo())
    }

    /// A program that runs at the workspace's root.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// With every dependency of every target, as `Cargo.lock` has them.
    pub(crate) fn metadata(&self) -> Result<Metadata> {
        self.read_metadata(&["metadata", "--format-version", "1"])
    }

    /// Builds `signalbox` for release and returns the path of the binary.
    pub(crate) fn release_binary(&self) -> Result<PathBuf> {
        process::run(self.cargo().args(["build", "--release", "--package", "signalbox"]))?;
        let metadata = self.read_metadata(&["metadata", "--format-version", "1", "--no-deps"])?;
        Ok(metadata.target_directory.join("release/signalbox"))
    }

    /// Builds an example of one of our crates for release and returns its path.
    pub(crate) fn release_example(&self, package: &str, example: &str) -> Result<PathBuf> {
        process::run(self.cargo().args(["build", "--release", "--package", package, "--example", example]))?;
        let metadata = self.read_metadata(&["metadata", "--format-version", "1", "--no-deps"])?;
        Ok(metadata.target_directory.join("release/examples").join(example))
    }

    fn read_metadata(&self, arguments: &[&str]) -> Result<Metadata> {
        let json = process::output(self.cargo().args(arguments))?;
        serde_json::from_str(&json).context("`cargo metadata` printed something unknown")
    }
}
