use super::content::{Block, Document};

/// The document as Markdown.
pub fn markdown(document: &Document) -> String {
    let mut text = format!("# {}\n", escape(&document.title));
    for block in &document.blocks {
        text.push('\n');
        match block {
            Block::Heading { text: heading } => text.push_str(&format!("## {}\n", escape(heading))),
            Block::Paragraph { text: paragraph } => text.push_str(&format!("{}\n", escape(paragraph))),
            Block::Table { heads: [what, said], lines } => {
                text.push_str(&format!("| | {} | {} | evidence |\n|---|---|---|---|\n", escape(what), escape(said)));
                for line in lines {
                    let evidence = escape(&line.evidence_words());
                    text.push_str(&format!(
                        "| {} | {} | {} | {evidence} |\n",
                        line.mark.words(),
                        escape(&line.what),
                        escape(&line.said)
                    ));
                }
            }
        }
    }
    text.push_str(&format!("\nNothing here was typed by hand: `{}` recomputes every line.\n", document.again));
    text
}

/// So that nothing that was found in the world becomes a heading, a cell, a link or HTML.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '\\' | '`' | '*' | '[' | ']' | '|' | '#' => escaped.extend(['\\', one]),
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            one if one.is_control() => escaped.push(' '),
            one => escaped.push(one),
        }
    }
    escaped
}
