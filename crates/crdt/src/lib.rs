//! Version vectors, dots and causal contexts
