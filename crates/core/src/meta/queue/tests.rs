use super::*;
use crate::packet::ETHERNET_HEADER;

fn at(ms: u64) -> Instant {
    Instant::from_micros(1_000 * ms)
}

fn push(queue: &mut Queue, ms: u64, flow: u64, number: u8, len: usize) {
    queue.push(at(ms), flow, Form::Frame, [&[number], &vec![0; len - 1]], MOST);
}

/// The numbers of the packets that are there at a time.
fn numbers(queue: &mut Queue, ms: u64) -> Vec<u8> {
    let mut packet = Vec::new();
    std::iter::from_fn(|| queue.pop(at(ms), &mut packet).map(|_| packet[0])).collect()
}

#[test]
fn what_is_too_old_gives_way_to_what_is_new() {
    let mut queue = Queue::default();
    (0..4).for_each(|number| push(&mut queue, 20 * u64::from(number), 7, number, 1000));

    assert_eq!(numbers(&mut queue, 80), [2, 3]);
    assert_eq!(queue.take_dropped(), Dropped { late: 2, full: 0 });
    assert_eq!((queue.waiting(), queue.is_empty()), (0, true));
}

#[test]
fn the_newest_of_a_flow_is_never_too_old() {
    let mut queue = Queue::default();
    (0..3).for_each(|number| push(&mut queue, 0, 7, number, 1000));
    push(&mut queue, 0, 8, 9, 100);

    assert_eq!(numbers(&mut queue, 5000), [2, 9]);
    assert_eq!(queue.take_dropped().late, 2);
}

#[test]
fn no_flow_waits_behind_another_one() {
    let mut queue = Queue::default();
    (0..40).for_each(|number| push(&mut queue, 0, 7, number, 1500));
    push(&mut queue, 1, 8, 99, 100);
    let order = numbers(&mut queue, 2);
    assert!(order.iter().position(|&number| number == 99) <= Some(1), "{order:?}");

    (0..10).for_each(|number| push(&mut queue, 3, 7, number, 1500));
    (50..200).for_each(|number| push(&mut queue, 3, 8, number, 100));
    let order = numbers(&mut queue, 4);
    let large = order[..75].iter().filter(|&&number| number < 50).count();
    assert!((4..=6).contains(&large), "flows share by bytes, not by packets: {large} of 10 among the first half");
}

#[test]
fn where_too_much_waits_the_oldest_of_the_greediest_goes() {
    let mut queue = Queue::default();
    queue.push(at(0), 8, Form::Raw, [b"ids", b"sealed"], 5000);
    for number in 0..10 {
        queue.push(at(1), 7, Form::Frame, [&[number], &[0; 999]], 5000);
    }
    assert_eq!(queue.waiting(), 4009);
    assert_eq!(queue.take_dropped(), Dropped { late: 0, full: 6 });

    let mut packet = Vec::new();
    assert_eq!((queue.pop(at(1), &mut packet), &packet[..]), (Some(Form::Raw), &b"idssealed"[..]));
    assert_eq!(numbers(&mut queue, 1), [6, 7, 8, 9]);

    push(&mut queue, 2, 7, 1, 100);
    queue.push(at(2), 7, Form::Frame, [&[2], &[]], 0);
    assert_eq!(numbers(&mut queue, 2), [2], "one may always wait");
}

#[test]
fn an_idle_queue_keeps_nothing() {
    let mut queue = Queue::default();
    push(&mut queue, 0, 7, 1, 1000);
    queue.release();
    assert_eq!(numbers(&mut queue, 0), [1], "what waits stays");
    queue.release();
    assert_eq!(queue.lanes.capacity(), 0);
}

#[test]
fn flows_are_told_by_protocol_addresses_and_ports() {
    let frame = |protocol: u8, fragment: u16, host: u8, port: u8| {
        let mut frame = [0; ETHERNET_HEADER + 40];
        frame[12..14].copy_from_slice(&[8, 0]);
        frame[14] = 0x45;
        frame[20..22].copy_from_slice(&fragment.to_be_bytes());
        frame[23] = protocol;
        frame[33] = host;
        frame[35] = port;
        frame[50] = port;
        flow_of(&frame[..ETHERNET_HEADER], &frame[ETHERNET_HEADER..])
    };
    let stream = frame(6, 0x4000, 1, 1);
    assert_eq!(stream, frame(6, 0, 1, 1));
    for other in [frame(17, 0, 1, 1), frame(6, 0, 2, 1), frame(6, 0, 1, 2)] {
        assert_ne!(stream, other);
    }
    assert_eq!(frame(17, 0x2000, 1, 1), frame(17, 5, 1, 2), "pieces of packets");
    assert_eq!(frame(1, 0, 1, 1), frame(1, 0, 1, 2), "ICMP has no ports");

    let six = |next: u8, port: u8| {
        let mut frame = [0; ETHERNET_HEADER + 60];
        frame[12..14].copy_from_slice(&[0x86, 0xdd]);
        frame[20] = next;
        frame[ETHERNET_HEADER + 41] = port;
        flow_of(&frame[..ETHERNET_HEADER], &frame[ETHERNET_HEADER..])
    };
    assert_ne!(six(6, 1), six(6, 2));
    assert_eq!(six(58, 1), six(58, 2));
    for len in 0..60 {
        flow_of(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0], &vec![0x45; len]);
        flow_of(&[0; 14], &vec![0x45; len]);
    }
}
