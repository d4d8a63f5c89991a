//! Everything at once, at random, with contents checked: a program for `e2e/stress`, to be run under `libstormglass.so`.
//!
//! `stress SECONDS SEED`. Threads are born and end, some by a bare `exit` system call; each allocates in every way and at every
//! alignment, grows and shrinks, passes blocks to the others, frees those of others, and now and then forks a child that checks, frees
//! and allocates too. Every block has a pattern of its own, which is looked at whenever the block is touched. What is wrong is
//! said on standard error, and ends the process with status 1. Allocations may fail only where `STORMGLASS_LIMIT` is set.
//!
//! The seed decides what each thread does, not how the threads are interleaved.

use std::ffi::{c_int, c_long, c_void};
use std::io::Write as _;
use std::process::exit;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

unsafe extern "C" {
    fn malloc(size: usize) -> *mut u8;
    fn calloc(count: usize, size: usize) -> *mut u8;
    fn realloc(block: *mut u8, size: usize) -> *mut u8;
    fn posix_memalign(block: *mut *mut c_void, align: usize, size: usize) -> c_int;
    fn free(block: *mut u8);
    fn malloc_usable_size(block: *mut u8) -> usize;
    fn malloc_trim(pad: usize) -> c_int;
    fn fork() -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn _exit(status: c_int) -> !;
    fn syscall(number: c_long, ...) -> c_long;
}

#[cfg(target_arch = "x86_64")]
const SYS_EXIT: c_long = 60;
#[cfg(target_arch = "aarch64")]
const SYS_EXIT: c_long = 93;

/// Threads at a time.
const THREADS: usize = 6;
/// Bytes that all blocks have, at most.
const BUDGET: usize = 96 << 20;

static OPERATIONS: AtomicU64 = AtomicU64::new(0);
static BORN: AtomicU64 = AtomicU64::new(0);
static KILLED: AtomicU64 = AtomicU64::new(0);
static FORKS: AtomicU64 = AtomicU64::new(0);
static REFUSED: AtomicU64 = AtomicU64::new(0);
static LIVING: AtomicUsize = AtomicUsize::new(0);
static HELD: AtomicUsize = AtomicUsize::new(0);
/// Blocks on their way from one thread to another.
static PASSED: [Mutex<Option<Piece>>; 512] = [const { Mutex::new(None) }; 512];

/// xorshift64*.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 16) % end
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// Every magnitude alike; large ones seldom.
    fn size(&mut self) -> usize {
        let most = match self.below(1000) {
            0 => 26,
            1..20 => 22,
            20..100 => 17,
            _ => 13,
        };
        let magnitude = self.below(most);
        ((1_u64 << magnitude) + self.below(1 << magnitude) - self.below(2)) as usize
    }

    fn align(&mut self) -> usize {
        if self.one_in(8) { 1 << self.below(22) } else { 1 }
    }
}

/// A block, with what it must hold.
struct Piece {
    block: *mut u8,
    size: usize,
    align: usize,
    pattern: u8,
}

// SAFETY: the block belongs to whoever has the value.
unsafe impl Send for Piece {}

fn wrong(what: &str, piece: &Piece) -> ! {
    let text = format!("{what}: {:?}, {} bytes at {}\n", piece.block, piece.size, piece.align);
    let _ = std::io::stderr().write_all(text.as_bytes());
    exit(1);
}

