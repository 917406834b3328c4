//! Dynamo abstracted: ring, rows, membership, liveness, vnodes
