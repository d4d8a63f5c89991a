// What a user of the mixin may change. Everything that is generated here is generated with these values.
{
  _config+:: {
    // Which targets are sidecars.
    selector: 'job="stormglass"',
    // Window of every rate in rules and alerts: at least four scrapes, so that a lost one leaves a rate.
    window: '2m',
    // How long a verdict must stay on before somebody is told. The sidecar already waits before it says one.
    verdictFor: '2m',
    // Where docs/RUNBOOK.md and docs/VERDICTS.md are published. A path of the repository as it stands here.
    runbookUrl: 'docs/RUNBOOK.md',
    verdictsUrl: 'docs/VERDICTS.md',
    dashboardTags: ['stormglass'],
    dashboardRefresh: '5s',
  },
}
