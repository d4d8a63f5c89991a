// Opens the page in a real browser while the benchmark runs, and checks that it shows the storm's numbers: the grid, the
// time lines, the table. Usage: node page.js URL OUT-DIRECTORY BROWSER START (when stormglass was started, ms since 1970)
'use strict';
const assert = require('node:assert');
const path = require('node:path');
const { fitsAPhone, look, run } = require('./browser.js');

const [url, out, browserName, started] = process.argv.slice(2);
const asked = Date.now();

run(() => look(url, browserName, { width: 1440, height: 900 }, async (page) => {
  console.log(`first frame ${Date.now() - asked} ms after the request, ${Date.now() - Number(started)} ms after the start`);

  const first = Number(await page.evaluate(() => document.body.dataset.frames));
  await page.waitForTimeout(3000);
  const rate = (Number(await page.evaluate(() => document.body.dataset.frames)) - first) / 3;
  console.log(`${rate.toFixed(1)} frames a second`);

  // A sidecar that was started again after the clock was set back: the lines go on with its time, and nothing lies ahead.
  const back = await page.evaluate(async () => {
    const { Store } = await import('/store.js');
    const store = new Store();
    const process = { id: '1', strategy: 'mutex', workload: 'w', live: true, age_seconds: 0, created: 0, rates: {} };
    for (const time of [3600000, 3600500, 1000000, 1000500]) store.frame({ time, processes: [process], left_out: 2 });
    return { times: store.runs()[0].points.map((p) => p[0]), end: store.edge().end, leftOut: store.leftOut };
  });
  assert.deepStrictEqual(back, { times: [1000000, 1000500], end: 1000500, leftOut: 2 });

  // The storm: all three designs, and the single pops' failures on the one shard that is fought over.
  for (const design of ['mutex', 'lockfree-walk', 'lockfree-single']) {
    await page.waitForSelector(`#grids section[data-strategy="${design}"]`, { timeout: 20000 });
  }
  await page.waitForFunction(() => {
    const cell = document.querySelector(
      '#grids section[data-strategy="lockfree-single"] [data-class="8192"][data-shard="3"]');
    return cell && Number(cell.dataset.value) > 1000;
  }, null, { timeout: 30000 });
  await page.waitForFunction(() =>
    [...document.querySelectorAll('#timelines [data-series]')].length >= 4 &&
    [...document.querySelectorAll('#timelines [data-series]')].every((el) => Number(el.dataset.points) > 5),
  null, { timeout: 20000 });

  // Look at the storm while it rages, as a user does who opens the page at once.
  await page.screenshot({ path: path.join(out, 'page-storm.png') });

  // The results grow run by run; when the last one is in, the page says so and shows the stormiest workload.
  await page.waitForSelector('#progress.done', { timeout: 90000 });
  // By hand rather than by "follow", which shows whichever workload stormed most: on a busy machine that may be another.
  await page.locator('#workloads label', { hasText: 'storm' }).click();
  await page.waitForFunction(() => [...document.querySelectorAll('#grids section[data-strategy]')].every((card) =>
    card.dataset.workload.startsWith('storm') && card.dataset.live === 'false'), null, { timeout: 15000 });
  const frame = await page.evaluate(async () => (await fetch('/api/snapshot')).json());
  const storm = frame.results.tables.find((table) => table.workload === 'storm');
  assert.strictEqual(frame.results.tables.length, 2, 'a table for each workload');

  // The table says what the report says, design by design.
  for (const row of storm.rows) {
    const shown = await page.$eval(`#results tr[data-design="${row.design}"]`, (tr) =>
      Object.fromEntries([...tr.querySelectorAll('td[data-column]')].map((td) => [td.dataset.column, td.dataset.value])));
    assert.strictEqual(Number(shown.median), row.median_ops_per_second, `${row.design}: throughput`);
    assert.strictEqual(shown.failures_per_batch, String(row.measures.failures_per_batch ?? ''), `${row.design}: failures`);
    assert.strictEqual(shown.sentence, row.sentence);
  }

  // The grid of each design says what the snapshot says of that process, and only the shard that was fought over is hot.
  const cards = await page.$$eval('#grids section[data-strategy]', (all) => all.map((card) => ({
    strategy: card.dataset.strategy,
    pid: Number(/pid (\d+)/.exec(card.querySelector('.facts').textContent)[1]),
    cells: [...card.querySelectorAll('[role="gridcell"]')].map((c) => [c.dataset.class, c.dataset.shard, c.dataset.value]),
  })));
  for (const card of cards) {
    const process = frame.processes.find((p) => p.pid === card.pid);
    for (const [cls, shard, value] of card.cells) {
      const cell = process.grid.cas_failures_per_second[process.classes.indexOf(cls)][process.shards.indexOf(shard)];
      assert.strictEqual(value, String(cell ?? ''), `${card.strategy}, class ${cls}, shard ${shard}`);
      if (Number(value) > 0) assert.deepStrictEqual([cls, shard], ['8192', '3'], `${card.strategy} is hot elsewhere`);
    }
  }
  const failures = (design) => storm.rows.find((row) => row.design === design).measures.failures_per_batch;
  for (const { design, measures } of storm.rows) {
    console.log(`storm, ${design}: ${measures.failures_per_batch} failed CASes a batch, ` +
      `${measures.walked_per_kept} walked a block kept, ${measures.lock_wait_ratio} s/s lock wait`);
  }
  assert(failures('lockfree-single') > failures('lockfree-walk'), 'single pops fail more CASes a batch than walks do');
  assert(failures('lockfree-walk') > 0 && failures('mutex') === 0);

  await page.screenshot({ path: path.join(out, 'page-light.png'), fullPage: true });
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.screenshot({ path: path.join(out, 'page-dark.png'), fullPage: true });
  await fitsAPhone(page);
  await page.screenshot({ path: path.join(out, 'page-phone.png'), fullPage: true });
}));
