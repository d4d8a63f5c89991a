// Selectors and the few shapes of expressions that panels share.
//
// Invariant: nothing here fills in a 0. What a process does not count has no series, and the panel says so.
local of(labels) = '{' + labels + '}';
local process = 'instance=~"$instance",command=~"$command",strategy=~"$strategy"';
{
  process: process,
  class: process + ',class=~"$class"',
  // A rate over Grafana's own choice of window.
  rate(metric, labels):: 'rate(stormglass_%s%s[$__rate_interval])' % [metric, of(labels)],
  sum(by, metric, labels):: 'sum by (%s) (%s)' % [by, self.rate(metric, labels)],
  gauge(by, metric, labels):: 'sum by (%s) (stormglass_%s%s)' % [by, metric, of(labels)],
  // Parts for each of a whole; none where the whole stands still.
  ratio(by, parts, whole):: '%s / (%s > 0)' % [
    self.sum(by, parts[0], parts[1]),
    self.sum(by, whole[0], whole[1]),
  ],
  // A quantile of a histogram; none while nothing is counted in it.
  quantile(q, by, metric, labels):: 'histogram_quantile(%g, %s)' % [q, self.sum('le, ' + by, metric + '_bucket', labels)],
}
