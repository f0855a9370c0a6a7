use super::content::{Block, Document, Mark};

/// One file without anything from elsewhere, for screens in light and dark and for paper.
const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8886;--bad:#b3261e;--good:#146c2e}\
@media(prefers-color-scheme:dark){:root{--bad:#ff8a80;--good:#7ddc93}}\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%;margin:1rem 0}\
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid var(--line);overflow-wrap:anywhere}\
td:first-child{white-space:nowrap}.pass{color:var(--good)}.fail,.unknown{color:var(--bad);font-weight:600}\
footer{margin-top:2rem;font-size:.9rem}\
@media print{:root{color-scheme:light;--bad:#000;--good:#000}body{font-size:10pt;margin:0;max-width:none}\
tr,h2{break-inside:avoid}h2{break-after:avoid}thead{display:table-header-group}@page{margin:18mm}}";

/// The document as one HTML file that prints well.
pub fn html(document: &Document) -> String {
    let title = escape(&document.title);
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    );
    for block in &document.blocks {
        match block {
            Block::Heading { text: heading } => text.push_str(&format!("<h2>{}</h2>\n", escape(heading))),
            Block::Paragraph { text: paragraph } => text.push_str(&format!("<p>{}</p>\n", escape(paragraph))),
            Block::Table { heads: [what, said], lines } => {
                let (what, said) = (escape(what), escape(said));
                text.push_str(&format!(
                    "<table>\n<thead><tr><th scope=\"col\">Result</th><th scope=\"col\">{what}</th><th scope=\"col\">{said}</th>\
                     <th scope=\"col\">evidence</th></tr></thead>\n<tbody>\n"
                ));
                for line in lines {
                    let class = match line.mark {
                        Mark::Pass => "pass",
                        Mark::Fail => "fail",
                        Mark::Unknown => "unknown",
                        Mark::Note => "note",
                    };
                    text.push_str(&format!(
                        "<tr><td class=\"{class}\">{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                        line.mark.words(),
                        escape(&line.what),
                        escape(&line.said),
                        escape(&line.evidence_words())
                    ));
                }
                text.push_str("</tbody>\n</table>\n");
            }
        }
    }
    let again = escape(&document.again);
    text.push_str(&format!(
        "</main>\n<footer>Nothing here was typed by hand: <code>{again}</code> recomputes every line.</footer>\n</body>\n</html>\n"
    ));
    text
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            one if one.is_control() => escaped.push(' '),
            one => escaped.push(one),
        }
    }
    escaped
}
