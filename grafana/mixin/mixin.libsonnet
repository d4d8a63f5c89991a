// The mixin's root, as vendors of monitoring mixins expect it: hidden fields for dashboards, alerts, rules, and what to
// change of them. `(import 'mixin.libsonnet') + { _config+:: { selector: 'job="alloc"' } }` is all that a user writes.
(import 'config.libsonnet') +
(import 'alerts/alerts.libsonnet') +
(import 'rules/rules.libsonnet') +
(import 'dashboards/dashboards.libsonnet')
