// The past on the page: pause, back, zoom, two processes and two spans side by side, a capture; and the page of a recording.
// Usage: node past.js live|replay URL OUT-DIRECTORY BROWSER
'use strict';
const assert = require('node:assert');
const path = require('node:path');
const { fitsAPhone, look, run } = require('./browser.js');

const [mode, url, out, browserName] = process.argv.slice(2);
const shot = (page, name, more = {}) => page.screenshot({ path: path.join(out, `past-${name}.png`), ...more });
const at = (page) => page.$eval('#past', (node) => Number(node.dataset.at));
const headline = (page) => page.$eval('#headline', (node) => node.textContent);
const json = (page, address) => page.evaluate(async (a) => (await fetch(a)).json(), address);
/** Waits until the page shows a moment that it was sent to, and no answer is on its way. */
const settled = (page) => page.waitForFunction(() => document.body.classList.contains('paused') && document.querySelector('#past').dataset.at !== '', null, { timeout: 10000 });

/** What a card says is what the sidecar says of that second. */
async function cardsAreOf(page, moment) {
  const frame = await json(page, `/api/past?from=${moment - 1000}&to=${moment}`);
  for (const process of frame.processes) {
    const card = `#grids section[data-strategy="${process.strategy}"]`;
    const shown = await page.$eval(`${card} [data-measure="allocations_per_second"]`, (node) => node.dataset.value);
    assert.strictEqual(Number(shown), process.rates.allocations_per_second, `${process.strategy} at ${moment}`);
  }
  return frame;
}

async function live(page) {
  await page.waitForSelector('#past:not([hidden])', { timeout: 10000 });
  for (const design of ['mutex', 'lockfree-single']) {
    await page.waitForSelector(`#grids section[data-strategy="${design}"][data-live="true"]`, { timeout: 20000 });
  }
  // Enough of a past to go back in.
  for (let tries = 0; ; tries += 1) {
    const { from, to, captures } = await json(page, '/api/past/reach');
    if (to - from > 14000 && captures.length > 0) break;
    assert(tries < 120, `${to - from} ms of past and ${captures.length} captures after a minute`);
    await page.waitForTimeout(500);
  }

  // Pause: the numbers stand still while time goes on; and go on again.
  await page.click('#pause');
  const before = [await headline(page), await at(page)];
  await page.waitForTimeout(1500);
  assert.deepStrictEqual([await headline(page), await at(page)], before, 'paused is paused');
  await shot(page, 'paused');
  await page.click('#pause');
  await page.waitForFunction(() => document.querySelector('#past').dataset.away === 'false');

  // Back ten seconds, by keyboard, and then second by second on the slider.
  await page.focus('#past [aria-label="Ten seconds back"]');
  await page.keyboard.press('Enter');
  await settled(page);
  const back = await at(page);
  await cardsAreOf(page, back);
  await page.focus('#past input[type="range"]');
  await page.keyboard.press('ArrowLeft');
  await page.waitForFunction((was) => Number(document.querySelector('#past').dataset.at) < was, back);
  const further = await at(page);
  assert(back - further >= 500 && back - further <= 2000, `a step of the slider is a second, not ${back - further} ms`);
  await page.waitForTimeout(500);
  await cardsAreOf(page, further);
  assert.match(await page.$eval('#timelines-words', (node) => node.textContent), /^60 seconds up to /);
  await shot(page, 'back');

  // A click on a line goes there.
  const chart = await page.$('#timelines svg[data-series="throughput"]');
  await chart.scrollIntoViewIfNeeded();
  const box = await chart.boundingBox();
  await page.mouse.click(box.x + box.width * 0.95, box.y + box.height / 2);
  await page.waitForFunction((was) => Number(document.querySelector('#past').dataset.at) !== was, further);

  // Two processes, then one of them in two spans.
  await page.click('#past button[aria-controls="compare"]');
  await page.waitForFunction(() => Number(document.querySelector('#compare').dataset.loaded) > 0);
  const designs = await page.$$eval('#compare .side [data-strategy]', (cards) => cards.map((card) => card.dataset.strategy));
  assert.deepStrictEqual([...designs].sort(), ['lockfree-single', 'mutex'], 'two processes');
  await page.$eval('#compare', (node) => node.scrollIntoView());
  await shot(page, 'two-processes');
  const [b, ends] = await page.evaluate(() => {
    const side = document.querySelector('[data-side="B"]');
    const who = document.querySelector('[data-side="A"] select').value;
    const pick = side.querySelector('select');
    pick.value = who;
    pick.dispatchEvent(new Event('input', { bubbles: true }));
    return [who, side.querySelector('input').value];
  });
  await page.waitForFunction((id) => document.querySelector('[data-side="B"] select').value === id
    && Number(document.querySelector('#compare').dataset.loaded) > 1, b);
  await page.focus('[data-side="B"] input[type="range"]');
  for (let i = 0; i < 5; i += 1) await page.keyboard.press('ArrowLeft');
  await page.waitForFunction((was) => {
    const words = [...document.querySelectorAll('#compare .side .when')].map((node) => node.textContent);
    return words[0] !== words[1] && document.querySelector('[data-side="B"] input').value < was;
  }, ends);
  await page.waitForTimeout(700);
  const rows = await page.$$eval('.versus tbody tr', (all) => all.map((row) => [row.dataset.row, row.children[1].textContent, row.children[2].textContent]));
  assert(rows.some(([name]) => name === 'allocations/s') && rows.length >= 5, JSON.stringify(rows));
  await shot(page, 'two-spans');
  await page.click('#past button[aria-controls="compare"]');

  // From a capture one sees what led to the verdict, and can take it away.
  await page.evaluate(() => scrollTo(0, 0));
  await page.click('.captures summary');
  await shot(page, 'captures');
  const capture = await page.$eval('.captures button[data-capture]', (node) => Number(node.dataset.capture));
  await page.click(`.captures button[data-capture="${capture}"]`);
  await page.waitForFunction((id) => document.querySelector('#past .when').textContent.startsWith(`capture ${id}: `), capture);
  await page.waitForFunction(() => document.querySelectorAll('#grids section[data-strategy]:not([hidden])').length === 1);
  await shot(page, 'capture');
  const file = await page.evaluate(async (id) => {
    const answer = await fetch(`/api/past/captures/${id}`);
    const bytes = new Uint8Array(await answer.arrayBuffer());
    return [answer.headers.get('content-disposition'), String.fromCharCode(...bytes.slice(1, 6))];
  }, capture);
  assert.match(file[0], /attachment; filename="[a-z_]+-\d+-\d+\.sgrec"/);
  assert.strictEqual(file[1], 'SGREC');
  await page.click('#past .live');
  await page.waitForFunction(() => document.querySelector('#past').dataset.away === 'false'
    && document.querySelectorAll('#grids section[data-strategy]:not([hidden])').length >= 2);

  // Further out, and played back faster than it went until it is now again.
  await page.selectOption('#past .zoom select', '300000');
  await page.waitForFunction(() => document.querySelector('#timelines-words').textContent === 'The last 5 minutes'
    && [...document.querySelectorAll('#timelines [data-series]')].some((node) => Number(node.dataset.points) > 5));
  await page.selectOption('#past select[aria-label="Speed"]', '16');
  await page.click('#past [aria-label="Ten seconds back"]');
  await settled(page);
  await page.click('#past .play');
  await page.waitForFunction(() => document.querySelector('#past').dataset.away === 'false', null, { timeout: 15000 });

  await named(page);
  await page.click('#past [aria-label="Ten seconds back"]');
  await settled(page);
  await page.emulateMedia({ colorScheme: 'dark' });
  await shot(page, 'dark');
  await fitsAPhone(page);
  await shot(page, 'phone');
  await page.click('#past button[aria-controls="compare"]');
  await page.waitForFunction(() => Number(document.querySelector('#compare').dataset.loaded) > 2);
  await fitsAPhone(page);
  await page.$eval('#compare', (node) => node.scrollIntoView());
  await shot(page, 'phone-compare');
}

