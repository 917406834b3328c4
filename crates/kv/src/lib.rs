//! Riak's semantics as pure functions and machines: objects, buckets, get, put, delete
