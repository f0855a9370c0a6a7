// Measures the pages of SERVER, signed in by LINK: how long the server takes to answer each of them, one request
// after the other, and what Chromium says of loading them. Writes the figures to JSON, where that is a path.

import { createRequire } from "node:module";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

const { chromium } = createRequire(import.meta.url)(join(process.env.MODULES, "playwright-core"));
const { SERVER: server, LINK: link, REQUESTS: requests, JSON_FILE: file } = process.env;
const LOADS = 5;
const TARGETS = { p99_ms: 50, lcp_ms: 1000, cls: 0.02 };

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: process.getuid() === 0 ? ["--no-sandbox"] : [],
});
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  await page.goto(server + link);
  const go = page.locator("main form button");
  if (await go.count()) await go.first().click();
  await page.waitForSelector(".who");
  const first = async (place) => {
    await page.goto(server + place);
    return page.locator("tbody th a").first().getAttribute("href");
  };
  const places = ["/", "/?range=90d", "/campaigns", await first("/campaigns"), "/events", await first("/events"), "/search?q=letter", "/users", "/tokens", "/sessions", "/audit", "/settings", "/profile", "/profile/security", "/about", "/sign-in"];
  const cookies = await context.cookies();
  const cookie = cookies.map(({ name, value }) => `${name}=${value}`).join("; ");

  console.log("page                                    p50 ms    p99 ms    LCP ms    CLS");
  const found = [];
  const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
  for (const place of places) {
    const taken = [];
    for (let count = 0; count < Number(requests); count++) {
      const start = performance.now();
      const signedIn = place === "/sign-in" ? {} : { cookie };
      const answer = await fetch(server + place, { headers: { ...signedIn, accept: "text/html" }, redirect: "manual" });
      await answer.arrayBuffer();
      if (answer.status !== 200) throw new Error(`${place}: ${answer.status}`);
      taken.push(performance.now() - start);
      // Below the limit on one source.
      await new Promise((done) => setTimeout(done, 12));
    }
    taken.sort((a, b) => a - b);
    const at = (part) => taken[Math.min(taken.length - 1, Math.floor(taken.length * part))];
    // The best of a browser's caches would flatter: each load has a new context.
    const [paints, shifts] = [[], []];
    for (let load = 0; load < LOADS; load++) {
      const fresh = await browser.newContext({ viewport: { width: 1280, height: 800 }, storageState: place === "/sign-in" ? undefined : await context.storageState() });
      const page = await fresh.newPage();
      await page.addInitScript(() => {
        window.vitals = { lcp: 0, cls: 0 };
        new PerformanceObserver((list) => (window.vitals.lcp = list.getEntries().at(-1).startTime)).observe({ type: "largest-contentful-paint", buffered: true });
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.vitals.cls += entry.value;
        }).observe({ type: "layout-shift", buffered: true });
      });
      await page.goto(server + place);
      await page.waitForFunction(() => window.vitals.lcp > 0);
      const { lcp, cls } = await page.evaluate(() => window.vitals);
      paints.push(lcp);
      shifts.push(cls);
      await fresh.close();
    }
    const [lcp, cls] = [median(paints), Math.max(...shifts)];
    found.push({ page: place, p50_ms: at(0.5), p99_ms: at(0.99), lcp_ms: lcp, cls });
    const cells = [at(0.5).toFixed(1), at(0.99).toFixed(1), lcp.toFixed(0), cls.toFixed(3)].map((cell, index) => cell.padStart(index < 3 ? 10 : 7));
    console.log(place.slice(0, 36).padEnd(36) + cells.join(""));
  }
  let missed = false;
  for (const [name, target] of Object.entries(TARGETS)) {
    const worst = Math.max(...found.map((one) => one[name]));
    missed ||= worst >= target;
    console.log(`${name.padEnd(8)} worst ${worst.toFixed(3)}, target < ${target}: ${worst < target ? "meets" : "MISSES"}`);
  }
  console.log(`${requests} requests and ${LOADS} loads of each page; LCP is the median, CLS the worst`);
  if (file) writeFileSync(file, JSON.stringify(found, null, 2) + "\n");
  if (missed) process.exitCode = 1;
} finally {
  await browser.close();
}