/** Every control has a name that can be read out. */
async function named(page) {
  const nameless = await page.$$eval('#past :is(button, select, input, a, summary), #compare :is(button, select, input)', (all) =>
    all.filter((node) => !(node.getAttribute('aria-label') || node.textContent.trim())).map((node) => node.outerHTML));
  assert.deepStrictEqual(nameless, [], 'controls without a name');
}

async function replay(page) {
  await page.waitForFunction(() => document.querySelector('#past .when')?.textContent.startsWith('recording '), null, { timeout: 10000 });
  const reach = await json(page, '/api/past/reach');
  // It plays by itself, from its beginning to its end, where it stays.
  await page.waitForFunction(() => document.querySelector('#past').dataset.playing === 'true');
  const first = await at(page);
  assert(first - reach.from < 5000 * reach.recording.speed, 'from the beginning');
  await page.waitForFunction((was) => Number(document.querySelector('#past').dataset.at) > was, first);
  await shot(page, 'replay');
  await page.keyboard.press('Space');
  await page.waitForFunction(() => document.querySelector('#past').dataset.playing === 'false');
  await page.waitForTimeout(500);
  const stood = await at(page);
  await page.waitForTimeout(800);
  assert.strictEqual(await at(page), stood, 'it stands still');
  await page.focus('#past input[type="range"]');
  await page.keyboard.press('Home');
  await page.waitForFunction((from) => Number(document.querySelector('#past').dataset.at) - from < 1000, reach.from);
  await page.keyboard.press('End');
  await page.waitForFunction((to) => to - Number(document.querySelector('#past').dataset.at) < 1000, reach.to);
  await page.waitForTimeout(500);
  await cardsAreOf(page, await at(page));
  assert(await page.$eval('#past .live', (node) => node.hidden), 'a recording has no now');
  await page.click('#past button[aria-controls="compare"]');
  await page.waitForFunction(() => Number(document.querySelector('#compare').dataset.loaded) > 0);
  await named(page);
  await shot(page, 'replay-end');
  await fitsAPhone(page);
}

run(() => look(url, browserName, { width: 1440, height: 900 }, async (page) => {
  await (mode === 'replay' ? replay : live)(page);
  console.log(`the past, ${mode}: passed`);
}));
