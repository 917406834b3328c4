//! The faces of a node: Protocol Buffers and HTTP
