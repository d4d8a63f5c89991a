//! Which processor this is, and its own event for lines that come from another core's cache.
//!
//! | processor | event | counts |
//! |---|---|---|
//! | AMD family 19h, 1Ah (Zen 3 to 5) | 0x44, mask 0x14: `ls_any_fills_from_sys`, cache of another CCX, near and far | fills of a core's L1d from a cache of another core complex; what moves between cores of one complex goes through its L3 and is not told apart from it |
//! | Intel Core and Xeon, Sandy Bridge to Comet Lake and Cascade Lake | 0xD2, mask 0x04: `XSNP_HITM` | retired loads that found the line modified in another core's cache of the socket |
//! | Intel Ice Lake and later, performance cores | 0xD2, mask 0x04: `XSNP_FWD` | the same, where the other core forwarded the line |
//!
//! Sources: AMD's Processor Programming References for family 19h models 01h and 11h and family 1Ah model 02h (PMCx044, "Any data cache fills
//! by data source"); Intel SDM volume 3B, chapter "Performance monitoring events", and Intel's event lists by model (perfmon); both as
//! the kernel has them in `tools/perf/pmu-events/arch/x86`.
//! AMD family 17h (Zen 1, 2) counts such lines together with hits of the core's own L3, so it is left out; so is every
//! processor that is not in the table: an unknown event is unsupported rather than guessed.

/// Who made the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// AMD.
    Amd,
    /// Intel.
    Intel,
    /// Another, or none that is known here.
    Other,
}

/// A processor by vendor, family and model, as `CPUID` tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Processor {
    /// Who made it.
    pub vendor: Vendor,
    /// Its family, the extended one added.
    pub family: u32,
    /// Its model, the extended one in front.
    pub model: u32,
}

/// One line of the table.
struct Line {
    vendor: Vendor,
    families: &'static [u32],
    /// Empty: every model of the family.
    models: &'static [u32],
    /// The event in the low byte, its mask in the next.
    config: u64,
}

const REMOTE_CACHE_FILLS: [Line; 2] = [
    Line { vendor: Vendor::Amd, families: &[0x19, 0x1A], models: &[], config: 0x1444 },
    Line {
        vendor: Vendor::Intel,
        families: &[6],
        models: &[
            0x2A, 0x2D, // Sandy Bridge
            0x3A, 0x3E, // Ivy Bridge
            0x3C, 0x3F, 0x45, 0x46, // Haswell
            0x3D, 0x47, 0x4F, 0x56, // Broadwell
            0x4E, 0x5E, 0x55, // Skylake, Cascade Lake
            0x8E, 0x9E, 0xA5, 0xA6, // Kaby, Coffee and Comet Lake
            0x7D, 0x7E, 0x6A, 0x6C, // Ice Lake
            0x8C, 0x8D, // Tiger Lake
            0x8F, 0xCF, // Sapphire and Emerald Rapids
        ],
        config: 0x04D2,
    },
];

impl Processor {
    /// The one that this thread runs on.
    pub fn this() -> Processor {
        #[cfg(target_arch = "x86_64")]
        {
            use core::arch::x86_64::__cpuid;
            let name = __cpuid(0);
            Processor::decode([name.ebx, name.edx, name.ecx], __cpuid(1).eax)
        }
        #[cfg(not(target_arch = "x86_64"))]
        Processor { vendor: Vendor::Other, family: 0, model: 0 }
    }

    /// From the words of leaf 0, in the order of the text, and EAX of leaf 1 (Intel SDM volume 2, `CPUID`).
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "tested everywhere, asked on x86-64"))]
    fn decode(name: [u32; 3], signature: u32) -> Processor {
        let is = |text: &[u8; 12]| name.iter().flat_map(|word| word.to_le_bytes()).eq(*text);
        let vendor = if is(b"AuthenticAMD") {
            Vendor::Amd
        } else if is(b"GenuineIntel") {
            Vendor::Intel
        } else {
            Vendor::Other
        };
        let base = signature >> 8 & 0xF;
        let family = if base == 0xF { base + (signature >> 20 & 0xFF) } else { base };
        let extended = if base == 0xF || base == 6 { signature >> 16 & 0xF } else { 0 };
        Processor { vendor, family, model: extended << 4 | signature >> 4 & 0xF }
    }

    /// The raw event for lines from another core's cache, if the table has one.
    pub fn remote_cache_fills(self) -> Option<u64> {
        REMOTE_CACHE_FILLS
            .iter()
            .find(|line| {
                line.vendor == self.vendor
                    && line.families.contains(&self.family)
                    && (line.models.is_empty() || line.models.contains(&self.model))
            })
            .map(|line| line.config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &[u8; 12]) -> [u32; 3] {
        core::array::from_fn(|i| u32::from_le_bytes(core::array::from_fn(|byte| text[4 * i + byte])))
    }

    #[test]
    fn signatures_are_read_as_the_manual_says() {
        let of = |text, signature| Processor::decode(name(text), signature);
        let (amd, intel) = (b"AuthenticAMD", b"GenuineIntel");
        // An EPYC of the third generation, a Xeon of the Skylake line, a Ryzen of the second, an early Pentium.
        assert_eq!(of(amd, 0x00A0_0F11), Processor { vendor: Vendor::Amd, family: 0x19, model: 0x01 });
        assert_eq!(of(intel, 0x0005_0654), Processor { vendor: Vendor::Intel, family: 6, model: 0x55 });
        assert_eq!(of(amd, 0x0080_0F82), Processor { vendor: Vendor::Amd, family: 0x17, model: 0x08 });
        assert_eq!(of(intel, 0x0000_0543), Processor { vendor: Vendor::Intel, family: 5, model: 4 });
        assert_eq!(of(b"HygonGenuine", 0x0090_0F22).vendor, Vendor::Other);
    }

    #[test]
    fn only_what_the_table_has_has_an_event() {
        let of = |vendor, family, model| Processor { vendor, family, model }.remote_cache_fills();
        assert_eq!(of(Vendor::Amd, 0x19, 0x11), Some(0x1444));
        assert_eq!(of(Vendor::Amd, 0x1A, 0x02), Some(0x1444));
        assert_eq!(of(Vendor::Amd, 0x17, 0x31), None);
        assert_eq!(of(Vendor::Intel, 6, 0x55), Some(0x04D2));
        assert_eq!(of(Vendor::Intel, 6, 0x1C), None, "an Atom");
        assert_eq!(of(Vendor::Other, 6, 0x55), None);
    }
}
