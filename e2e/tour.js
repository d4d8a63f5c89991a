// The pictures of docs/TOUR.md, while a benchmark runs that it starts itself, once somebody looks.
// Usage: node tour.js PAGE PROMETHEUS OUT BROWSER BENCHMARK…
'use strict';
const path = require('node:path');
const { execFileSync, spawn } = require('node:child_process');
const { once } = require('node:events');
const { chromium } = require('playwright-core');

const [url, prometheus, out, browserName, program, ...words] = process.argv.slice(2);
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
    const benchmark = spawn(program, words, { stdio: ['ignore', 'inherit', 'inherit'] });
    const ended = once(benchmark, 'exit');
    await page.getByText('Retry storm').first().waitFor({ timeout: 20000 });
    await page.waitForTimeout(1500);
    await page.screenshot({ path: path.join(out, 'tour-page.png') });
    await page.hover('section[data-strategy="lockfree-single"] [data-class="8192"][data-shard="3"]');
    await page.waitForTimeout(500);
    await page.locator('section[data-strategy="lockfree-single"]').screenshot({ path: path.join(out, 'tour-cell.png') });
    await ended;
    await page.close();
    await new Promise((resolve) => { setTimeout(resolve, 2000); });
    const graph = await browser.newPage({ viewport: { width: 1000, height: 830 } });
    for (const [name, expr] of Object.entries(graphs)) {
      await graph.goto(`${prometheus}/graph?${new URLSearchParams({ 'g0.expr': expr, 'g0.tab': '0', 'g0.range_input': '24s', 'g0.step_input': '1', 'g0.stacked': '0' })}`);
      // Of the interface that Debian's package has.
      await graph.waitForSelector('.graph_area svg, .graph svg', { timeout: 15000 });
      await graph.waitForTimeout(1500);
      await graph.screenshot({ path: path.join(out, `${name}.png`), clip: { x: 0, y: 104, width: 1000, height: 726 } });
    }
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
