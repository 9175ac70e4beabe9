//! UDP sockets that the node opens while it runs, and how the workers learn of them.
//!
//! The control thread opens and closes them. It publishes a new table each time and wakes the worker; so packets need no
//! lock to find a socket.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tinmesh_os::poll::Waker;
use tinmesh_os::udp::{UdpOptions, UdpSocket};

/// Sockets by index.
pub type Table = BTreeMap<u16, Arc<UdpSocket>>;

/// The extra sockets.
#[derive(Debug)]
pub struct ExtraSockets {
    table: ArcSwap<Table>,
    options: UdpOptions,
    /// Addresses of the sockets that are there from the start.
    listening: Vec<SocketAddr>,
    worker: Waker,
}

impl ExtraSockets {
    /// None yet. They will have these options, and addresses of those that listen.
    ///
    /// # Errors
    /// If the system has no more descriptors.
    pub fn new(options: UdpOptions, listening: Vec<SocketAddr>) -> io::Result<Self> {
        Ok(Self { table: ArcSwap::default(), options, listening, worker: Waker::new()? })
    }

    /// What wakes the worker, also when there is another table.
    pub const fn worker(&self) -> &Waker {
        &self.worker
    }

    /// The table of now.
    pub fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// A socket of the table.
    pub fn get(&self, socket: u16) -> Option<Arc<UdpSocket>> {
        self.table.load().get(&socket).cloned()
    }

    /// Opens a socket at the address of number `beside`, on any free port, and gives that.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(&self, socket: u16, beside: u16) -> io::Result<u16> {
        let address = self.listening.get(usize::from(beside)).ok_or(io::ErrorKind::NotFound)?;
        let opened = UdpSocket::bind(SocketAddr::new(address.ip(), 0), &self.options)?;
        let port = opened.local_addr()?.port();
        self.change(|table| {
            table.insert(socket, Arc::new(opened));
        });
        Ok(port)
    }

    /// Closes a socket, as soon as the worker has left it alone.
    pub fn close(&self, socket: u16) {
        self.change(|table| {
            table.remove(&socket);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Table)) {
        let mut table = Table::clone(&self.table.load());
        change(&mut table);
        self.table.store(Arc::new(table));
        self.worker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_share_the_address_and_have_ports_of_their_own() {
        let own = "127.0.0.1:655".parse().unwrap();
        let extra = ExtraSockets::new(UdpOptions::default(), vec![own]).unwrap();
        extra.open(1, 0).unwrap();
        extra.open(2, 0).unwrap();
        let [one, two] = [1, 2].map(|index| extra.get(index).unwrap().local_addr().unwrap());
        assert!(one.ip() == own.ip() && one != two && one.port() != 0);
        extra.close(1);
        assert!(extra.get(1).is_none() && extra.table().len() == 1);
        assert!(extra.open(3, 7).is_err());
    }
}
