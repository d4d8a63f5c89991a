//! A delay that is injected at the seam (seam.rs) of chosen shards: two cores then show what more cores would do, as the
//! time in which another thread can get in between becomes longer.
//!
//! Whatever runs with an injection is marked: [`Pool::new`](crate::Pool::new) refuses one that its segment does not
//! tell of. Invariant: what [`Injection`] displays, it also parses, and it fits the segment's field.

use core::fmt;
use core::str::FromStr;

use stormglass_telemetry::clock;
#[cfg(not(loom))]
use stormglass_telemetry::clock::Clock;
use stormglass_telemetry::schema::SHARDS;

use crate::size_class::Class;

/// The longest delay: a run of some seconds still comes to its end.
const MAX_NANOSECONDS: u64 = 10_000_000;
/// The units that a delay may have, largest first.
const UNITS: [(&str, u64); 3] = [("ms", 1_000_000), ("us", 1_000), ("ns", 1)];
const KEYS: [&str; 3] = ["class", "shard", "delay"];

/// Which shards are delayed, and for how long: `class=8192,shard=3,delay=500ns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Injection {
    class: Option<Class>,
    shard: Option<usize>,
    nanoseconds: u64,
}

impl Injection {
    /// The same for a design with so many shards. Where there is but one list a class, that list stands for every shard;
    /// else a delay of shard 3 would spare just the designs that it is to be compared with.
    #[cfg(not(loom))]
    pub(crate) fn for_shards(self, shards: usize) -> Injection {
        Injection { shard: self.shard.filter(|_| shards > 1), ..self }
    }

    /// Whether operations on this shard are delayed.
    pub fn applies_to(&self, class: Class, shard: usize) -> bool {
        self.class.is_none_or(|c| c == class) && self.shard.is_none_or(|s| s == shard)
    }
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.class {
            Some(class) => write!(f, "class={}", class.bytes())?,
            None => f.write_str("class=*")?,
        }
        match self.shard {
            Some(shard) => write!(f, ",shard={shard}")?,
            None => f.write_str(",shard=*")?,
        }
        // The last unit divides everything.
        let unit = UNITS.iter().find(|(_, size)| self.nanoseconds.is_multiple_of(*size));
        let (name, size) = unit.copied().unwrap_or(("ns", 1));
        write!(f, ",delay={}{name}", self.nanoseconds / size)
    }
}

impl FromStr for Injection {
    type Err = InjectionError;

    /// Reads `key=value` pairs, separated by commas. `class` and `shard` may be left out or be `*`: all of them.
    fn from_str(text: &str) -> Result<Injection, InjectionError> {
        let mut said: [Option<&str>; KEYS.len()] = [None; KEYS.len()];
        for part in text.split(',') {
            let (key, value) =
                part.split_once('=').ok_or_else(|| InjectionError::NoPair(part.trim().to_owned()))?;
            let (key, value) = (key.trim(), value.trim());
            let Some(index) = KEYS.iter().position(|k| *k == key) else {
                return Err(InjectionError::UnknownKey(key.to_owned()));
            };
            if said[index].replace(value).is_some() {
                return Err(InjectionError::Twice(KEYS[index]));
            }
        }
        let [class, shard, delay] = said;
        let class = class.filter(|v| *v != "*").map(parse_class).transpose()?;
        let shard = shard.filter(|v| *v != "*").map(parse_shard).transpose()?;
        let nanoseconds = parse_delay(delay.ok_or(InjectionError::NoDelay)?)?;
        Ok(Injection { class, shard, nanoseconds })
    }
}

fn parse_class(value: &str) -> Result<Class, InjectionError> {
    let bytes = value.parse::<usize>().ok();
    Class::all()
        .find(|class| Some(class.bytes()) == bytes)
        .ok_or_else(|| InjectionError::NoSuchClass(value.to_owned()))
}

fn parse_shard(value: &str) -> Result<usize, InjectionError> {
    let shard = value.parse::<usize>().ok().filter(|&shard| shard < SHARDS);
    shard.ok_or_else(|| InjectionError::NoSuchShard(value.to_owned()))
}

fn parse_delay(value: &str) -> Result<u64, InjectionError> {
    let digits = value.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = value[digits.len()..].trim();
    if digits.is_empty() || !digits.bytes().all(|c| c.is_ascii_digit()) {
        return Err(InjectionError::NoNumber(value.to_owned()));
    }
    let Some((_, size)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(InjectionError::NoUnit(value.to_owned()));
    };
    // Digits that do not fit are far too many, and so is a product that does not.
    let nanoseconds = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(*size));
    nanoseconds
        .filter(|n| (1..=MAX_NANOSECONDS).contains(n))
        .ok_or_else(|| InjectionError::OutOfRange(value.to_owned()))
}

