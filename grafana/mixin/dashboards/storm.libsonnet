// Retry storm: the paper's Phase 7.1 analysis, live. The designs side by side, from what is gained to why it is lost.
local board = import '../lib/dashboard.libsonnet';
local p = import '../lib/panels.libsonnet';
local q = import '../lib/promql.libsonnet';

local by = 'strategy, workload, injected';
local legend = '{{strategy}} · {{workload}} {{injected}}';
local noCas = 'No design here uses CAS, or none runs';
local noEvents = 'Not available here: the sidecar runs without --perf, or the machine does not let it count';
local allocations = '%s + %s' % [q.sum(by, 'ring_hits_total', q.class), q.sum(by, 'ring_misses_total', q.class)];
local pops(metric) = 'sum by (%s) (rate(stormglass_%s{%s,op=~"pop|batch_pop"}[$__rate_interval]))' % [by, metric, q.class];
local refills = '(%s > 0)' % q.sum(by, 'refills_total', q.class);

function(config, verdicts) board.dashboard(
  config,
  'stormglass-storm',
  'stormglass / Retry storm, Phase 7.1',
  'The paper replaced 56 mutexes by lock-free stacks, expected 15 to 25% more, and got less. This is its analysis while it happens. Choose the benchmark as command; the designs run in turn.',
  [
    board.row('What is gained?', [
      p.timeseries(
        'Allocations a second by design',
        'Ring hits and misses a second. The designs of a benchmark run in turn, so lines follow each other; a new one is marked. Good: a lock-free design above mutex. Compare lines of the same workload only.',
        'ops',
        [[legend, allocations]],
        none='Nothing is allocated',
        width=16,
        height=10,
      ),
      p.bars(
        'Mean over the time shown',
        'Allocations a second while a design ran, over the whole time that is shown. Good: your design longer than mutex. A mean over idle spans is lower: `stormglass bench` gives paired ratios with their intervals.',
        'ops',
        legend,
        'sum by (%s) (rate(stormglass_ring_hits_total{%s}[$__range]) + rate(stormglass_ring_misses_total{%s}[$__range]))' % [by, q.class, q.class],
        ['blue'],
        'Nothing is allocated',
        width=8,
        height=10,
      ),
    ]),
    board.row('What does a batch take?', [
      p.timeseries(
        'CAS attempts a batch',
        'CASes of pops for each batch of blocks that reached a ring. Good: 1. The paper\'s single pops (lockfree-single) need 32 at least.',
        'none',
        [[legend, pops('cas_attempts_total') + ' / ' + refills]],
        ['green', 8, 'yellow', 32, 'red'],
        noCas,
      ),
      p.timeseries(
        'Failed CASes a batch',
        'CASes of pops that another thread beat, for each batch. Good: below 0.1. On two cores that share one shard, walks fail about 1 and single pops more than 10.',
        'none',
        [[legend, pops('cas_failures_total') + ' / ' + refills]],
        ['green', 0.25, 'yellow', 1, 'red'],
        noCas,
      ),
      p.timeseries(
        'Blocks walked for each one kept',
        'The walk of Phase 7.1 stands inside the CAS loop: a failed CAS throws it away. Good: 1. The paper estimated 2.',
        'none',
        [[legend, '(%s + %s) / (%s > 0)' % [q.sum(by, 'walk_blocks_kept_total', q.class), q.sum(by, 'walk_blocks_wasted_total', q.class), q.sum(by, 'walk_blocks_kept_total', q.class)]]],
        ['green', 1.25, 'yellow', 2, 'red'],
        'No design here walks inside a CAS loop, or none runs',
      ),
      p.timeseries(
        'Blocks walked in vain',
        'Blocks a second that were walked for a CAS that failed: each is a cache line that was read for nothing. Good: 0.',
        'cps',
        [[legend, q.sum(by, 'walk_blocks_wasted_total', q.class)]],
        ['green', 1000000, 'red'],
        'No design here walks inside a CAS loop, or none runs',
      ),
    ]),
    board.row('How deep do retries go?', [
      p.depth(
        'Retries of one operation',
        'Rows are numbers of retries, in powers of two; brighter is more operations. Good: all in the lowest row. The storm is in the tail above it.',
        'none',
        q.sum('le', 'cas_retries_bucket', q.class),
        noCas,
      ),
      p.timeseries(
        'Retries of one operation, quantiles',
        'Half, one in a hundred and one in a thousand operations took more retries than this. Good: 0, below 4, below 16.',
        'none',
        [
          ['50% ' + legend, q.quantile(0.5, by, 'cas_retries', q.class)],
          ['99% ' + legend, q.quantile(0.99, by, 'cas_retries', q.class)],
          ['99.9% ' + legend, q.quantile(0.999, by, 'cas_retries', q.class)],
        ],
        ['green', 4, 'yellow', 16, 'red'],
        noCas,
      ),
      p.timeseries(
        'Retries for each operation, mean',
        'All retries over all operations on shared lists. Good: below 0.1. A mean hides the tail above: read both.',
        'none',
        [[legend, q.ratio(by, ['cas_retries_sum', q.class], ['cas_retries_count', q.class])]],
        ['green', 0.1, 'yellow', 1, 'red'],
        noCas,
      ),
      p.timeseries(
        'ABA averted',
        'CASes a second that failed by their version alone. Each would have gone through on a list that had changed, and corrupted it, in a design without versions. Good: any number; it says what the version is for.',
        'cps',
        [[legend, q.sum(by, 'aba_averted_total', q.class)]],
        ['blue'],
        'No design here has versioned heads, or none runs',
      ),
    ]),
    board.row('What did the mutexes take?', [
      p.timeseries(
        'Lock wait',
        'Seconds waited for locks in each second. Good: below 0.1. This is what Phase 7.1 set out to save; compare it with the slow paths below.',
        's',
        [[legend, q.sum(by, 'lock_wait_seconds_sum', q.class)]],
        ['green', 0.1, 'yellow', 0.5, 'red'],
        'No design here has a lock, or none runs',
      ),
      p.timeseries(
        'Time of one refill or spill',
        'Slow-path time for each batch: locks, walks and retries together, whatever the design does. Good: lower than that of mutex.',
        's',
        [[legend, '%s / %s' % [q.sum(by, 'slow_path_seconds_total', q.class), refills]]],
        ['green', 2e-6, 'yellow', 1e-5, 'red'],
      ),
    ]),
    board.row('Why? What the hardware says', [
      p.timeseries(
        'Cache misses for each block',
        'Cache misses of the process for each allocation. Good: below 0.1 on rings. Contended heads and walked links raise it.',
        'none',
        [[legend, 'sum by (%s) (rate(stormglass_perf_events_total{%s,event="cache_misses"}[$__rate_interval])) / (%s > 0)' % [by, q.process, allocations]]],
        ['green', 0.1, 'yellow', 1, 'red'],
        noEvents,
      ),
      p.timeseries(
        'Instructions a cycle',
        'Of the whole process. Good: above 1. Below 0.5 the cores mostly wait for memory.',
        'none',
        [[legend, 'sum by (%s) (rate(stormglass_perf_events_total{%s,event="instructions"}[$__rate_interval])) / (sum by (%s) (rate(stormglass_perf_events_total{%s,event="cycles"}[$__rate_interval])) > 0)' % [by, q.process, by, q.process]]],
        ['red', 0.5, 'yellow', 1, 'green'],
        noEvents,
      ),
    ]),
  ],
  [board.variables.instance, board.variables.command, board.variables.strategy, board.variables.class],
)
