use std::io::Write;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Instant;

use super::*;

const LONG: Option<Duration> = Some(Duration::from_secs(5));
const NOW: Option<Duration> = Some(Duration::ZERO);

fn wait(poller: &mut Poller, timeout: Option<Duration>) -> Vec<Event> {
    let mut events = Vec::new();
    poller.wait(timeout, &mut events).unwrap();
    events
}

#[test]
fn nothing_ready_means_no_event_when_the_time_is_over() {
    let mut poller = Poller::new().unwrap();
    let waker = Waker::new().unwrap();
    poller.add(&waker, 1, Interest::READ).unwrap();
    let mut events = vec![Event { token: 0, readable: true, writable: true, hangup: true }];

    let start = Instant::now();
    poller.wait(Some(Duration::from_micros(2_500)), &mut events).unwrap();

    assert!(events.is_empty());
    assert!(start.elapsed() >= Duration::from_micros(2_500));
}

#[test]
fn a_waker_ends_a_wait_of_another_thread_until_it_is_drained() {
    let mut poller = Poller::new().unwrap();
    let waker = Waker::new().unwrap();
    poller.add(&waker, 7, Interest::READ).unwrap();

    let remote = waker.clone();
    let thread = thread::spawn(move || remote.wake());
    let expected = Event { token: 7, readable: true, writable: false, hangup: false };
    assert_eq!(wait(&mut poller, None), [expected]);
    thread.join().unwrap();
    assert_eq!(wait(&mut poller, NOW), [expected], "level-triggered");

    waker.wake();
    assert!(waker.drain());
    assert!(!waker.drain());
    assert_eq!(wait(&mut poller, NOW), []);
}

#[test]
fn interest_decides_what_is_told() {
    let mut poller = Poller::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(b"x").unwrap();

    let mut told = Vec::new();
    poller.add(&ours, 3, Interest::NONE).unwrap();
    for interest in [Interest::NONE, Interest::READ, Interest::WRITE, Interest::BOTH] {
        poller.modify(&ours, 3, interest).unwrap();
        told.push(wait(&mut poller, NOW).first().map(|event| (event.readable, event.writable)));
    }

    assert_eq!(told, [None, Some((true, false)), Some((false, true)), Some((true, true))]);
}

#[test]
fn end_of_file_is_readable_and_a_closed_peer_is_a_hangup() {
    let mut poller = Poller::new().unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    poller.add(&ours, 3, Interest::READ).unwrap();

    theirs.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(wait(&mut poller, LONG), [Event { token: 3, readable: true, writable: false, hangup: false }]);

    drop(theirs);
    poller.modify(&ours, 3, Interest::NONE).unwrap();
    assert_eq!(wait(&mut poller, LONG), [Event { token: 3, readable: true, writable: true, hangup: true }]);
}

#[test]
fn a_removed_descriptor_is_silent_and_cannot_be_removed_again() {
    let mut poller = Poller::new().unwrap();
    let waker = Waker::new().unwrap();
    poller.add(&waker, 1, Interest::READ).unwrap();
    waker.wake();

    poller.remove(&waker).unwrap();

    assert_eq!(wait(&mut poller, NOW), []);
    assert_eq!(poller.remove(&waker).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn more_ready_descriptors_than_fit_are_told_by_and_by() {
    let mut poller = Poller::new().unwrap();
    let wakers: Vec<_> = (0..EVENTS + 10).map(|_| Waker::new().unwrap()).collect();
    for (waker, token) in wakers.iter().zip(0..) {
        poller.add(waker, token, Interest::READ).unwrap();
        waker.wake();
    }

    let mut told = std::collections::BTreeSet::new();
    while told.len() < wakers.len() {
        let events = wait(&mut poller, NOW);
        assert!(!events.is_empty());
        for event in events {
            assert!(told.insert(event.token));
            wakers[usize::try_from(event.token).unwrap()].drain();
        }
    }
}
