//! The files of the repository: tracked, or new and not ignored.

use std::path::Path;

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::Workspace;

pub(crate) struct Files {
    all: Vec<TextFile>,
    /// Every path, also of files that are not text.
    paths: Vec<String>,
}

pub(crate) struct TextFile {
    /// From the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Files {
    pub(crate) fn read(workspace: &Workspace) -> Result<Self> {
        let mut git = workspace.command("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let listed = process::output(&mut git).context("the checks need git and a clone of the repository")?;
        let mut paths: Vec<String> = listed.split_terminator('\0').map(String::from).collect();
        // A merge lists a file several times; a file that is deleted and not yet committed is listed and not there.
        paths.sort_unstable();
        paths.dedup();
        paths.retain(|path| workspace.root().join(path).exists());
        let all = paths.iter().filter_map(|path| read_text(workspace.root(), path)).collect();
        Ok(Self { all, paths })
    }

    #[cfg(test)]
    pub(crate) fn fake(files: &[(&str, &str)]) -> Self {
        let all = files.iter().map(|(path, text)| TextFile { path: (*path).into(), text: (*text).into() }).collect();
        Self { all, paths: files.iter().map(|(path, _)| (*path).into()).collect() }
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = &TextFile> {
        self.all.iter()
    }

    pub(crate) fn with_extension(&self, extension: &str) -> impl Iterator<Item = &TextFile> {
        self.all.iter().filter(move |file| {
            file.path.rsplit_once('.').is_some_and(|(_, found)| found.eq_ignore_ascii_case(extension))
        })
    }

    pub(crate) fn text(&self, path: &str) -> Option<&TextFile> {
        self.all.iter().find(|file| file.path == path)
    }

    /// Whether there is a file, or a folder with a file in it. The empty path is the root.
    pub(crate) fn exists(&self, path: &str) -> bool {
        path.is_empty()
            || self
                .paths
                .iter()
                .any(|other| other.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }
}

/// `None` when it is not text, or a link to elsewhere.
fn read_text(root: &Path, path: &str) -> Option<TextFile> {
    let full = root.join(path);
    if full.is_symlink() {
        return None;
    }
    let text = String::from_utf8(std::fs::read(full).ok()?).ok()?;
    Some(TextFile { path: path.to_owned(), text })
}
