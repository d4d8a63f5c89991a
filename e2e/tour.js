// The pictures of docs/TOUR.md. Usage: node tour.js PAGE PROMETHEUS OUT BROWSER
'use strict';
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { chromium } = require('playwright-core');

const [url, prometheus, out, browserName] = process.argv.slice(2);
const graphs = {
  'tour-shard': 'topk(5, sum by (class, shard) (rate(stormglass_cas_failures_total[5s])))',
  'tour-retries': 'histogram_quantile(0.99, sum by (le, strategy) (rate(stormglass_cas_retries_bucket[5s])))',
  'tour-throughput': 'sum by (strategy) (rate(stormglass_ring_hits_total[5s]) + rate(stormglass_ring_misses_total[5s]))',
};

async function main() {
  const executablePath = execFileSync('which', [browserName], { encoding: 'utf8' }).trim();
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    await page.goto(url);
    await page.waitForFunction(() => [...document.querySelectorAll('[data-class="8192"][data-shard="3"]')].some((cell) => Number(cell.dataset.value) > 10000), null, { timeout: 20000 });
    await page.waitForTimeout(4000);
    await page.screenshot({ path: path.join(out, 'tour-page.png') });
    await page.hover('section[data-strategy="lockfree-single"] [data-class="8192"][data-shard="3"]');
    await page.waitForTimeout(600);
    await page.screenshot({ path: path.join(out, 'tour-cell.png') });
    // Until both designs have run, and a little longer.
    await page.waitForTimeout(17000);
    const graph = await browser.newPage({ viewport: { width: 1200, height: 760 } });
    for (const [name, expr] of Object.entries(graphs)) {
      await graph.goto(`${prometheus}/graph?${new URLSearchParams({ 'g0.expr': expr, 'g0.tab': '0', 'g0.range_input': '40s', 'g0.step_input': '1', 'g0.stacked': '0' })}`);
      await graph.waitForSelector('.graph-chart canvas', { timeout: 15000 });
      await graph.waitForTimeout(1500);
      await graph.screenshot({ path: path.join(out, `${name}.png`) });
    }
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