/// What is wrong with the text of an injection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InjectionError {
    /// A part is not `key=value`.
    NoPair(String),
    /// There is no such key.
    UnknownKey(String),
    /// A key stands twice.
    Twice(&'static str),
    /// There is no delay.
    NoDelay,
    /// There is no such class.
    NoSuchClass(String),
    /// There is no such shard.
    NoSuchShard(String),
    /// The delay does not begin with a whole number.
    NoNumber(String),
    /// The delay has no unit, or none that is known.
    NoUnit(String),
    /// The delay is zero or too long.
    OutOfRange(String),
}

impl fmt::Display for InjectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InjectionError::NoPair(part) => {
                write!(f, "`{part}` is not KEY=VALUE; it takes such as class=8192,shard=3,delay=500ns")
            }
            InjectionError::UnknownKey(key) => {
                write!(f, "there is no key `{key}`; the keys are {}", KEYS.join(", "))
            }
            InjectionError::Twice(key) => write!(f, "`{key}` is said twice; say it once, or `*` for all"),
            InjectionError::NoDelay => f.write_str("it says no delay; add such as delay=500ns"),
            InjectionError::NoSuchClass(class) => {
                write!(f, "there is no class `{class}`; the classes are")?;
                for class in Class::all() {
                    write!(f, " {},", class.bytes())?;
                }
                f.write_str(" and * for all")
            }
            InjectionError::NoSuchShard(shard) => {
                write!(
                    f,
                    "there is no shard `{shard}`: shards are numbered 0 to {}, and * is for all",
                    SHARDS - 1
                )
            }
            InjectionError::NoNumber(delay) => {
                write!(f, "the delay `{delay}` is no whole number with a unit, such as 500ns")
            }
            InjectionError::NoUnit(delay) => {
                write!(f, "the delay `{delay}` has no unit of time: take ns, us or ms")
            }
            InjectionError::OutOfRange(delay) => {
                write!(
                    f,
                    "the delay `{delay}` is out of range: it takes 1ns to {}ms",
                    MAX_NANOSECONDS / 1_000_000
                )
            }
        }
    }
}

impl std::error::Error for InjectionError {}

/// An injection in ticks of this machine, ready to be asked at each site.
#[derive(Clone, Copy, Debug)]
#[cfg(not(loom))]
pub(crate) struct Injector {
    injection: Injection,
    delay: Delay,
}

#[cfg(not(loom))]
impl Injector {
    /// None if the clock has no steady ticks to spin by.
    pub(crate) fn new(injection: Injection, clock: Clock) -> Option<Injector> {
        let ticks = clock.ticks_of(injection.nanoseconds)?;
        Some(Injector { injection, delay: Delay(ticks) })
    }

    /// How long operations on this shard are delayed.
    pub(crate) fn delay(&self, class: Class, shard: usize) -> Delay {
        if self.injection.applies_to(class, shard) { self.delay } else { Delay::NONE }
    }
}

/// Ticks to spin at a seam.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delay(u64);

impl Delay {
    /// No delay: what every site has unless a user asks for more.
    pub(crate) const NONE: Delay = Delay(0);

    /// Spins, if there is a delay: one branch that always goes the same way where there is none.
    #[inline]
    pub(crate) fn pass(self) {
        if self != Delay::NONE {
            self.spin();
        }
    }

