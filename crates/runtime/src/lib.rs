//! Hosts any machine: threads, timers, sockets, the log thread
