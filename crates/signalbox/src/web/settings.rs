//! `GET /settings`: what is configured, and where it comes from. Changing is for the file and the environment.

use askama::Template;
use axum::extract::{Extension, State};
use axum::response::Response;
use signalbox_http::caller::Caller;
use signalbox_http::page::Frame;
use signalbox_http::reply::Reply;

use super::{Process, render};
use crate::shown::{Origin, Shown};

#[derive(Debug, Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    frame: Frame,
    sections: Vec<Section>,
}

#[derive(Debug)]
struct Section {
    name: String,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    key: String,
    value: String,
    meaning: String,
    origin: String,
    is_default: bool,
}

fn line(shown: &Shown) -> Line {
    let origin = match &shown.origin {
        Origin::Default => "default".to_owned(),
        Origin::File(path) => path.clone(),
        Origin::Variable(name) => name.clone(),
        Origin::CommandLine => "command line".to_owned(),
    };
    Line {
        key: shown.key.clone(),
        value: shown.value.clone(),
        meaning: shown.meaning.clone(),
        origin,
        is_default: shown.origin == Origin::Default,
    }
}

pub(super) async fn page(State(process): State<Process>, Extension(caller): Extension<Caller>) -> Reply<Response> {
    let parts = process.settings.chunk_by(|one, next| one.section == next.section);
    render(&SettingsPage {
        frame: Frame::new("Settings", "settings", Some(&caller)),
        sections: parts
            .map(|part| Section { name: part[0].section.clone(), lines: part.iter().map(line).collect() })
            .collect(),
    })
}
