//! What a check found.

#[derive(Default)]
pub(crate) struct Outcome {
    /// Said beside the check's name, also when all is well.
    pub(crate) note: String,
    /// One per line; none is a pass.
    pub(crate) problems: Vec<String>,
}

impl Outcome {
    pub(crate) fn new(note: impl Into<String>, problems: Vec<String>) -> Self {
        Self { note: note.into(), problems }
    }

    /// Of a program that has told its problems itself.
    pub(crate) fn of_program(result: anyhow::Result<()>) -> Self {
        let problems = result.err().map(|error| format!("{error:#}")).into_iter().collect();
        Self { note: String::new(), problems }
    }
}
