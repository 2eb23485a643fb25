//! Drives the broker over raw sockets.