impl Piece {
    fn new(dice: &mut Dice) -> Option<Piece> {
        let (size, align, pattern) = (dice.size(), dice.align(), dice.next() as u8);
        if HELD.load(Relaxed) + size > BUDGET {
            return None;
        }
        let zeroed = align == 1 && dice.one_in(4);
        // SAFETY: each may be called with any size.
        let block = unsafe {
            if align >= size_of::<usize>() {
                let mut block = core::ptr::null_mut();
                if posix_memalign(&raw mut block, align, size) == 0 {
                    block.cast()
                } else {
                    core::ptr::null_mut()
                }
            } else if zeroed {
                calloc(1, size)
            } else {
                malloc(size)
            }
        };
        let piece = Piece { block, size, align, pattern };
        if block.is_null() {
            refused(&piece);
            return None;
        }
        if !block.addr().is_multiple_of(align.max(16)) {
            wrong("not aligned", &piece);
        }
        // SAFETY: a live block.
        if unsafe { malloc_usable_size(block) } < size {
            wrong("too small", &piece);
        }
        if zeroed && piece.places().any(|at| piece.read(at) != 0) {
            wrong("not zero", &piece);
        }
        HELD.fetch_add(size, Relaxed);
        piece.write();
        Some(piece)
    }

    /// All bytes of a small block; of a larger one both ends, and some between, whose distance divides no page.
    fn places(&self) -> impl Iterator<Item = usize> + use<> {
        let step = if self.size <= 1024 { 1 } else { 509 };
        (0..self.size).step_by(step).chain(self.size.checked_sub(1))
    }

    fn read(&self, at: usize) -> u8 {
        // SAFETY: inside the block.
        unsafe { self.block.add(at).read() }
    }

    fn at(&self, at: usize) -> u8 {
        self.pattern.wrapping_add((at / 7) as u8)
    }

    fn write(&self) {
        // SAFETY: inside the block.
        self.places().for_each(|at| unsafe { self.block.add(at).write(self.at(at)) });
    }

    fn check(&self, upto: usize) {
        if self.places().take_while(|&at| at < upto).any(|at| self.read(at) != self.at(at)) {
            wrong("another wrote here", self);
        }
    }

    fn free(self) {
        self.check(self.size);
        HELD.fetch_sub(self.size, Relaxed);
        // SAFETY: a live block, gone with the value.
        unsafe { free(self.block) };
    }

    fn resize(mut self, dice: &mut Dice) -> Piece {
        self.check(self.size);
        let size = dice.size().max(1);
        if HELD.load(Relaxed) + size > BUDGET {
            return self;
        }
        // SAFETY: a live block; its old place is not used if this is not null.
        let block = unsafe { realloc(self.block, size) };
        if block.is_null() {
            refused(&self);
            self.check(self.size);
            return self;
        }
        HELD.fetch_add(size, Relaxed);
        HELD.fetch_sub(self.size, Relaxed);
        let common = self.size.min(size);
        self.block = block;
        // The old places, as far as both sizes go.
        let old = Piece { block, ..self };
        old.check(common);
        self.size = size;
        self.align = 1;
        self.write();
        self
    }
}

fn refused(piece: &Piece) {
    if std::env::var_os("STORMGLASS_LIMIT").is_none() {
        wrong("refused", piece);
    }
    REFUSED.fetch_add(1, Relaxed);
}

/// A turn of one thread; what it has is in `own`.
fn turn(dice: &mut Dice, own: &mut Vec<Piece>) {
    OPERATIONS.fetch_add(1, Relaxed);
    match dice.below(100) {
        0..45 => {
            if own.len() < 600
                && let Some(piece) = Piece::new(dice)
            {
                own.push(piece);
            }
        }
        45..80 if !own.is_empty() => {
            let which = dice.below(own.len() as u64) as usize;
            own.swap_remove(which).free();
        }
        80..90 if !own.is_empty() => {
            let which = dice.below(own.len() as u64) as usize;
            let piece = own.swap_remove(which).resize(dice);
            own.push(piece);
        }
        90..99 => {
            let place = &PASSED[dice.below(PASSED.len() as u64) as usize];
            let mut piece = own.pop();
            if let Ok(mut place) = place.lock() {
                core::mem::swap(&mut *place, &mut piece);
            }
            match piece {
                Some(piece) if dice.one_in(2) => own.push(piece),
                Some(piece) => piece.free(),
                None => {}
            }
        }
        // A phase ends: everything goes.
        99 if dice.one_in(20) => own.drain(..).for_each(Piece::free),
        99 if dice.one_in(50) => {
            // SAFETY: takes any number.
            unsafe { malloc_trim(0) };
        }
        // Far above any limit that is set.
        99 if dice.one_in(20) => {
            // SAFETY: takes any size; freed at once.
            unsafe {
                // The compiler knows what malloc is, and that this block is of no use.
                let block = core::hint::black_box(malloc(3 << 30));
                if block.is_null() {
                    REFUSED.fetch_add(1, Relaxed);
                }
                free(block);
            }
        }
        _ => {}
    }
}

