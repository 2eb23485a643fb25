//! Over sockets of the loopback interface.
