//! Riak's Protocol Buffers messages and framing