/// The child of a process with many threads: it has this thread's blocks, and no other thread.
fn in_child(dice: &mut Dice, own: &mut Vec<Piece>) -> ! {
    for piece in own.iter() {
        piece.check(piece.size);
    }
    let mut more = Vec::with_capacity(600);
    for _ in 0..2000 {
        if dice.one_in(3)
            && let Some(piece) = more.pop()
        {
            Piece::free(piece);
        } else if more.len() < 600 {
            more.extend(Piece::new(dice));
        }
    }
    own.drain(..).chain(more).for_each(Piece::free);
    // SAFETY: ends the child, with nothing of the parent's done.
    unsafe { _exit(0) };
}

fn forks(dice: &mut Dice, own: &mut Vec<Piece>) {
    FORKS.fetch_add(1, Relaxed);
    // SAFETY: the child calls only what a child of many threads may, and the allocator, which says that it may.
    match unsafe { fork() } {
        0 => in_child(dice, own),
        pid if pid > 0 => {
            let mut status = 0;
            // SAFETY: a child of this thread, which nobody else waits for.
            if unsafe { waitpid(pid, &raw mut status, 0) } != pid || status != 0 {
                let _ = std::io::stderr().write_all(format!("a child ended with {status:#x}\n").as_bytes());
                exit(1);
            }
        }
        _ => {}
    }
}

fn life(seed: u64, end: Instant) {
    let mut dice = Dice::new(seed);
    let mut own = Vec::with_capacity(600);
    let turns = 100 << dice.below(9);
    for done in 0..turns {
        if done % 256 == 0 && Instant::now() > end {
            break;
        }
        turn(&mut dice, &mut own);
        if dice.one_in(20_000) {
            forks(&mut dice, &mut own);
        }
    }
    own.drain(..).for_each(Piece::free);
    drop(own);
    LIVING.fetch_sub(1, Relaxed);
    if dice.one_in(50) {
        KILLED.fetch_add(1, Relaxed);
        // SAFETY: ends this thread as a kernel would, with nothing on its stack that needs to be dropped. Nobody joins it.
        unsafe { syscall(SYS_EXIT, 0) };
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|word| word.parse::<u64>());
    let (Some(Ok(seconds)), Some(Ok(seed))) = (arguments.next(), arguments.next()) else {
        eprintln!("stress SECONDS SEED");
        exit(2);
    };
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut dice = Dice::new(seed);
    while Instant::now() < end {
        if LIVING.load(Relaxed) >= THREADS {
            thread::sleep(Duration::from_micros(200));
            continue;
        }
        LIVING.fetch_add(1, Relaxed);
        BORN.fetch_add(1, Relaxed);
        let seed = dice.next();
        if thread::Builder::new().stack_size(256 << 10).spawn(move || life(seed, end)).is_err() {
            LIVING.fetch_sub(1, Relaxed);
        }
    }
    while LIVING.load(Relaxed) > 0 {
        thread::sleep(Duration::from_millis(1));
    }
    for place in &PASSED {
        if let Some(piece) = place.lock().ok().and_then(|mut place| place.take()) {
            piece.free();
        }
    }
    println!(
        "operations {} threads {} killed {} forks {} refused {}",
        OPERATIONS.load(Relaxed),
        BORN.load(Relaxed),
        KILLED.load(Relaxed),
        FORKS.load(Relaxed),
        REFUSED.load(Relaxed)
    );
}
