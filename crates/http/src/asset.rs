//! The stylesheet, the scripts, the icon and the manifest: in the binary, cacheable for ever under a name that changes with them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::reply::Refusal;

const ASSETS: [(&str, &str, &str); 8] = [
    ("style.css", "text/css; charset=utf-8", include_str!("../assets/style.css")),
    ("app.js", "text/javascript; charset=utf-8", include_str!("../assets/app.js")),
    ("early.js", "text/javascript; charset=utf-8", include_str!("../assets/early.js")),
    ("passkey.js", "text/javascript; charset=utf-8", include_str!("../assets/passkey.js")),
    ("ops.css", "text/css; charset=utf-8", include_str!("../assets/ops.css")),
    ("ops.js", "text/javascript; charset=utf-8", include_str!("../assets/ops.js")),
    ("app.webmanifest", "application/manifest+json", include_str!("../assets/app.webmanifest")),
    ("icon.svg", "image/svg+xml", include_str!("../assets/icon.svg")),
];

/// Changes whenever an asset does.
pub fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let mut hasher = DefaultHasher::new();
        ASSETS.hash(&mut hasher);
        format!("{:x}", hasher.finish())
    });
    &VERSION
}

/// The same, compressed once. Pages are never compressed: beside a reader's own words, their length would tell secrets (BREACH).
static COMPRESSED: LazyLock<[Bytes; ASSETS.len()]> = LazyLock::new(|| ASSETS.map(|(_, _, body)| compressed(body)));

fn compressed(body: &str) -> Bytes {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(body.as_bytes()).and_then(|()| gzip.finish()).expect("a vector takes every byte").into()
}

/// `GET /assets/{name}`
pub async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(place) = ASSETS.iter().position(|(known, ..)| *known == name) else {
        return Refusal::not_found().into_response();
    };
    let (_, kind, body) = ASSETS[place];
    let told = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::VARY, "accept-encoding"),
    ];
    if takes_gzip(&headers) {
        return (told, [(header::CONTENT_ENCODING, "gzip")], COMPRESSED[place].clone()).into_response();
    }
    (told, body).into_response()
}

/// Whether the client says that it takes gzip (RFC 9110, 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|line: &HeaderValue| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|coding| {
        let mut words = coding.split(';').map(str::trim);
        let named = words.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip") || name == "*");
        let weight = words.find_map(|word| word.strip_prefix("q=")).map_or(Ok(1.0), str::parse::<f64>);
        named && weight.is_ok_and(|weight| weight > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_whom_it_is_welcome() {
        let takes = |text: &'static str| {
            takes_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(text))]))
        };
        assert!(takes("gzip") && takes("br, GZIP;q=0.5") && takes("*") && takes("deflate, gzip, br"));
        assert!(!takes("") && !takes("br") && !takes("gzip;q=0") && !takes("gzip; q=0.0") && !takes("gzip;q=x"));
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn an_asset_is_the_same_compressed_or_not() {
        use std::io::Read as _;
        let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"))]);
        let body = |headers: HeaderMap| async {
            let answer = serve(Path("app.js".into()), headers).await;
            axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap()
        };
        let (plain, packed) = (body(HeaderMap::new()).await, body(headers).await);
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(packed.as_ref()).read_to_end(&mut unpacked).unwrap();
        assert!(plain == unpacked && packed.len() < plain.len() * 2 / 3);
    }
}
