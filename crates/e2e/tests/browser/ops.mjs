// Opens PLACES of the pages of releases, signed in by TOKEN, in light and dark, wide and narrow: what axe-core finds, what
// scrolls sideways, what moves while it is live, what the browser complains about, and how soon something is there.

import { violations } from "./axe.mjs";
import { need, run } from "./chromium.mjs";
import { watchShifts } from "./shifts.mjs";
import { signInByToken } from "./signed.mjs";

await run(async (browser) => {
  const server = need("SERVER");
  const found = { violations: [], sideways: [], shifts: [], complaints: [], texts: [], times: [] };
  const first = await (await browser.newContext()).newPage();
  await signInByToken(first, server, need("TOKEN"));
  const storageState = await first.context().storageState();
  await first.context().close();
  for (const [colorScheme, width] of [["light", 1280], ["dark", 360]]) {
    for (const [places, state] of [[JSON.parse(need("PLACES")), storageState], [["/ops/sign-in"], undefined]]) {
      const page = await (await browser.newContext({ storageState: state, colorScheme, viewport: { width, height: 800 } })).newPage();
      const complain = (text) => found.complaints.push(`${page.url()}: ${text}`);
      page.on("console", (message) => message.type() === "error" && !/status of 404|web-share/.test(message.text()) && complain(message.text()));
      page.on("pageerror", complain);
      page.on("response", (answer) => answer.status() >= 500 && complain(answer.status()));
      await page.addInitScript(watchShifts);
      for (const place of places) {
        const how = `${place} ${colorScheme} ${width}`;
        await page.goto(server + place, { waitUntil: "load" });
        // Several updates long.
        if (await page.locator("[data-watch]").count()) {
          await page.waitForSelector('[data-live-state="on"]');
          await page.waitForTimeout(3000);
        }
        await page.evaluate(() => document.querySelectorAll("main details").forEach((node) => node.matches(".act") || (node.open = false)));
        const shifted = await page.evaluate(() => window.shifted);
        if (shifted.sum >= 0.02) found.shifts.push(`${how}: ${shifted.sum}: ${shifted.what.join("; ")}`);
        const over = () => document.documentElement.scrollWidth - innerWidth;
        if ((await page.evaluate(over)) > 0) found.sideways.push(`${how}: ${await page.evaluate(over)} px`);
        found.violations.push(...(await violations(page)).map((line) => `${how}: ${line}`));
        // And with everything open.
        await page.evaluate(() => document.querySelectorAll("main details").forEach((node) => (node.open = true)));
        if ((await page.evaluate(over)) > 0) found.sideways.push(`${how}, open: ${await page.evaluate(over)} px`);
        found.violations.push(...(await violations(page)).map((line) => `${how}, open: ${line}`));
        const [paint, answer] = await page.evaluate(() => [
          performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? -1,
          performance.getEntriesByType("navigation")[0].responseEnd - performance.getEntriesByType("navigation")[0].requestStart,
        ]);
        found.times.push(`${how}: answered in ${answer.toFixed(0)} ms, painted after ${paint.toFixed(0)} ms`);
        if (colorScheme === "light" && width === 1280) found.texts.push(await page.locator("main").innerText());
      }
      await page.context().close();
    }
  }
  return found;
});
