//! What a form says.

use axum::extract::{FromRequest, Request};
use signalbox_http::reply::Refusal;

/// The fields of a form, in order.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// A field, or nothing.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// A field as one line without control characters, so long at most.
    pub(super) fn text(&self, name: &str, most: usize) -> String {
        let words = self.get(name).split(|letter: char| letter.is_whitespace() || letter.is_control());
        let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        line.chars().take(most).collect()
    }
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let form = axum::Form::<Vec<(String, String)>>::from_request(request, state).await;
        form.map(|axum::Form(pairs)| Self(pairs)).map_err(|rejection| {
            Refusal::new(rejection.status(), "bad-request", "The form cannot be read", rejection.body_text())
        })
    }
}
