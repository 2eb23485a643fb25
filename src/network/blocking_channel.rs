//! A blocking connection to one broker: one request, then its response. Java: `kafka.network.BlockingChannel`.
//!
//! Differs from Java: the channel tries all addresses of a host, writes have the same timeout as
//! reads, and memory for a frame grows as its bytes arrive.

use std::fmt;
use std::io::{self, BufWriter, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::network_receive::FrameReader;
use crate::protocol::MessageBytes;
use crate::utils::log;

/// The largest response. The channel allocates memory as the bytes arrive.
const RECEIVE_LIMIT: usize = 100 * 1024 * 1024;
const CHUNK: usize = 16 * 1024;

/// A connection. Tests replace it.
pub(crate) trait Channel: Send + fmt::Debug {
    /// Returns whether the connection is open, as far as this side knows.
    fn is_connected(&self) -> bool;

    /// Connects, if it is not connected.
    fn connect(&mut self) -> io::Result<()>;

    /// Writes a message with its size in front.
    fn send(&mut self, message: &MessageBytes) -> io::Result<()>;

    /// Reads one frame, without its size.
    fn receive(&mut self) -> io::Result<Vec<u8>>;

    /// Closes the connection. Errors are ignored.
    fn disconnect(&mut self);
}

/// Opens channels.
pub(crate) trait Channels: Send + Sync + fmt::Debug {
    fn channel(&self, options: ChannelOptions) -> Box<dyn Channel>;
}

/// The settings of a connection.
#[derive(Clone, Debug)]
pub(crate) struct ChannelOptions {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// `None` leaves the size to the operating system.
    pub(crate) send_buffer: Option<usize>,
    /// How long a read or a write waits for the peer. Java: `SO_TIMEOUT`.
    pub(crate) timeout: Duration,
}

/// Opens [`BlockingChannel`]s.
#[derive(Debug)]
pub(crate) struct BlockingChannels;

impl Channels for BlockingChannels {
    fn channel(&self, options: ChannelOptions) -> Box<dyn Channel> {
        Box::new(BlockingChannel {
            options,
            stream: None,
        })
    }
}

/// A TCP connection that the first request opens.
#[derive(Debug)]
struct BlockingChannel {
    options: ChannelOptions,
    stream: Option<TcpStream>,
}

impl BlockingChannel {
    fn connect_to(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if let Some(size) = self.options.send_buffer {
            socket.set_send_buffer_size(size)?;
        }
        socket.set_keepalive(true)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_read_timeout(Some(self.options.timeout))?;
        socket.set_write_timeout(Some(self.options.timeout))?;
        socket.connect(&address.into())?;
        Ok(socket.into())
    }

    fn log_options(&self, stream: &TcpStream) {
        let socket = SockRef::from(stream);
        log::debug!(
            "created a socket with a timeout of {:?} (requested {:?}), a send buffer of {:?} bytes (requested {:?}) and a \
             receive buffer of {:?} bytes",
            stream.read_timeout().ok().flatten(),
            self.options.timeout,
            socket.send_buffer_size().ok(),
            self.options.send_buffer,
            socket.recv_buffer_size().ok(),
        );
    }

    fn stream(&self) -> io::Result<&TcpStream> {
        self.stream
            .as_ref()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "the channel is closed"))
    }
}

impl Channel for BlockingChannel {
    fn is_connected(&self) -> bool {
        self.stream.is_some()
    }

    fn connect(&mut self) -> io::Result<()> {
        if self.is_connected() {
            return Ok(());
        }
        let (host, port) = (self.options.host.as_str(), self.options.port);
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in (host, port).to_socket_addrs()? {
            match self.connect_to(address) {
                Ok(stream) => {
                    self.log_options(&stream);
                    self.stream = Some(stream);
                    return Ok(());
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn send(&mut self, message: &MessageBytes) -> io::Result<()> {
        let size = i32::try_from(message.len()).map_err(|_| {
            let text = format!("a message of {} bytes fits no frame", message.len());
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })?;
        // Gathers small slices into one write. Plain writes and no vectored ones: those of std can
        // raise SIGPIPE.
        let mut writer = BufWriter::new(self.stream()?);
        writer.write_all(&size.to_be_bytes())?;
        for slice in message.slices() {
            writer.write_all(slice)?;
        }
        writer.flush()
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut stream = self.stream()?;
        let mut frames = FrameReader::new(RECEIVE_LIMIT);
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = match stream.read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let mut input = chunk.get(..count).unwrap_or_default();
            let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
            let frame = frames
                .advance(&mut input)
                .map_err(|error| invalid(error.to_string()))?;
            match frame {
                Some(frame) if input.is_empty() => return Ok(frame),
                Some(_) => {
                    return Err(invalid("the broker sent more than one response".to_owned()));
                }
                None => {}
            }
        }
    }

    fn disconnect(&mut self) {
        self.stream = None;
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn channel(port: u16, timeout: Duration) -> Box<dyn Channel> {
        BlockingChannels.channel(ChannelOptions {
            host: "127.0.0.1".to_owned(),
            port,
            send_buffer: Some(100 * 1024),
            timeout,
        })
    }

    /// Runs `peer` on the other end of a channel.
    fn with_peer(
        timeout: Duration,
        peer: impl FnOnce(TcpStream) + Send,
        test: impl FnOnce(Box<dyn Channel>),
    ) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::scope(|scope| {
            scope.spawn(|| peer(listener.accept().unwrap().0));
            let mut channel = channel(port, timeout);
            channel.connect().unwrap();
            test(channel);
        });
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_request_and_its_response_are_framed() {
        let peer = |mut stream: TcpStream| {
            let mut request = [0; 7];
            stream.read_exact(&mut request).unwrap();
            assert_eq!(request, *b"\0\0\0\x03abc");
            // The response arrives in two parts.
            stream.write_all(b"\0\0\0\x02x").unwrap();
            stream.write_all(b"y").unwrap();
        };
        with_peer(LONG, peer, |mut channel| {
            assert!(channel.is_connected());
            channel.send(&MessageBytes::from(b"abc".to_vec())).unwrap();
            assert_eq!(channel.receive().unwrap(), b"xy");
            assert_eq!(
                channel.receive().unwrap_err().kind(),
                io::ErrorKind::UnexpectedEof
            );
            channel.disconnect();
            assert!(!channel.is_connected());
            let error = channel
                .send(&MessageBytes::from(b"abc".to_vec()))
                .unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotConnected);
        });
    }

    #[test]
    fn a_silent_peer_is_a_timeout() {
        let (end, ended) = std::sync::mpsc::channel::<()>();
        // Holds the connection until the test ends.
        let peer = move |_stream: TcpStream| assert!(ended.recv().is_err());
        with_peer(Duration::from_millis(10), peer, |mut channel| {
            let kind = channel.receive().unwrap_err().kind();
            assert!(
                matches!(kind, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
                "{kind}"
            );
            drop(end);
        });
    }

    #[test]
    fn two_responses_to_one_request_are_refused() {
        let peer = |mut stream: TcpStream| stream.write_all(b"\0\0\0\x01x\0\0\0\x01x").unwrap();
        with_peer(LONG, peer, |mut channel| {
            // The first send may still succeed; then the second one fails.
            let error = channel.receive().err().or_else(|| {
                assert_eq!(channel.receive().unwrap(), b"x");
                channel.receive().err()
            });
            assert!(error.is_some());
        });
    }

    #[test]
    fn a_refused_connection_is_an_error_and_leaves_no_socket() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let mut channel = channel(port, LONG);
        assert!(channel.connect().is_err());
        assert!(!channel.is_connected());
    }
}
