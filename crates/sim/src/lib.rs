//! Runs state machines from one seed: virtual time, faulty network, faulty disk
