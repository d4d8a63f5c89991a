//! A program whose global allocator is the general one: the standard library, the test harness and threads live on it.
#![cfg(not(loom))]

use std::collections::{BTreeMap, HashMap};
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use stormglass_allocator::general::{self, Stormglass};

#[global_allocator]
static ALLOCATOR: Stormglass = Stormglass;

#[test]
fn collections_hold_what_was_put_in() {
    let mut words: HashMap<String, Vec<usize>> = HashMap::new();
    let mut sorted = BTreeMap::new();
    for i in 0..50_000 {
        words.entry(format!("word {}", i % 997)).or_default().push(i);
        sorted.insert(i * 7 % 50_000, i.to_string());
    }
    assert_eq!(words.len(), 997);
    assert!(
        words
            .iter()
            .all(|(word, places)| { places.iter().all(|place| *word == format!("word {}", place % 997)) })
    );
    assert!(sorted.iter().all(|(key, value)| value.parse::<usize>().expect("a number") * 7 % 50_000 == *key));
    let text = String::from("ours");
    assert!(general::is_ours(text.as_ptr()));
}

#[test]
fn what_one_thread_sends_another_drops() {
    let (send, receive) = mpsc::channel::<(usize, Vec<u8>)>();
    let receive = Arc::new(Mutex::new(receive));
    let receivers: Vec<_> = (0..3)
        .map(|_| {
            let receive = Arc::clone(&receive);
            thread::spawn(move || {
                let mut sum = 0;
                loop {
                    let Ok((size, bytes)) = receive.lock().expect("no panic").recv() else { return sum };
                    assert!(bytes.len() == size && bytes.iter().all(|&byte| byte == size as u8));
                    sum += 1;
                }
            })
        })
        .collect();
    for i in 0..20_000 {
        let size = i * 37 % 9000;
        send.send((size, vec![size as u8; size])).expect("they listen");
    }
    drop(send);
    let sum: usize = receivers.into_iter().map(|thread| thread.join().expect("no panic")).sum();
    assert_eq!(sum, 20_000);
}

#[test]
fn programs_are_started_from_many_threads() {
    let threads: Vec<_> = (0..4)
        .map(|i| {
            thread::spawn(move || {
                for _ in 0..5 {
                    let output = Command::new("echo").arg(i.to_string()).output().expect("echo");
                    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), i.to_string());
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic");
    }
}

#[test]
fn vectors_that_grow_keep_their_contents() {
    let mut vectors: Vec<Vec<u32>> = vec![Vec::new(); 17];
    for i in 0..400_000_u32 {
        vectors[i as usize % 17].push(i);
    }
    for (first, vector) in vectors.iter_mut().enumerate() {
        assert!(vector.iter().enumerate().all(|(n, &value)| value == (n * 17 + first) as u32));
        vector.truncate(100);
        vector.shrink_to_fit();
        assert!(vector.iter().enumerate().all(|(n, &value)| value == (n * 17 + first) as u32));
    }
}
