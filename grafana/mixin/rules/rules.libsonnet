// Recorded series: what a fleet's dashboards, alerts and long-term storage ask instead of every shard of every process.
//
// Names are level:metric:operation. Level `process` is one group of processes behind one sidecar (labels job, instance,
// command, strategy, workload, and injected where a delay is); `command_strategy` is a design under a program over all
// hosts. Invariant: no recorded series has a shard, and none has a class.
{
  local config = $._config,
  local rate(metric) = 'rate(stormglass_%s[%s])' % [metric, config.window],
  local cell(metric) = 'sum without (op) (%s)' % rate(metric),
  local process(metric, expression) = { record: 'process:stormglass_' + metric, expr: expression },
  local sum(name, metric) = process(name + ':rate', 'sum without (class, shard, op) (%s)' % rate(metric)),

  prometheusRules+:: {
    groups+: [
      {
        name: 'stormglass.process',
        rules: [
          process('allocations:rate', 'sum without (class) (%s + %s)' % [rate('ring_hits_total'), rate('ring_misses_total')]),
          process('ring_hit_ratio', 'sum without (class) (%s) / (process:stormglass_allocations:rate > 0)' % rate('ring_hits_total')),
          sum('cas_attempts', 'cas_attempts_total'),
          sum('cas_failures', 'cas_failures_total'),
          process('cas_failures:max_shard_rate', 'max without (class, shard) (%s)' % cell('cas_failures_total')),
          // A shard with a CAS now and then is no storm, whatever share of them failed.
          process('cas_failures_per_attempt:max_shard', 'max without (class, shard) (%s / (%s > 1000))' % [cell('cas_failures_total'), cell('cas_attempts_total')]),
          process('cas_retries:p99', 'histogram_quantile(0.99, sum without (class, shard) (%s))' % rate('cas_retries_bucket')),
          sum('walk_blocks_kept', 'walk_blocks_kept_total'),
          sum('walk_blocks_wasted', 'walk_blocks_wasted_total'),
          sum('lock_wait_seconds', 'lock_wait_seconds_sum'),
          process('lock_wait_seconds:max_shard_rate', 'max without (class, shard) (%s)' % rate('lock_wait_seconds_sum')),
          sum('slow_path_seconds', 'slow_path_seconds_total'),
          sum('refills', 'refills_total'),
          sum('remote_frees', 'remote_frees_total'),
          sum('stolen_blocks', 'stolen_blocks_total'),
          process('verdict_active:max', 'max without (class, shard) (stormglass_verdict_active)'),
          process('verdicts_raised:rate', rate('verdicts_raised_total')),
        ],
      },
      {
        name: 'stormglass.fleet',
        rules: [
          {
            record: 'command_strategy:stormglass_%s:rate' % metric,
            expr: 'sum by (command, strategy) (process:stormglass_%s:rate)' % metric,
          }
          for metric in ['allocations', 'cas_attempts', 'cas_failures', 'lock_wait_seconds', 'slow_path_seconds']
        ] + [{
          record: 'command_strategy:stormglass_live_bytes:sum',
          expr: 'sum by (command, strategy) (stormglass_live_bytes)',
        }],
      },
    ],
  },
}
