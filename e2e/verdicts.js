// The way of a verdict from a storm to the screen: it is the first thing on the page, says what, where and what to try, leads to
// the cell that it marks, and goes away calmly when the storm is over. The storm is an invented one, so that it rages on a busy
// machine too, where threads are kept apart: `WEATHER=gale` of dashboard/examples/weather.rs.
// Usage: node verdicts.js URL OUT-DIRECTORY BROWSER
'use strict';
const assert = require('node:assert');
const path = require('node:path');
const { fitsAPhone, look, run } = require('./browser.js');

const [url, out, browserName] = process.argv.slice(2);

run(() => look(url, browserName, { width: 1440, height: 900 }, async (page) => {
  // It rages: a line for it, by the numbers of the stream.
  const line = '#verdicts li[data-verdict="retry_storm"][data-series="lockfree-single"]';
  await page.waitForSelector(`${line}[data-on="true"]`, { timeout: 60000 });
  const frame = await page.evaluate(async () => (await fetch('/api/snapshot')).json());
  const storming = frame.processes.find((p) => p.verdicts.some((v) => v.verdict === 'retry_storm'));
  assert(storming, 'the snapshot has the verdict too');
  const verdict = storming.verdicts.find((v) => v.verdict === 'retry_storm');
  assert.deepStrictEqual([verdict.class, verdict.shard, verdict.severity], ['8192', '3', 'storm']);
  assert(verdict.since <= frame.time && verdict.until === null && verdict.figures.failures_per_second > 0);
  assert((await page.$eval('#verdicts-title', (node) => node.textContent)).match(/^\d+ verdicts? now$/));

  // The first thing that one sees: above all else on the page, and in sight.
  const [top, next] = await page.$$eval('main > section:not([hidden])', (all) => all.slice(0, 2).map((node) => [node.id, node.getBoundingClientRect().top]));
  assert(top[0] === 'verdicts' && top[1] < 200 && next[1] > top[1], 'it stands first');
  assert.strictEqual(await page.$eval('p[role="status"].unseen', (node) => /[a-z]/i.test(node.textContent)), true, 'it is announced');
  const said = await page.$eval(`${line} summary`, (node) => node.textContent);
  for (const part of ['storm', 'Retry storm', 'lockfree-single', '8 KiB shard 3', 'failed CASes']) assert(said.includes(part), `${part} in: ${said}`);
  await page.screenshot({ path: path.join(out, 'verdicts-first.png') });

  // The cell is marked, for eyes and for readers.
  const cell = '#grids section[data-strategy="lockfree-single"] [data-class="8192"][data-shard="3"]';
  await page.waitForFunction((at) => document.querySelector(at)?.getAttribute('aria-label').includes('Retry storm'), cell, { timeout: 5000 });
  assert.strictEqual(await page.$$eval('#grids section[data-strategy="lockfree-single"] [role="gridcell"][data-verdict]', (all) => all.length), 1);

  // By keyboard: open it, read what to try, and go to the cell.
  await page.focus(`${line} summary`);
  await page.keyboard.press('Enter');
  const advice = await page.$eval(`${line} details[open] .body`, (node) => ({
    text: node.textContent, designs: [...node.querySelectorAll('a[href^="#design-"]')].map((a) => a.textContent) }));
  assert(advice.text.includes('What to try') && advice.text.length > 400);
  assert(advice.designs.includes('page') && advice.designs.includes('depot'), `designs that avoid it: ${advice.designs}`);
  await page.screenshot({ path: path.join(out, 'verdicts-open.png') });
  await page.focus(`${line} .body > button`);
  await page.keyboard.press('Enter');
  assert.deepStrictEqual(await page.evaluate(() => [document.activeElement.dataset.class, document.activeElement.dataset.shard]), ['8192', '3']);
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.screenshot({ path: path.join(out, 'verdicts-cell-dark.png') });
  await page.emulateMedia({ colorScheme: 'light' });

  // The storm ends: no verdict now, and what was is still told; no cell is marked.
  await page.waitForSelector(`${line}[data-on="false"]`, { timeout: 90000 });
  await page.waitForSelector('#verdicts[data-on="0"]', { timeout: 15000 });
  assert.strictEqual(await page.$eval('#verdicts-title', (node) => node.textContent), 'No verdict now');
  assert.match(await page.$eval(`${line} .when`, (node) => node.textContent), /^over, /);
  assert.strictEqual(await page.$$eval('[role="gridcell"][data-verdict]', (all) => all.length), 0);
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: path.join(out, 'verdicts-over.png') });

  // Frames that nobody measured: many places of one verdict are one line, and what is over leaves after a minute.
  const lines = await page.evaluate(async () => {
    const { gather, Verdicts } = await import('/verdicts.js');
    const node = document.createElement('section');
    document.body.append(node);
    const list = new Verdicts(node, () => {});
    const verdict = (shard, until = null) => ({ verdict: 'lock_convoy', title: 'Lock convoy', severity: 'storm', class: '2048', shard: String(shard),
      since: 1000, until, evidence: 'invented', says: '', means: '', advice: '', injected: false });
    const process = { command: 'x', strategy: 'mutex', workload: 'w', general: null, live: true, injected: null };
    const shown = (frame) => {
      list.update(gather(frame), frame.time);
      return [...node.querySelectorAll('li')].map((li) => `${li.dataset.on} ${li.querySelector('.where').textContent}`);
    };
    const frame = (time, active, past) => shown({ time, processes: [{ ...process, verdicts: active, past_verdicts: past }], sidecar_verdicts: [] });
    const seen = [frame(2000, [0, 1, 2].map((s) => verdict(s)), []), frame(3000, [], [verdict(2, 2500)]),
      shown({ time: 50000, processes: [], sidecar_verdicts: [] }), shown({ time: 63000, processes: [], sidecar_verdicts: [] })];
    node.remove();
    return seen;
  });
  assert.deepStrictEqual(lines, [['true 2 KiB shard 0 and 2 more'], ['false 2 KiB shard 2'], ['false 2 KiB shard 2'], []]);

  await fitsAPhone(page);
  await page.screenshot({ path: path.join(out, 'verdicts-phone.png') });
  console.log(`from storm to screen: ${verdict.evidence}`);
}));
