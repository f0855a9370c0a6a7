//! Tables as downloads: comma-separated values, streamed page by page.

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use tokio_stream::wrappers::ReceiverStream;

use crate::reply::{Refusal, Reply};

/// One table in memory as a download called `name`.
pub fn download(name: &str, rows: &[Vec<String>]) -> Response {
    respond(name, Body::from(rows.iter().map(|row| line(row)).collect::<String>()))
}

/// A download whose rows `fetch` gives page by page: it gets the place after which to go on, and gives rows and the
/// next place, if there is one.
pub async fn stream<P, F, A>(name: &str, head: &[&str], fetch: F) -> Reply<Response>
where
    P: Send + Copy + 'static,
    F: Fn(Option<P>) -> A + Send + 'static,
    A: Future<Output = Reply<(Vec<Vec<String>>, Option<P>)>> + Send,
{
    // The first page is fetched before anything is answered, so that what is wrong is told with its status.
    let (rows, mut place) = fetch(None).await?;
    let mut first = line(&head.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
    first.extend(rows.iter().map(|row| line(row)));
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<String, std::io::Error>>(2);
    tokio::spawn(async move {
        if sender.send(Ok(first)).await.is_err() {
            return;
        }
        while place.is_some() {
            let part = match fetch(place).await {
                Ok((rows, next)) => {
                    place = next;
                    Ok(rows.iter().map(|row| line(row)).collect())
                }
                Err(Refusal(problem)) => {
                    place = None;
                    // Cutting the connection tells the reader that the file is not whole.
                    Err(std::io::Error::other(problem.title))
                }
            };
            if sender.send(part).await.is_err() {
                return;
            }
        }
    });
    Ok(respond(name, Body::from_stream(ReceiverStream::new(receiver))))
}

fn respond(name: &str, body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.csv\"")),
    ];
    (headers, body).into_response()
}

/// A row as RFC 4180 writes it. A text that a spreadsheet would run as a formula gets an apostrophe in front.
fn line(row: &[String]) -> String {
    let mut line = String::new();
    for (index, cell) in row.iter().enumerate() {
        if index > 0 {
            line.push(',');
        }
        let runs = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err();
        let cell = if runs { format!("'{cell}") } else { cell.clone() };
        if cell.contains([',', '"', '\n', '\r']) {
            line.push('"');
            line.push_str(&cell.replace('"', "\"\""));
            line.push('"');
        } else {
            line.push_str(&cell);
        }
    }
    line.push_str("\r\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_never_run() {
        let row = ["plain", "a,b", "say \"hi\"", "=1+1", "-3", "@x"].map(String::from);
        assert_eq!(line(&row), "plain,\"a,b\",\"say \"\"hi\"\"\",'=1+1,-3,'@x\r\n");
    }
}