    /// Never sleeps: the thread keeps its processor, as one whose cache line is on its way does.
    #[cold]
    fn spin(self) {
        let start = clock::ticks();
        while clock::ticks().saturating_sub(start) < self.0 {
            core::hint::spin_loop();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(text: &str) -> String {
        text.parse::<Injection>().expect_err(text).to_string()
    }

    fn read(text: &str) -> Injection {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn the_order_and_what_is_left_out_do_not_matter() {
        let whole = read("class=8192,shard=3,delay=500ns");
        assert_eq!(whole.to_string(), "class=8192,shard=3,delay=500ns");
        assert_eq!(read(" delay = 500 ns , shard = 3,class=8192"), whole);
        assert_eq!(read("delay=2us").to_string(), "class=*,shard=*,delay=2us");
        assert_eq!(read("class=*,shard=7,delay=1500us"), read("shard=7,delay=1500000ns"));
        assert_eq!(read("delay=10ms").to_string(), "class=*,shard=*,delay=10ms");
    }

    #[test]
    fn it_applies_where_it_says() {
        let of = |bytes| Class::of(bytes).expect("a class");
        let one = read("class=8192,shard=3,delay=1ns");
        assert!(one.applies_to(of(8192), 3));
        assert!(!one.applies_to(of(8192), 2) && !one.applies_to(of(2048), 3));
        let row = read("class=8192,delay=1ns");
        assert!((0..SHARDS).all(|shard| row.applies_to(of(8192), shard) && !row.applies_to(of(2048), shard)));
        assert!(Class::all().all(|class| read("shard=3,delay=1ns").applies_to(class, 3)));
        assert_eq!(one.for_shards(SHARDS), one);
        assert!(one.for_shards(1).applies_to(of(8192), 0) && !one.for_shards(1).applies_to(of(2048), 0));
    }

    #[test]
    fn each_mistake_has_its_sentence() {
        for (text, sentence) in [
            ("", "`` is not KEY=VALUE; it takes such as class=8192,shard=3,delay=500ns"),
            ("class=8192,delay=1us,", "`` is not KEY=VALUE; it takes such as class=8192,shard=3,delay=500ns"),
            ("500ns", "`500ns` is not KEY=VALUE; it takes such as class=8192,shard=3,delay=500ns"),
            ("klass=8192,delay=1us", "there is no key `klass`; the keys are class, shard, delay"),
            ("delay=1us,delay=1us", "`delay` is said twice; say it once, or `*` for all"),
            ("class=8192,shard=3", "it says no delay; add such as delay=500ns"),
            (
                "class=8193,delay=1us",
                "there is no class `8193`; the classes are 2048, 3072, 5120, 8192, 12288, 20480, 32768, and * for all",
            ),
            ("shard=8,delay=1us", "there is no shard `8`: shards are numbered 0 to 7, and * is for all"),
            ("shard=-1,delay=1us", "there is no shard `-1`: shards are numbered 0 to 7, and * is for all"),
            ("delay=", "the delay `` is no whole number with a unit, such as 500ns"),
            ("delay=0.5us", "the delay `0.5us` is no whole number with a unit, such as 500ns"),
            ("delay=500", "the delay `500` has no unit of time: take ns, us or ms"),
            ("delay=5s", "the delay `5s` has no unit of time: take ns, us or ms"),
            ("delay=0ns", "the delay `0ns` is out of range: it takes 1ns to 10ms"),
            ("delay=11ms", "the delay `11ms` is out of range: it takes 1ns to 10ms"),
            (
                "delay=99999999999999999999ns",
                "the delay `99999999999999999999ns` is out of range: it takes 1ns to 10ms",
            ),
        ] {
            assert_eq!(refused(text), sentence, "{text}");
        }
    }

    fn any_injection() -> impl Strategy<Value = Injection> {
        let class = prop::option::of((0..Class::all().count()).prop_filter_map("a class", Class::from_index));
        (class, prop::option::of(0..SHARDS), 1..=MAX_NANOSECONDS)
            .prop_map(|(class, shard, nanoseconds)| Injection { class, shard, nanoseconds })
    }

    proptest! {
        #[test]
        fn what_it_displays_it_parses_and_the_segment_has_room_for_it(injection in any_injection()) {
            let text = injection.to_string();
            prop_assert_eq!(read(&text), injection);
            prop_assert!(text.len() <= stormglass_telemetry::INJECTED_BYTES, "{}", text);
        }

        #[test]
        fn no_text_is_a_panic(text in ".*") {
            let _ = text.parse::<Injection>().map_err(|error| error.to_string());
        }

        /// Nearly right, which is where a parser goes wrong.
        #[test]
        fn no_mixture_of_its_own_words_is_a_panic(
            parts in prop::collection::vec(
                ("(class|shard|delay| delay|)", "[=]{0,2}", "([*]|-?[0-9]{0,21}) ?(ns|us|ms|µs|s|)"), 0..5),
        ) {
            let text = parts.iter().map(|(k, e, v)| format!("{k}{e}{v}")).collect::<Vec<_>>().join(",");
            if let Ok(injection) = text.parse::<Injection>() {
                prop_assert_eq!(read(&injection.to_string()), injection);
                prop_assert!((1..=MAX_NANOSECONDS).contains(&injection.nanoseconds));
            }
        }
    }
}
