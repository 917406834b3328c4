//! What the shards call a request, shown in the answer's head: who has it can follow the request through the logs of all
//! nodes.

use std::cell::Cell;
use std::future::Future;

use hyper::Response;
use hyper::header::{HeaderName, HeaderValue};
use ombak_base::RequestId;

use super::body::Body;

const HEADER: HeaderName = HeaderName::from_static("x-ombak-request-id");

tokio::task_local! {
    /// Of the request that the task serves; 0 while it has not been named.
    static NAME: Cell<RequestId>;
}

/// The request that is being served has this id. One that asks several times, as a walk does, is called by the last.
pub(crate) fn note(request: RequestId) {
    if request != RequestId::default() {
        // Outside of a request there is nobody to tell.
        let _ = NAME.try_with(|name| name.set(request));
    }
}

/// Serves a request, and says in its answer what it was called.
pub(crate) async fn showing(serve: impl Future<Output = Response<Body>>) -> Response<Body> {
    let served = async {
        let response = serve.await;
        (response, NAME.with(Cell::get))
    };
    let (mut response, name) = NAME.scope(Cell::default(), served).await;
    if name != RequestId::default()
        && let Ok(value) = HeaderValue::from_str(&name.to_string())
    {
        response.headers_mut().insert(HEADER, value);
    }
    response
}
