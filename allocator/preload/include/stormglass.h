/* stormglass.h: what a program can ask of the allocator that it runs under. C and C++.
 *
 * A program that is linked against libstormglass.so calls these as they are. One that is only sometimes run
 * under it (LD_PRELOAD, `stormglass run`) defines STORMGLASS_WEAK before it includes this header, needs no library to
 * link, and finds a null function where stormglass is not there:
 *
 *     #define STORMGLASS_WEAK
 *     #include <stormglass.h>
 *     if (stormglass_api_version && stormglass_api_version() >= 1) ...
 */
#ifndef STORMGLASS_H
#define STORMGLASS_H

#include <stddef.h>

/* Version of this interface. Functions are only ever added, and the number raised when they are. */
#define STORMGLASS_API 1

#ifdef STORMGLASS_WEAK
#define STORMGLASS_FUNCTION __attribute__((weak))
#else
#define STORMGLASS_FUNCTION
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The STORMGLASS_API of the library that runs, which may be newer or older than this header. Since 1. */
STORMGLASS_FUNCTION unsigned stormglass_api_version(void);

/* Path of this process's counters, as `stormglass serve` reads them; NULL where they cannot be seen from outside, or not
 * yet. After a fork the child has another path than its parent. The text stays until the process ends. Since 1. */
STORMGLASS_FUNCTION const char *stormglass_segment_path(void);

/* Writes the figures of this process as one JSON object: at most `size` bytes, the last of them a zero. Returns the
 * length of the whole text without its zero, as snprintf does: if that is not less than `size`, it did not fit. Keys may
 * be added at any version; those of version 1 are
 *   api, version          of the library
 *   mapped_bytes          taken from the system and not given back
 *   live_bytes            held by the program, as blocks: with what rounding up adds
 *   allocations, frees    so far
 *   segment               as stormglass_segment_path, or null
 * Since 1. */
STORMGLASS_FUNCTION size_t stormglass_stats_json(char *buffer, size_t size);

#ifdef __cplusplus
}
#endif

#endif
