//! The page that asks before something that cannot be undone.

use signalbox_http::page::Frame;

#[derive(askama::Template)]
#[template(path = "confirm.html")]
pub(super) struct ConfirmPage {
    pub(super) frame: Frame,
    pub(super) text: String,
    /// Where the form goes.
    pub(super) action: String,
    pub(super) word: &'static str,
    pub(super) back: String,
}
