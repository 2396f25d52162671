//! The Open Inference Protocol, version 2: every operation is the model `{family}.{operation}`.

mod about;
mod infer;

pub(super) use infer::head_bytes;
pub(crate) use infer::located;

use super::{AppState, exchange};
use actix_web::web::{self, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

/// The routes below `/v2`, which itself stands below `base`.
pub fn routes(app: &mut web::ServiceConfig, base: &str) {
    let scope = web::scope(&format!("{base}/v2"))
        .service(super::resource!("", get => about::server))
        .service(super::resource!("/health/live", get => super::meta::live))
        .service(super::resource!("/health/ready", get => super::meta::ready))
        .service(super::resource!("/repository/index", post => about::index));
    app.service(scope.default_service(web::to(of_model)));
}

/// A model as a path names it.
struct Model {
    name: String,
    version: Option<String>,
}

/// What is asked of a model.
#[derive(Clone, Copy)]
enum Ask {
    Metadata,
    Ready,
    Config,
    Infer,
}

impl Model {
    /// `/models/{model}[/versions/{version}]`, and what is asked of it.
    fn of(path: &str) -> Option<(Model, Ask)> {
        let rest = path.strip_prefix("/models/")?;
        let (name, rest) = rest.split_once('/').map_or((rest, None), |(name, rest)| (name, Some(rest)));
        let (version, rest) = match rest.and_then(|rest| rest.strip_prefix("versions/")) {
            Some(rest) => match rest.split_once('/') {
                Some((version, rest)) => (Some(version), Some(rest)),
                None => (Some(rest), None),
            },
            None => (None, rest),
        };
        let ask = match rest {
            None => Ask::Metadata,
            Some("ready") => Ask::Ready,
            Some("config") => Ask::Config,
            Some("infer") => Ask::Infer,
            Some(_) => return None,
        };
        if name.is_empty() || version.is_some_and(str::is_empty) {
            return None;
        }
        Some((Model { name: name.to_owned(), version: version.map(str::to_owned) }, ask))
    }
}

/// What is asked of a model, told from its path by hand for the reason that [`super::workload`] has.
async fn of_model(request: HttpRequest, payload: Payload, state: Data<AppState>) -> HttpResponse {
    let Some((model, ask)) = Model::of(request.match_info().unprocessed()) else {
        return exchange::not_found(request).await;
    };
    let allow = if let Ask::Infer = ask { "POST" } else { "GET, HEAD" };
    if !allow.split(", ").any(|method| method == request.method().as_str()) {
        return exchange::method_not_allowed(request, allow.into()).await;
    }
    match ask {
        Ask::Metadata => about::metadata(&request, &model, &state),
        Ask::Ready => about::ready(&request, &model, &state),
        Ask::Config => about::config(&request, &model, &state),
        Ask::Infer => infer::infer(request, model, payload, state).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_model_and_what_is_asked_of_it() {
        let of = |path: &str| {
            let (model, ask) = Model::of(path)?;
            Some((model.name, model.version, ask as u8))
        };
        let model =
            |version: Option<&str>, ask: Ask| Some(("a.b".into(), version.map(Into::into), ask as u8));
        assert_eq!(of("/models/a.b"), model(None, Ask::Metadata));
        assert_eq!(of("/models/a.b/infer"), model(None, Ask::Infer));
        assert_eq!(of("/models/a.b/versions/1"), model(Some("1"), Ask::Metadata));
        assert_eq!(of("/models/a.b/versions/1/ready"), model(Some("1"), Ask::Ready));
        assert_eq!(of("/models/a.b/versions/1/config"), model(Some("1"), Ask::Config));
        for path in [
            "",
            "/",
            "/models",
            "/models/",
            "/models//infer",
            "/models/a.b/",
            "/models/a.b/versions",
            "/models/a.b/versions/",
            "/models/a.b/versions//infer",
            "/models/a.b/infer/",
            "/models/a.b/infer/1",
            "/model/a.b",
        ] {
            assert_eq!(of(path), None, "{path}");
        }
    }
}
