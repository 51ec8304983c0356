//! Listening on both IPv6 and IPv4.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Context;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tracing::info;

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 1_024;

/// Listens on `addr`. `[::]` takes IPv4 as well, whatever the node's default is, and is `0.0.0.0` where the kernel has
/// no IPv6.
pub fn listen(addr: SocketAddr) -> anyhow::Result<TcpListener> {
    listen_by(bind, addr)
}

fn listen_by(bind: impl Fn(SocketAddr) -> io::Result<TcpListener>, addr: SocketAddr) -> anyhow::Result<TcpListener> {
    let bound = match bind(addr) {
        Err(err) if addr.is_ipv6() && addr.ip().is_unspecified() && lacks_ipv6(&err) => {
            info!("no IPv6 here ({err}): listening for IPv4 alone");
            bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), addr.port()))
        }
        bound => bound,
    };
    bound.with_context(|| format!("listening on {addr}"))
}

fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        // The default is the sysctl net.ipv6.bindv6only.
        socket.set_only_v6(false)?;
    }
    // So that a restarted program gets its port at once, as with tokio's own bind.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// The errors of a kernel without IPv6, which lacks the address family, and of one in which it is turned off, which may lack
/// the address.
fn lacks_ipv6(err: &io::Error) -> bool {
    err.kind() == io::ErrorKind::AddrNotAvailable || err.raw_os_error() == Some(EAFNOSUPPORT)
}

const EAFNOSUPPORT: i32 = 97;

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use socket2::SockRef;
    use tokio::net::TcpStream;

    use super::*;

    const ANY: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);

    #[tokio::test]
    async fn the_default_address_takes_ipv4_and_ipv6() {
        let default = crate::Config::default().admin_addr;
        assert_eq!(default, SocketAddr::new(ANY.ip(), 8080));
        let listener = listen(SocketAddr::new(default.ip(), 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            // A machine whose kernel has no IPv6 can only be asked by IPv4.
            if ip.is_ipv4() || listener.local_addr().unwrap().is_ipv6() {
                TcpStream::connect((ip, port)).await.unwrap_or_else(|err| panic!("{ip}: {err}"));
            }
        }
        if listener.local_addr().unwrap().is_ipv6() {
            assert!(!SockRef::from(&listener).only_v6().unwrap());
        }
    }

    #[tokio::test]
    async fn a_kernel_without_ipv6_is_listened_on_by_ipv4() {
        for code in [EAFNOSUPPORT, 99] {
            let without = |addr: SocketAddr| {
                if addr.is_ipv6() { Err(io::Error::from_raw_os_error(code)) } else { bind(addr) }
            };
            let listener = listen_by(without, ANY).unwrap();
            assert_eq!(listener.local_addr().unwrap().ip(), IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        }
    }

    #[tokio::test]
    async fn a_port_in_use_and_an_address_of_another_host_are_errors() {
        let taken = listen(ANY).unwrap().local_addr().unwrap();
        let _holder = listen(taken).unwrap();
        assert!(format!("{:#}", listen(taken).unwrap_err()).contains("listening on [::]:"));
        assert!(listen("[2001:db8::1]:0".parse().unwrap()).is_err());
    }
}
