//! Events of real processes, by the kernel's own counts: software events, which every machine has, and every state that this machine can
//! be brought into.
//!
//! The processes are this test binary again, told by an environment variable what to play.
#![cfg(not(loom))]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::mm::{MapFlags, ProtFlags};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use stormglass_telemetry::perf::{Attachment, Circumstances, Event, Kernel, Plan, Standing, State, Tally};

const ROLE: &str = "STORMGLASS_TEST_PERF";
/// Pages that a role touches at a time.
const PAGES: usize = 10;
/// Threads that a role starts, one after the other or some at a time, each of which touches so many pages.
const SHORT_THREADS: usize = 1000;

/// A process that works when it is told to, and waits in between.
struct Worker {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    fn start() -> Worker {
        let mut child = role("worker").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a child");
        let orders = child.stdin.take().expect("piped");
        let answers = BufReader::new(child.stdout.take().expect("piped"));
        let mut worker = Worker { child, orders, answers };
        worker.wait();
        worker
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has it do something, and waits until it is done and asleep.
    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("it listens");
        self.wait();
    }

    fn wait(&mut self) {
        // The test harness writes lines of its own.
        loop {
            let mut line = String::new();
            assert!(self.answers.read_line(&mut line).expect("it answers") > 0, "the worker has gone");
            if line.contains("worker: ready") {
                break;
            }
        }
        // Said before it sleeps; what it counts until then would be counted between two readings.
        while fields(&format!("/proc/{}/stat", self.pid()))[0] != "S" {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn role(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args([name, "--exact", "--ignored", "--nocapture"]).env(ROLE, name);
    command
}

fn plays(name: &str) -> bool {
    std::env::var(ROLE).is_ok_and(|role| role == name)
}

/// Touches fresh pages: a fault each.
fn touch(pages: usize) {
    let size = pages * rustix::param::page_size();
    // SAFETY: a mapping of its own, at an address of the kernel's choice, that is written within its bounds and then goes.
    unsafe {
        let start = rustix::mm::mmap_anonymous(
            std::ptr::null_mut(),
            size,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )
        .expect("memory");
        for page in (0..size).step_by(rustix::param::page_size()) {
            start.cast::<u8>().add(page).write_volatile(1);
        }
        rustix::mm::munmap(start, size).expect("ours");
    }
}

#[test]
#[ignore = "a role, played in a child process"]
fn worker() {
    if !plays("worker") {
        return;
    }
    let mut orders = std::io::stdin().lines();
    loop {
        println!("worker: ready");
        let Some(Ok(order)) = orders.next() else { return };
        match order.as_str() {
            "touch" => touch(100 * PAGES),
            "sleep" => (0..50).for_each(|_| thread::sleep(Duration::from_micros(100))),
            "threads" => {
                for _ in 0..SHORT_THREADS / 10 {
                    thread::scope(|scope| {
                        for _ in 0..10 {
                            scope.spawn(|| touch(PAGES));
                        }
                    });
                }
            }
            other => panic!("{other} is no order"),
        }
    }
}

/// The fields of a process's `stat` from the third on, which is its state.
fn fields(path: &str) -> Vec<String> {
    let stat = std::fs::read_to_string(path).expect("a process");
    stat.rsplit_once(')').expect("a name").1.split_whitespace().map(str::to_owned).collect()
}

/// Page faults of a process, of its ended threads too: fields 10 and 12.
fn faults(pid: u32) -> u64 {
    let fields = fields(&format!("/proc/{pid}/stat"));
    [10, 12].map(|field| fields[field - 3].parse::<u64>().expect("a number")).iter().sum()
}

/// Context switches of a thread.
fn switches(pid: u32, thread: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/task/{thread}/status")).expect("a thread");
    let lines = status.lines().filter_map(|line| line.split_once("ctxt_switches:"));
    lines.map(|(_, n)| n.trim().parse::<u64>().expect("a number")).sum()
}

fn all_switches(pid: u32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("a process");
    threads.map(|thread| switches(pid, &thread.expect("a thread").file_name().to_string_lossy())).sum()
}

fn start_time(pid: u32) -> u64 {
    fields(&format!("/proc/{pid}/stat"))[22 - 3].parse().expect("a number")
}

fn plan() -> Plan {
    Plan::probe(&Kernel::here(), Circumstances::here())
}

/// Whether the kernel counts an event in user mode and in its own for us; where it does not, that is said.
fn is_here(plan: &Plan, event: Event) -> bool {
    match plan.standing(event) {
        Standing::Here(_) => true,
        Standing::Not(_, why) => {
            eprintln!("skipped for {}: {why}", event.name());
            false
        }
    }
}

fn total(tallies: &[Tally], event: Event) -> u64 {
    tallies[event as usize].total.expect("it is counted")
}

#[test]
fn software_events_agree_with_the_kernels_own_counts() {
    let plan = plan();
    if !is_here(&plan, Event::PageFaults) || !is_here(&plan, Event::ContextSwitches) {
        return;
    }
    let mut worker = Worker::start();
    let pid = worker.pid();
    let before = (faults(pid), all_switches(pid));
    let mut attachment =
        Attachment::new(&Kernel::here(), &plan, pid, start_time(pid)).unwrap_or_else(|e| panic!("{e:?}"));
    worker.order("touch");
    worker.order("sleep");
    let tallies = attachment.read(&plan);
    let after = (faults(pid), all_switches(pid));
    let counted = total(&tallies, Event::PageFaults);
    assert!(counted >= 100 * PAGES as u64, "{counted}");
    // The kernel's own count has those that it took itself, to look into the program's memory; they are few.
    assert!(counted.abs_diff(after.0 - before.0) <= 10, "{counted}, {} in /proc", after.0 - before.0);
    let counted = total(&tallies, Event::ContextSwitches);
    assert!(counted >= 50, "with the kernel excluded they would read 0");
    assert!(counted.abs_diff(after.1 - before.1) <= 2, "{counted}, {} in /proc", after.1 - before.1);
    assert!(total(&tallies, Event::TaskClock) > 0);
    assert_eq!(tallies[Event::PageFaults as usize].state, State::Counting);
}

#[test]
fn threads_that_come_and_go_are_counted_each() {
    let plan = plan();
    if !is_here(&plan, Event::PageFaults) {
        return;
    }
    let mut worker = Worker::start();
    let pid = worker.pid();
    let before = faults(pid);
    let mut attachment =
        Attachment::new(&Kernel::here(), &plan, pid, start_time(pid)).unwrap_or_else(|e| panic!("{e:?}"));
    assert_eq!(attachment.missed(), 0);
    worker.order("threads");
    let counted = total(&attachment.read(&plan), Event::PageFaults);
    assert!(counted >= (SHORT_THREADS * PAGES) as u64, "{counted}: none is lost");
    let by_the_kernel = faults(pid) - before;
    assert!(counted <= by_the_kernel + 10, "{counted}, {by_the_kernel} in /proc: none is counted twice");
    // Its end changes nothing any more.
    let last = attachment.read(&plan);
    drop(worker);
    let ended = attachment.read(&plan);
    assert!(total(&ended, Event::PageFaults) >= total(&last, Event::PageFaults));
}

#[test]
#[ignore = "a role, played in a child process"]
fn ender() {
    if !plays("ender") {
        return;
    }
    // Threads that come and go, and then the end, in the middle of it.
    for _ in 0..8 {
        thread::spawn(|| {
            loop {
                let _ = thread::spawn(|| touch(1)).join();
            }
        });
    }
    let mut line = String::new();
    let _ = std::io::stdin().read_line(&mut line);
    std::process::exit(0);
}

#[test]
fn a_process_that_ends_while_it_is_attached_to_is_no_disaster() {
    let plan = plan();
    for round in 0..20_u64 {
        let mut child = role("ender").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("a child");
        let (pid, start) = (child.id(), start_time(child.id()));
        let orders = child.stdin.take();
        let end = thread::spawn(move || {
            thread::sleep(Duration::from_micros(500 * round));
            drop(orders);
        });
        loop {
            match Attachment::<Kernel>::new(&Kernel::here(), &plan, pid, start) {
                Ok(mut attachment) => {
                    let first = attachment.read(&plan);
                    let second = attachment.read(&plan);
                    for (first, second) in first.iter().zip(&second) {
                        assert!(second.total >= first.total);
                    }
                }
                Err(trouble) => {
                    assert_eq!(trouble.state, State::Failed, "{}", trouble.message);
                    assert!(trouble.message.contains("ended"), "{}", trouble.message);
                    break;
                }
            }
            if child.try_wait().expect("our child").is_some() {
                break;
            }
        }
        end.join().expect("it only sleeps");
        child.wait().expect("our child");
    }
}

/// Descriptors of events, of a process.
fn events_open(pid: &str) -> usize {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("a process");
    let links = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links.filter(|link| link.to_string_lossy().contains("perf_event")).count()
}

#[test]
#[ignore = "a role, played in a child process"]
fn attacher() {
    if !plays("attacher") {
        return;
    }
    let (plan, parent) = (plan(), std::os::unix::process::parent_id());
    assert_eq!(events_open("self"), 0, "the probe closes what it opens");
    let attachment = Attachment::new(&Kernel::here(), &plan, parent, start_time(parent))
        .unwrap_or_else(|e| panic!("{e:?}"));
    let counted = Event::ALL.iter().any(|&event| matches!(plan.standing(event), Standing::Here(_)));
    assert_eq!(events_open("self") > 0, counted);
    let mut program = Command::new("sleep").arg("60").spawn().expect("a program");
    // Between fork and exec it still has them.
    let exe = format!("/proc/{}/exe", program.id());
    while std::fs::read_link(&exe).is_ok_and(|exe| Some(exe) == std::env::current_exe().ok()) {
        thread::sleep(Duration::from_millis(1));
    }
    let inherited = events_open(&program.id().to_string());
    program.kill().expect("ours");
    program.wait().expect("ours");
    assert_eq!(inherited, 0);
    drop(attachment);
    assert_eq!(events_open("self"), 0);
}

#[test]
fn descriptors_are_not_leaked_and_not_inherited() {
    let played = role("attacher").output().expect("a child");
    assert!(played.status.success(), "{}", String::from_utf8_lossy(&played.stdout));
}

#[test]
fn a_wrong_start_time_is_another_process() {
    let pid = std::process::id();
    let trouble = Attachment::new(&Kernel::here(), &plan(), pid, start_time(pid) + 1).err().expect("trouble");
    assert_eq!(trouble.state, State::Failed);
    assert!(trouble.message.contains("pid namespace"), "{}", trouble.message);
}

const SETTING: &str = "/proc/sys/kernel/perf_event_paranoid";

/// Puts the setting back.
struct Restore(String);

impl Drop for Restore {
    fn drop(&mut self) {
        std::fs::write(SETTING, &self.0).expect("it could be written before");
    }
}

/// Probes as a user without capabilities does.
fn plan_without_capabilities() -> Plan {
    let probe = || {
        let mut sets = capabilities(None).expect("our own");
        sets.effective -= CapabilitySet::PERFMON | CapabilitySet::SYS_ADMIN;
        set_capabilities(None, sets).expect("less is always allowed");
        plan()
    };
    thread::spawn(probe).join().expect("a plan")
}

#[test]
fn a_setting_that_forbids_says_which_it_is() {
    let before = std::fs::read_to_string(SETTING).unwrap_or_default();
    if std::fs::write(SETTING, &before).is_err() {
        eprintln!("skipped: only root may change kernel.perf_event_paranoid");
        return;
    }
    let _restore = Restore(before);
    for level in [-1, 0, 1, 2] {
        std::fs::write(SETTING, level.to_string()).expect("root");
        let plan = plan_without_capabilities();
        match plan.standing(Event::ContextSwitches) {
            Standing::Here(_) => assert!(level <= 1, "at level {level}"),
            Standing::Not(state, message) => {
                assert_eq!((*state, level), (State::Forbidden, 2), "{message}");
                assert!(message.contains("kernel.perf_event_paranoid is 2"), "{message}");
            }
        }
        // What is there in user mode is counted; what the machine lacks it lacks at every level.
        assert!(matches!(plan.standing(Event::PageFaults), Standing::Here(_)), "at level {level}");
        if let Standing::Not(state, message) = plan.standing(Event::Cycles) {
            assert_eq!(*state, State::Unsupported, "at level {level}: {message}");
        }
    }
}

/// One instruction of a filter, see filter.h.
#[repr(C)]
struct Instruction {
    code: u16,
    if_true: u8,
    if_false: u8,
    operand: u32,
}

#[repr(C)]
struct Filter {
    len: u16,
    instructions: *const Instruction,
}

unsafe extern "C" {
    fn prctl(option: i32, ...) -> i32;
}

#[test]
#[ignore = "a role, played in a child process"]
fn filtered() {
    const NUMBER: u32 = if cfg!(target_arch = "x86_64") { 298 } else { 241 };
    if !plays("filtered") {
        return;
    }
    let instruction = |code, if_false, operand| Instruction { code, if_true: 0, if_false, operand };
    let instructions = [
        // The number of the call; if it is that of perf_event_open, EPERM; else it goes through.
        instruction(0x20, 0, 0),
        instruction(0x15, 1, NUMBER),
        instruction(0x06, 0, 0x0005_0000 | 1),
        instruction(0x06, 0, 0x7FFF_0000),
    ];
    let filter = Filter { len: instructions.len() as u16, instructions: instructions.as_ptr() };
    // SAFETY: PR_SET_NO_NEW_PRIVS, and PR_SET_SECCOMP with a filter that lives; of the calling thread alone.
    unsafe {
        assert_eq!(prctl(38, 1_u64, 0_u64, 0_u64, 0_u64), 0);
        assert_eq!(prctl(22, 2_u64, &raw const filter), 0);
    }
    let plan = plan();
    for event in Event::ALL {
        match plan.standing(event) {
            // What has no number on this processor is not asked for.
            Standing::Not(State::Unsupported, _) if event == Event::RemoteCacheFills => {}
            Standing::Not(State::Forbidden, message) => assert!(message.contains("seccomp"), "{message}"),
            other => panic!("{event:?}: {other:?}"),
        }
    }
}

#[test]
fn a_filter_that_forbids_is_told_from_a_setting() {
    let played = role("filtered").output().expect("a child");
    assert!(played.status.success(), "{}", String::from_utf8_lossy(&played.stdout));
}
