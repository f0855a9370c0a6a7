//! The token of the HTTP interface: made once, kept in a file for the owner alone.

use std::io;
use std::path::Path;

use crate::disk;

/// The token in this folder; a new one where there is none.
pub fn token(folder: &Path) -> io::Result<String> {
    let path = folder.join("token");
    match std::fs::read_to_string(&path) {
        Ok(text) if text.trim().len() >= 32 => return Ok(text.trim().to_owned()),
        Ok(_) => (),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (),
        Err(error) => return Err(error),
    }
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    disk::store(&path, format!("{token}\n").as_bytes())?;
    Ok(token)
}
