//! What any bytes at all must satisfy where clients and the data directory are read.
//!
//! The fuzz targets in `fuzz/` and this crate's property tests call the same functions. They panic where a promise is
//! broken. Each stands beside what it tries.

pub use crate::directory::fuzz::node_toml;
pub use crate::http::fuzz::{http_headers, http_links, http_path, http_props, http_query};
pub use crate::pb::fuzz::pb_stream;
