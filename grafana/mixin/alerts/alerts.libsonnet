// Alerts: one a verdict, and one for each way in which watching or allocating itself goes wrong.
//
// Invariants: an alert judges nothing anew. What a verdict is, the sidecar's diagnosis decides, and page, terminal and CI
// say the same. Every expression is a value and its bound at the end, so that a test can ask for the value alone.
local verdicts = import '../lib/verdicts.libsonnet';

{
  local config = $._config,

  local alert(name, expression, wait, severity, summary, description, more={}) = {
    alert: name,
    expr: expression,
    'for': wait,
    labels: { severity: severity },
    annotations: {
      summary: summary,
      description: description,
      runbook_url: '%s#%s' % [config.runbookUrl, std.asciiLower(name)],
    } + more,
  },
  local who = '{{ $labels.command }} under {{ $labels.strategy }} on {{ $labels.instance }}',

  prometheusAlerts+:: {
    groups+: [
      {
        name: 'stormglass.verdicts',
        rules: [
          alert(
            verdict.alert,
            'process:stormglass_verdict_active:max{verdict="%s"} == 1' % verdict.id,
            config.verdictFor,
            verdict.severity,
            verdict.summary,
            '%s: %s has been on for at least %s.' % [who, verdict.id, config.verdictFor],
            {
              verdict_url: '%s#%s' % [config.verdictsUrl, verdict.id],
              dashboard_uid: if verdict.id == 'watching_cost' then 'stormglass-fleet' else 'stormglass-contention',
            },
          )
          for verdict in verdicts
        ],
      },
      {
        name: 'stormglass.operation',
        rules: [
          alert('StormglassSidecarDown', 'up{%s} == 0' % config.selector, '5m', 'warning', 'A sidecar does not answer.', '{{ $labels.instance }} has not answered a scrape for 5 minutes. Its programs go on; nobody sees them.'),
          alert('StormglassSeriesDropped', 'increase(stormglass_series_dropped_total[10m]) > 0', '0m', 'warning', 'A sidecar leaves series out.', '{{ $labels.instance }} had more series than it may show, and left {{ $value | humanize }} out in 10 minutes.'),
          alert('StormglassThreadsDropped', 'increase(stormglass_threads_dropped_total[10m]) > 0', '0m', 'warning', 'Threads are not counted.', who + ': {{ $value | humanize }} threads found no slot in 10 minutes. What they allocate is not shown.'),
          alert('StormglassPerfForbidden', 'count without (event, state) (stormglass_perf_state{state="forbidden"}) > 0', '10m', 'info', 'Hardware counters are forbidden.', who + ': {{ $value }} hardware events may not be counted. All else is.'),
          alert('StormglassSegmentErrors', 'increase(stormglass_segment_errors_total[10m]) > 0', '0m', 'warning', 'A sidecar refuses to read segments.', '{{ $labels.instance }} refused {{ $value | humanize }} files in 10 minutes: of another version, damaged, or of another owner. Its log names them.'),
          alert('StormglassScrapeSlow', 'rate(stormglass_scrape_duration_seconds_sum[10m]) / rate(stormglass_scrape_duration_seconds_count[10m]) > 1', '10m', 'warning', 'Scrapes take long.', '{{ $labels.instance }} takes {{ $value | humanizeDuration }} for a scrape.'),
          alert('StormglassAllocationsFail', 'sum without (class) (increase(stormglass_allocation_failures_total[10m])) > 0', '0m', 'critical', 'Allocations fail.', who + ': {{ $value | humanize }} allocations got no memory in 10 minutes.'),
          alert('StormglassLargeAllocationsFail', 'increase(stormglass_large_failures_total[10m]) > 0', '0m', 'critical', 'Large allocations fail.', who + ': {{ $value | humanize }} large allocations got no memory in 10 minutes.'),
          alert('StormglassLimitReached', 'increase(stormglass_limit_refusals_total[10m]) > 0', '0m', 'warning', 'A program is at its memory limit.', who + ': the limit (STORMGLASS_LIMIT) refused memory {{ $value | humanize }} times in 10 minutes.'),
          alert('StormglassKernelRefuses', 'increase(stormglass_kernel_refusals_total[10m]) > 0', '0m', 'critical', 'The kernel refuses memory.', who + ': the kernel refused memory {{ $value | humanize }} times in 10 minutes.'),
        ],
      },
    ],
  },
}
