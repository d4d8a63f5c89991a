// The verdicts that the sidecar may say, by the ids of its diagnosis, with what the alert, the dashboards and the runbook
// need to know of each. `panel` is the panel that shows the evidence, of the Contention dashboard but for the last one's. A
// storm is a warning; a waste or a note (docs/VERDICTS.md has the kinds) is for information.
[
  {
    id: 'retry_storm',
    alert: 'StormglassRetryStorm',
    panel: 'Failed CASes a batch',
    severity: 'warning',
    summary: 'Threads spend their time on CASes that fail.',
  },
  {
    id: 'walk_amplification',
    alert: 'StormglassWalkAmplification',
    panel: 'Blocks walked for each one kept',
    severity: 'warning',
    summary: 'Batches are walked again and again because their CAS fails.',
  },
  {
    id: 'cas_multiplication',
    alert: 'StormglassCasMultiplication',
    panel: 'CAS attempts a batch',
    severity: 'warning',
    summary: 'One batch takes many CASes where one would do.',
  },
  {
    id: 'lock_convoy',
    alert: 'StormglassLockConvoy',
    panel: 'Time spent waiting for locks',
    severity: 'warning',
    summary: "Threads queue behind a shard's lock.",
  },
  {
    id: 'ring_starvation',
    alert: 'StormglassRingStarvation',
    panel: 'Ring hit ratio',
    severity: 'info',
    summary: 'Thread-local rings miss so often that most work goes to the shards.',
  },
  {
    id: 'remote_free_flood',
    alert: 'StormglassRemoteFreeFlood',
    panel: 'Blocks given back to others',
    severity: 'info',
    summary: 'Most blocks are freed by a thread that does not own them.',
  },
  {
    id: 'steal_thrash',
    alert: 'StormglassStealThrash',
    panel: 'Steal scans and stolen blocks',
    severity: 'info',
    summary: 'Threads look into shards of others and find little.',
  },
  {
    id: 'false_non_empty',
    alert: 'StormglassFalseNonEmpty',
    panel: 'The mask said yes, the list was empty',
    severity: 'info',
    summary: 'The non-empty mask sends threads to lists that are empty.',
  },
  {
    id: 'watching_cost',
    alert: 'StormglassWatchingCost',
    panel: 'Time of one scrape',
    severity: 'info',
    summary: 'Counting or scraping takes a share of the machine that shows.',
  },
]
