//! Licence expressions: `MIT OR Apache-2.0`, `(A OR B) AND C`, `A WITH exception`, and the old `A/B`.

use anyhow::{Result, bail};

/// Whether the licences that `allowed` accepts satisfy the expression. `A WITH x` is asked for as a whole.
pub(crate) fn satisfies(expression: &str, allowed: &dyn Fn(&str) -> bool) -> Result<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut parser = Parser { words: spaced.split_whitespace().collect(), at: 0, allowed };
    let satisfied = parser.either()?;
    if parser.at < parser.words.len() {
        bail!("`{expression}` goes on after its end");
    }
    Ok(satisfied)
}

struct Parser<'a> {
    words: Vec<&'a str>,
    at: usize,
    allowed: &'a dyn Fn(&str) -> bool,
}

impl<'a> Parser<'a> {
    fn either(&mut self) -> Result<bool> {
        let mut satisfied = self.both()?;
        while self.takes("OR") {
            satisfied |= self.both()?;
        }
        Ok(satisfied)
    }

    fn both(&mut self) -> Result<bool> {
        let mut satisfied = self.one()?;
        while self.takes("AND") {
            satisfied &= self.one()?;
        }
        Ok(satisfied)
    }

    fn one(&mut self) -> Result<bool> {
        if self.takes("(") {
            let satisfied = self.either()?;
            if !self.takes(")") {
                bail!("a parenthesis is not closed");
            }
            return Ok(satisfied);
        }
        let id = self.id()?;
        if self.takes("WITH") {
            return Ok((self.allowed)(&format!("{id} WITH {}", self.id()?)));
        }
        Ok((self.allowed)(id))
    }

    fn id(&mut self) -> Result<&'a str> {
        match self.words.get(self.at) {
            Some(word) if !["OR", "AND", "WITH", "(", ")"].contains(word) => {
                self.at += 1;
                Ok(word)
            }
            _ => bail!("a licence is missing"),
        }
    }

    fn takes(&mut self, word: &str) -> bool {
        let takes = self.words.get(self.at) == Some(&word);
        self.at += usize::from(takes);
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_satisfied_by_what_is_allowed() {
        let allowed = |id: &str| ["MIT", "Zlib", "Apache-2.0 WITH LLVM-exception"].contains(&id);
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0-only", false),
            ("MIT OR GPL-3.0-only", true),
            ("MIT AND GPL-3.0-only", false),
            ("GPL-3.0-only/MIT", true),
            ("(GPL-3.0-only OR MIT) AND Zlib", true),
            ("GPL-3.0-only OR MIT AND Zlib", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0", false),
        ] {
            assert_eq!(satisfies(expression, &allowed).unwrap(), expected, "{expression}");
        }
        for broken in ["", "MIT OR", "(MIT", "MIT MIT", "OR MIT"] {
            assert!(satisfies(broken, &allowed).is_err(), "{broken}");
        }
    }
}
