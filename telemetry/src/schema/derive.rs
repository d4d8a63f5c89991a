//! What is made from the metric table: the structs of a slot, the enum [`Metric`](super::Metric), its descriptors. Macros
//! only; the table itself is in schema.rs.

macro_rules! cell_type {
    (Counter) => {
        Cell
    };
    (Counter op) => {
        [Cell; Op::ALL.len()]
    };
    (Histogram Retries) => {
        RetryHistogram
    };
    (Histogram Seconds) => {
        DurationHistogram
    };
}

macro_rules! full_name {
    (Counter $field:ident Seconds) => {
        concat!("stormglass_", stringify!($field), "_seconds_total")
    };
    (Counter $field:ident $unit:ident) => {
        concat!("stormglass_", stringify!($field), "_total")
    };
    (Histogram $field:ident Seconds) => {
        concat!("stormglass_", stringify!($field), "_seconds")
    };
    (Histogram $field:ident $unit:ident) => {
        concat!("stormglass_", stringify!($field))
    };
    (Gauge $field:ident $unit:ident) => {
        concat!("stormglass_", stringify!($field))
    };
}

macro_rules! bounds {
    (Histogram Retries) => {
        &RETRY_BOUNDS
    };
    (Histogram Seconds) => {
        &DURATION_BOUNDS
    };
    ($kind:ident $unit:ident) => {
        &[]
    };
}

/// Bounds of what the sidecar counts itself: the time of a scrape.
macro_rules! sidecar_bounds {
    (Histogram) => {
        &SCRAPE_BOUNDS
    };
    ($kind:ident) => {
        &[]
    };
}

/// Type of a field: only `Counter` takes an `op`, only `Histogram` looks at its unit.
macro_rules! field_type {
    (Counter $unit:ident) => { cell_type!(Counter) };
    (Counter $unit:ident op) => { cell_type!(Counter op) };
    (Histogram $unit:ident) => { cell_type!(Histogram $unit) };
}

macro_rules! label_list {
    ([$($outer:expr),*]) => { &[$($outer),*] };
    ([$($outer:expr),*] op) => { &[$($outer,)* Label::Op] };
}

macro_rules! metrics {
    (
        class { $($cf:ident = $cm:ident: $ck:ident $([$cx:ident])? => $cu:ident, $ch:literal;)* }
        shard { $($sf:ident = $sm:ident: $sk:ident $([$sx:ident])? => $su:ident, $sh:literal;)* }
        totals { $($tf:ident = $tm:ident: $tk:ident => $tu:ident, $th:literal;)* }
        process { $($pf:ident = $pm:ident: $pk:ident => $pu:ident, $ph:literal;)* }
    ) => {
        /// Counters of one class, one cache line: what the ring's own path touches.
        #[repr(C, align(64))]
        #[derive(Debug)]
        pub struct ClassCounters { $(#[doc = $ch] pub $cf: field_type!($ck $cu $($cx)?),)* }

        /// Counters of one shard of one class.
        #[repr(C, align(64))]
        #[derive(Debug)]
        pub struct ShardCounters { $(#[doc = $sh] pub $sf: field_type!($sk $su $($sx)?),)* }

        /// Counters of what has no class, and of what a whole process has once.
        #[repr(C, align(64))]
        #[derive(Debug, Default)]
        pub struct TotalCounters { $(#[doc = $th] pub $tf: field_type!($tk $tu),)* }

        /// Every metric that this build knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Metric {
            $(#[doc = $ch] $cm,)*
            $(#[doc = $sh] $sm,)*
            $(#[doc = $th] $tm,)*
            $(#[doc = $ph] $pm,)*
        }

        impl Metric {
            /// Every metric, in the order of the table.
            pub const ALL: &'static [Metric] = &[$(Metric::$cm,)* $(Metric::$sm,)* $(Metric::$tm,)* $(Metric::$pm,)*];

            /// What the table says of this metric.
            pub const fn descriptor(self) -> Descriptor {
                match self {
                    $(Metric::$cm => Descriptor {
                        name: full_name!($ck $cf $cu),
                        kind: Kind::$ck,
                        unit: Unit::$cu,
                        scope: Scope::Class,
                        labels: label_list!([Label::Class] $($cx)?),
                        bounds: bounds!($ck $cu),
                        help: $ch,
                        offset: offset_of!(ClassCounters, $cf),
                    },)*
                    $(Metric::$sm => Descriptor {
                        name: full_name!($sk $sf $su),
                        kind: Kind::$sk,
                        unit: Unit::$su,
                        scope: Scope::Shard,
                        labels: label_list!([Label::Class, Label::Shard] $($sx)?),
                        bounds: bounds!($sk $su),
                        help: $sh,
                        offset: offset_of!(ShardCounters, $sf),
                    },)*
                    $(Metric::$tm => Descriptor {
                        name: full_name!($tk $tf $tu),
                        kind: Kind::$tk,
                        unit: Unit::$tu,
                        scope: Scope::Totals,
                        labels: &[],
                        bounds: bounds!($tk $tu),
                        help: $th,
                        offset: offset_of!(TotalCounters, $tf),
                    },)*
                    $(Metric::$pm => Descriptor {
                        name: full_name!($pk $pf $pu),
                        kind: Kind::$pk,
                        unit: Unit::$pu,
                        scope: Scope::Process,
                        labels: &[],
                        bounds: sidecar_bounds!($pk),
                        help: $ph,
                        offset: usize::MAX,
                    },)*
                }
            }
        }
    };
}
