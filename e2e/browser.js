// A page in Debian's Chromium, which remembers everything that a browser would complain of.
'use strict';
const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const { chromium } = require('playwright-core');

const QUIET = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

/** Opens `url`, waits for its first frame, runs `look(page)`, and fails if the browser complained of anything or the page
    asked any other host. */
exports.look = async function look(url, browserName, viewport, look) {
  const executablePath = execFileSync('which', [browserName], { encoding: 'utf8' }).trim();
  const browser = await chromium.launch({ executablePath, args: QUIET });
  const page = await browser.newPage({ viewport });
  const complaints = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    if (!request.url().startsWith(url)) complaints.push(`request to ${request.url()}`);
  });
  try {
    await page.goto(url);
    await page.waitForFunction(() => Number(document.body.dataset.frames) > 0, null, { timeout: 10000 });
    await look(page);
    assert.deepStrictEqual(complaints, [], 'the browser has no complaint');
  } finally {
    await browser.close();
  }
};

/** Fails if the page is wider than a phone. */
exports.fitsAPhone = async function fitsAPhone(page) {
  await page.setViewportSize({ width: 360, height: 800 });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert(overflow <= 0, `the page is ${overflow} px too wide for a phone`);
};

/** Runs a check, and ends the program with a sentence if it fails. */
exports.run = function run(main) {
  main().catch((error) => {
    console.error(error.message);
    process.exit(1);
  });
};
