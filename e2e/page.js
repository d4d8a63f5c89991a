// Opens the page in a real browser while the benchmark runs, and checks that it shows the storm's numbers: the grid, the
// time lines, the table. Usage: node page.js URL OUT-DIRECTORY BROWSER
'use strict';
const assert = require('node:assert');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { chromium } = require('playwright-core');

const [url, out, browserName] = process.argv.slice(2);
const QUIET = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

async function main() {
  const executablePath = execFileSync('which', [browserName], { encoding: 'utf8' }).trim();
  const browser = await chromium.launch({ executablePath, args: QUIET });
  const page = await browser.newPage({ viewport: { width: 1440, height: 1400 } });
  const complaints = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    if (!request.url().startsWith(url)) complaints.push(`request to ${request.url()}`);
  });

  const start = Date.now();
  await page.goto(url);
  await page.waitForFunction(() => Number(document.body.dataset.frames) > 0, null, { timeout: 10000 });
  console.log(`first frame ${Date.now() - start} ms after the request`);

  const first = Number(await page.evaluate(() => document.body.dataset.frames));
  await page.waitForTimeout(3000);
  const rate = (Number(await page.evaluate(() => document.body.dataset.frames)) - first) / 3;
  console.log(`${rate.toFixed(1)} frames a second`);

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

  // The results grow run by run; wait for the last one.
  await page.waitForFunction(() => {
    const rows = [...document.querySelectorAll('#results tr[data-design]')];
    return rows.length >= 6;
  }, null, { timeout: 90000 });
  const rows = await page.$$eval('#results tr[data-design]', (all) => all.map((row) => ({
    design: row.dataset.design,
    ...Object.fromEntries([...row.querySelectorAll('td[data-column]')].map((td) => [td.dataset.column, td.dataset.value])),
  })));
  console.log(JSON.stringify(rows, null, 1));
  const single = rows.find((row) => row.design === 'lockfree-single');
  const walk = rows.find((row) => row.design === 'lockfree-walk');
  const numbers = (row) => Object.values(row).map(Number).filter((n) => Number.isFinite(n));
  assert(numbers(single).length >= 3 && numbers(walk).length >= 3, 'the table carries numbers');

  await page.screenshot({ path: path.join(out, 'page-light.png'), fullPage: true });
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.screenshot({ path: path.join(out, 'page-dark.png'), fullPage: true });
  await page.setViewportSize({ width: 360, height: 800 });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert(overflow <= 0, `the page is ${overflow} px too wide for a phone`);
  await page.screenshot({ path: path.join(out, 'page-phone.png'), fullPage: true });
  assert.deepStrictEqual(complaints, [], 'the browser has no complaint');
  await browser.close();
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
