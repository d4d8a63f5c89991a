// Any set of designs, one with a delay injected: every card, the mark on each of them, and the way from a design's name to
// its explanation. Usage: node designs.js URL OUT-DIRECTORY BROWSER DESIGN...
'use strict';
const assert = require('node:assert');
const path = require('node:path');
const { fitsAPhone, look, run } = require('./browser.js');

const [url, out, browserName, ...designs] = process.argv.slice(2);

run(() => look(url, browserName, { width: 1440, height: 900 }, async (page) => {
  await page.waitForSelector('#progress.done', { timeout: 120000 });
  for (const design of designs) {
    const card = `#grids section[data-strategy="${design}"]`;
    await page.waitForSelector(card, { timeout: 10000, state: 'attached' });
    const mark = await page.$eval(`${card} .injected`, (node) => ({ hidden: node.hidden, text: node.textContent.replace(/\s/g, ' ') }));
    assert.deepStrictEqual(mark, { hidden: false, text: 'delay injected: class 8192, shard 3, 500 ns' }, design);
    assert(await page.$(`#results tr[data-design="${design}"] .injected`), `${design}'s row says that it was delayed`);
  }

  // By keyboard: from the name in the table to the paragraph with its picture.
  const design = designs.at(-1);
  await page.focus(`#results tr[data-design="${design}"] a[href="#design-${design}"]`);
  await page.keyboard.press('Enter');
  await page.waitForFunction((name) => document.getElementById(`design-${name}`)?.open, design, { timeout: 5000 });
  const about = await page.$eval(`#design-${design}`, (node) => ({
    words: node.textContent.length, pictures: node.querySelectorAll('svg').length, top: node.getBoundingClientRect().top,
  }));
  assert(about.words > 300 && about.pictures > 0, 'an explanation with a picture');
  assert(about.top >= 0 && about.top < 900, 'it is in sight');

  await page.screenshot({ path: path.join(out, 'designs.png'), fullPage: true });
  await fitsAPhone(page);
  await page.screenshot({ path: path.join(out, 'designs-phone.png'), fullPage: true });
}));
