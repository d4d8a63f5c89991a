// Allocator: where a program's memory is, what the kernel was asked for, and what went wrong.
local board = import '../lib/dashboard.libsonnet';
local p = import '../lib/panels.libsonnet';
local q = import '../lib/promql.libsonnet';

local by = 'command, strategy';
local legend(what) = what + ' · {{command}} · {{strategy}}';
local noGeneral = 'No process here has the allocator of every size: it runs the mid pool alone';
local noEvents = 'Not available here: the sidecar runs without --perf, or the machine does not let it count';
local count(what, metric) = [legend(what), q.sum(by, metric, q.process)];
local bytes(what, metric) = [legend(what), q.gauge(by, metric, q.process)];

function(config, verdicts) board.dashboard(
  config,
  'stormglass-allocator',
  'stormglass / Allocator',
  'Memory of programs under the allocator: what callers hold, what is cached, mapped, given back; calls to the kernel; threads.',
  [
    board.row('Where is the memory?', [
      p.timeseries(
        'Bytes held, cached, mapped, resident',
        'Live: what callers hold. Cached: free blocks in rings. Mapped: all pages and spans. Resident: what the kernel says of the whole process. Good: live near mapped. A gap that grows is fragmentation or memory that is not given back.',
        'bytes',
        [bytes('live', 'live_bytes'), bytes('cached', 'cached_bytes'), bytes('mapped', 'mapped_bytes'), bytes('resident', 'resident_bytes')],
        none='No process lives',
        width=16,
        height=10,
      ),
      p.bars(
        'Mapped for each live byte',
        'Bytes of pages for each byte that callers hold. Good: below 1.5. A process that holds little has a high ratio and no harm in it.',
        'none',
        '{{command}} · {{strategy}}',
        '%s / (%s > 1e6)' % [q.gauge(by, 'mapped_bytes', q.process), q.gauge(by, 'live_bytes', q.process)],
        ['green', 1.5, 'yellow', 3, 'red'],
        'No process holds a megabyte',
        width=8,
        height=10,
      ),
      p.timeseries(
        'Given back and kept',
        'Address space whose memory went back to the kernel and which waits for use. Good: rises when load falls. Nothing here while mapped stays high: purging is off or late (STORMGLASS_PURGE_MS).',
        'bytes',
        [bytes('purged', 'purged_bytes')],
        none='No process lives',
      ),
      p.timeseries(
        'Large blocks held',
        'Bytes in allocations above the largest class, a part of the live bytes. Good: steady under steady load.',
        'bytes',
        [bytes('large', 'large_live_bytes')],
        none=noGeneral,
      ),
    ]),
    board.row('What is asked for?', [
      p.timeseries(
        'Allocations and frees by class',
        'Ring hits and misses a second by block size. Good: the sizes you expect; a class that leads is the one to look at under Contention.',
        'ops',
        [['{{class}} B', '%s + %s' % [q.sum('class', 'ring_hits_total', q.class), q.sum('class', 'ring_misses_total', q.class)]]],
      ),
      p.timeseries(
        'Large allocations and frees',
        'A second. Good: hundreds, not hundreds of thousands: each takes a lock that all threads share.',
        'ops',
        [count('allocations', 'large_allocations_total'), count('frees', 'large_frees_total'), count('lock contended', 'large_lock_contended_total')],
        ['green', 100000, 'red'],
        noGeneral,
      ),
      p.timeseries(
        'Where large blocks come from',
        'Reused spans, and mappings of their own. Good: reuses lead; a direct mapping is a system call and its page faults.',
        'ops',
        [count('reused', 'large_reuses_total'), count('mapped', 'large_direct_mappings_total')],
        ['green'],
        noGeneral,
      ),
      p.timeseries(
        'How large blocks grow',
        'Reallocations that grew in place, that the kernel moved, that were copied. Good: few copies.',
        'ops',
        [count('in place', 'large_grown_in_place_total'), count('moved', 'large_moved_total'), count('copied', 'large_copied_total')],
        ['green'],
        noGeneral,
      ),
      p.timeseries(
        'Bytes of large allocations and frees',
        'Bytes a second that callers took and gave, above the largest class. Good: alike over time; a lasting gap is growth.',
        'Bps',
        [count('allocated', 'large_allocated_bytes_total'), count('freed', 'large_freed_bytes_total')],
        ['green'],
        noGeneral,
        width=24,
      ),
    ]),
    board.row('What is the kernel asked for?', [
      p.timeseries(
        'Pages: mapped, purged, retaken',
        'Bytes a second of pages of blocks. Good: near 0 under steady load. Purged and retaken alike and high is memory that goes back and forth: raise STORMGLASS_PURGE_MS.',
        'Bps',
        [count('mapped', 'page_mapped_bytes_total'), count('purged', 'page_purged_bytes_total'), count('retaken', 'page_retaken_bytes_total')],
        none='No page was moved',
      ),
      p.timeseries(
        'Spans: mapped, unmapped, purged, retaken',
        'Bytes a second of large spans and direct mappings. Good: near 0 under steady load.',
        'Bps',
        [count('mapped', 'large_mapped_bytes_total'), count('unmapped', 'large_unmapped_bytes_total'), count('purged', 'large_purged_bytes_total'), count('retaken', 'large_retaken_bytes_total')],
        none=noGeneral,
      ),
      p.timeseries(
        'Purges, and their time',
        'Times that a thread gave memory back, and the seconds a second that took. Good: time below 0.01; a thread pays for it while it frees.',
        'none',
        [count('purges a second', 'purges_total'), count('seconds a second', 'purge_seconds_total')],
        none=noGeneral,
      ),
      p.timeseries(
        'Fresh pages',
        'Pages of blocks that shards or threads got, a second. Good: 0 once a program is warm.',
        'cps',
        [count('pages', 'pages_mapped_total')],
        none='No page was moved',
      ),
      p.timeseries(
        'Page faults and context switches',
        'Of the whole process. Good: faults near 0 once warm: one costs more than a thousand allocations. Context switches rise when locks put threads to sleep.',
        'cps',
        [['{{event}} · {{command}} · {{strategy}}', 'sum by (command, strategy, event) (rate(stormglass_perf_events_total{%s,event=~"page_faults|context_switches|migrations"}[$__rate_interval]))' % q.process]],
        none=noEvents,
        width=24,
      ),
    ]),
    board.row('Did anything fail?', [
      p.timeseries(
        'Allocations that failed',
        'Allocations that got no memory, a second. Good: none, ever.',
        'cps',
        [[legend('class {{class}}'), q.sum('command, strategy, class', 'allocation_failures_total', q.class)], count('large', 'large_failures_total')],
        ['green', 0.001, 'red'],
        'None failed',
      ),
      p.timeseries(
        'Refusals',
        'Memory that was not mapped because of the limit (STORMGLASS_LIMIT) or because the kernel said no. Good: none. A refusal may be retried after memory was given back, so not each is a failed allocation.',
        'cps',
        [count('by the limit', 'limit_refusals_total'), count('by the kernel', 'kernel_refusals_total')],
        ['green', 0.001, 'red'],
        noGeneral,
      ),
    ]),
    board.row('Threads and processes', [
      p.timeseries(
        'Threads now, and started',
        'Threads that own a slot, and how many start a second. Good: steady. Threads that live for less than a millisecond spend it on adopting pages.',
        'none',
        [bytes('now', 'threads'), count('started a second', 'threads_started_total')],
        none='No process lives',
      ),
      p.timeseries(
        'Pages and heaps left behind and adopted',
        'What threads that ended left, and what others took over. Good: adopted follows abandoned; a gap that grows is memory that nobody uses.',
        'cps',
        [count('pages abandoned', 'pages_abandoned_total'), count('pages adopted', 'pages_adopted_total'), count('heaps adopted', 'heaps_adopted_total')],
        none='No thread has ended',
      ),
      p.stat(
        'Threads not counted',
        'Threads that found no slot in the segment: they allocate, and nobody sees them. Good: 0.',
        'none',
        'sum(stormglass_threads_dropped_total{%s})' % q.process,
        ['green', 1, 'red'],
        'No process lives',
        width=6,
        height=5,
      ),
      p.stat(
        'Forks',
        'Forks since the sidecar started. A child counts by itself. Good: any number.',
        'none',
        'sum(stormglass_forks_total{%s})' % q.process,
        ['blue'],
        noGeneral,
        width=6,
        height=5,
      ),
      p.stat(
        'Early allocations',
        'Allocations before the allocator was ready. Good: a few at the start, then no more: what they hold is never given back.',
        'none',
        'sum(stormglass_early_allocations_total{%s})' % q.process,
        ['green', 1000, 'yellow'],
        noGeneral,
        width=6,
        height=5,
      ),
      p.stat(
        'Bytes of early allocations',
        'Good: a few KiB a process.',
        'bytes',
        'sum(stormglass_early_bytes_total{%s})' % q.process,
        ['green', 1048576, 'yellow'],
        noGeneral,
        width=6,
        height=5,
      ),
    ]),
  ],
  [board.variables.instance, board.variables.command, board.variables.strategy, board.variables.class],
)
