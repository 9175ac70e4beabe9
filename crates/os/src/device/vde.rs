//! A port of a VDE switch, by way of libvdeplug (spec: routing 2.4). The library is loaded when it is needed: few
//! machines have it. Declarations: its manual page, libvdeplug(3).

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Mutex;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

const LIBRARY: &CStr = c"libvdeplug.so.2";
/// What the header's macro `vde_open` passes.
const INTERFACE_VERSION: c_int = 1;
/// Frames have at least a header; what is shorter is the switch's own.
const MIN_FRAME: usize = 14;
/// Rights of the socket that the library makes.
const MODE: libc::mode_t = 0o700;

/// `struct vde_open_args`.
#[repr(C)]
struct OpenArgs {
    port: c_int,
    group: *mut c_char,
    mode: libc::mode_t,
}

type Connection = *mut c_void;
type Open = unsafe extern "C" fn(*mut c_char, *mut c_char, c_int, *mut OpenArgs) -> Connection;
type Exchange = unsafe extern "C" fn(Connection, *mut c_void, usize, c_int) -> isize;
type Number = unsafe extern "C" fn(Connection) -> c_int;

/// The functions of the library, which stays loaded.
#[derive(Clone, Copy, Debug)]
struct Library {
    open: Open,
    recv: Exchange,
    send: Exchange,
    data_fd: Number,
    control_fd: Number,
    close: Number,
}

impl Library {
    fn load() -> io::Result<Self> {
        // SAFETY: the name is a C string; loading runs the library's initialisers, which have no demands.
        let library = unsafe { libc::dlopen(LIBRARY.as_ptr(), libc::RTLD_NOW) };
        if library.is_null() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "libvdeplug.so.2 is missing: install libvdeplug2"));
        }
        let find = |name: &CStr| {
            // SAFETY: the library is loaded, and the name is a C string.
            let found = unsafe { libc::dlsym(library, name.as_ptr()) };
            if found.is_null() {
                let message =
                    format!("libvdeplug.so.2 has no function {}: install libvdeplug2", name.to_string_lossy());
                return Err(io::Error::new(io::ErrorKind::Unsupported, message));
            }
            Ok(found)
        };
        // SAFETY: each function has the type that the manual page gives it.
        unsafe {
            Ok(Self {
                open: std::mem::transmute::<*mut c_void, Open>(find(c"vde_open_real")?),
                recv: std::mem::transmute::<*mut c_void, Exchange>(find(c"vde_recv")?),
                send: std::mem::transmute::<*mut c_void, Exchange>(find(c"vde_send")?),
                data_fd: std::mem::transmute::<*mut c_void, Number>(find(c"vde_datafd")?),
                control_fd: std::mem::transmute::<*mut c_void, Number>(find(c"vde_ctlfd")?),
                close: std::mem::transmute::<*mut c_void, Number>(find(c"vde_close")?),
            })
        }
    }
}

/// Which port of which switch.
#[derive(Clone, Debug)]
pub struct VdeOptions {
    /// How the switch is to call us.
    pub description: String,
    /// The port; 0: any.
    pub port: i32,
    /// The group of the socket.
    pub group: Option<String>,
}

/// A plug in a switch.
#[derive(Debug)]
pub(super) struct Vde {
    library: Library,
    connection: Connection,
    /// Readable if there is a frame, or the switch has gone.
    any: OwnedFd,
    control: Option<RawFd>,
    /// The manual page does not say that two threads may write at once.
    writer: Mutex<()>,
}

// SAFETY: the connection belongs to no thread. Only one thread reads, and `writer` keeps writers apart; the manual page
// gives the descriptor for both to be waited for, so reading and writing are independent of each other.
unsafe impl Send for Vde {}
// SAFETY: as above.
unsafe impl Sync for Vde {}

impl Vde {
    /// Connects to the switch at `path`.
    pub(super) fn plug(path: &Path, options: &VdeOptions) -> io::Result<Self> {
        let library = Library::load()?;
        let path = CString::new(path.as_os_str().as_bytes())?;
        let description = CString::new(options.description.as_str())?;
        let group = options.group.as_deref().map(CString::new).transpose()?;
        let group = group.as_ref().map_or(std::ptr::null_mut(), |group| group.as_ptr().cast_mut());
        let mut args = OpenArgs { port: options.port, group, mode: MODE };
        // SAFETY: all strings are C strings that live through the call, which does not change them.
        let connection = unsafe {
            let (path, description) = (path.as_ptr().cast_mut(), description.as_ptr().cast_mut());
            (library.open)(path, description, INTERFACE_VERSION, &raw mut args)
        };
        if connection.is_null() {
            return Err(io::Error::last_os_error());
        }
        let any = epoll::create(CreateFlags::CLOEXEC)?;
        let mut plug = Self { library, connection, any, control: None, writer: Mutex::new(()) };
        plug.watch()?;
        Ok(plug)
    }

    fn watch(&mut self) -> io::Result<()> {
        // SAFETY: the connection is open.
        let (data, control) =
            unsafe { ((self.library.data_fd)(self.connection), (self.library.control_fd)(self.connection)) };
        if data < 0 {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "this kind of VDE network cannot be waited for"));
        }
        // SAFETY: the library keeps it open as long as the connection.
        let data = unsafe { BorrowedFd::borrow_raw(data) };
        rustix::io::ioctl_fionbio(data, true)?;
        epoll::add(&self.any, data, EventData::new_u64(0), EventFlags::IN)?;
        if control >= 0 {
            // SAFETY: the library keeps it open as long as the connection.
            let borrowed = unsafe { BorrowedFd::borrow_raw(control) };
            epoll::add(&self.any, borrowed, EventData::new_u64(0), EventFlags::IN)?;
            self.control = Some(control);
        }
        Ok(())
    }

    /// Reads a frame; `None` if it is too short for one. `UnexpectedEof` once the switch has gone.
    pub(super) fn recv(&self, space: &mut [u8]) -> io::Result<Option<usize>> {
        // SAFETY: the connection is open, and the length is that of `space`.
        let len = unsafe { (self.library.recv)(self.connection, space.as_mut_ptr().cast(), space.len(), 0) };
        match usize::try_from(len) {
            Ok(len) => Ok((len >= MIN_FRAME).then_some(len.min(space.len()))),
            Err(_) => Err(self.silence(io::Error::last_os_error())),
        }
    }

    /// Why there is no frame.
    fn silence(&self, error: io::Error) -> io::Error {
        if error.kind() == io::ErrorKind::WouldBlock && self.is_gone() {
            return io::Error::new(io::ErrorKind::UnexpectedEof, "the VDE switch has gone");
        }
        error
    }

    fn is_gone(&self) -> bool {
        let Some(control) = self.control else { return false };
        // SAFETY: the library keeps it open as long as the connection.
        let control = unsafe { BorrowedFd::borrow_raw(control) };
        let mut space = [0; 64];
        match rustix::net::recv(control, &mut space, rustix::net::RecvFlags::DONTWAIT) {
            Ok((count, _)) => count == 0,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => false,
            Err(_) => true,
        }
    }

    /// Writes a frame.
    pub(super) fn send(&self, frame: &[u8]) -> io::Result<()> {
        let _turn = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // SAFETY: the connection is open; the library only reads the frame, whose length this is.
        let sent = unsafe { (self.library.send)(self.connection, frame.as_ptr().cast_mut().cast(), frame.len(), 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl Drop for Vde {
    fn drop(&mut self) {
        // SAFETY: the connection is open, and nobody uses it any more.
        unsafe { (self.library.close)(self.connection) };
    }
}

impl AsFd for Vde {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.any.as_fd()
    }
}
