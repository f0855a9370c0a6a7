// Everything that a reader does on the pages of SERVER, signed in by LINK, with the keyboard alone.

import { need, run } from "./chromium.mjs";

await run(async (browser) => {
  const server = need("SERVER");
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
  const seen = {};
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  const focused = () => page.evaluate(() => document.activeElement.textContent.trim() || document.activeElement.name);
  /// Presses Tab until what has the focus matches.
  const tabTo = async (selector, key = "Tab") => {
    for (let count = 0; count < 80; count++) {
      if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
      await press(key);
    }
    throw new Error(`the keyboard does not reach ${selector}`);
  };
  const arrives = (path) => page.waitForURL((url) => url.pathname === path);

  await page.goto(server + need("LINK"));
  if (await page.locator("main form button").count()) {
    await tabTo("main form button");
    await press("Enter");
  }
  await page.waitForSelector("#nav");
  await page.goto(`${server}/`);

  await press("Tab");
  seen.skip = await focused();
  await press("Enter");
  seen.skippedTo = await page.evaluate(() => document.activeElement.id);

  await press("?");
  seen.help = await page.locator("#help").isVisible();
  await press("Escape");
  seen.helpClosed = !(await page.locator("#help").isVisible());

  await tabTo("[data-chart]");
  await press("ArrowRight", "ArrowRight");
  seen.chart = await page.locator("[data-chart] .tip").first().innerText();
  await press("Escape");
  await tabTo("summary");
  await press("Enter");
  seen.chartTable = await page.locator("details[open] table").first().isVisible();

  await press("g", "c");
  await arrives("/campaigns");
  await press("j");
  seen.row = await focused();
  await press("Enter");
  await page.waitForURL(/\/campaigns\/cmp_/);
  await page.waitForSelector("h1");
  seen.campaign = await page.locator("h1").innerText();

  await press("g", "e");
  await arrives("/events");
  await tabTo("#class");
  await press("m");
  await tabTo(".filters .button");
  await press("Enter");
  await page.waitForURL(/class=machine/);
  seen.classes = [...new Set(await page.locator("td[data-label=Class]").allInnerTexts())];
  await press("j", "Enter");
  await page.waitForURL(/\/events\/\d+/);
  seen.verdict = await page.locator(".verdict-class").innerText();

  await press("/");
  await page.keyboard.type("letter");
  await press("Enter");
  await arrives("/search");
  seen.found = await page.locator(".places a").count();

  await tabTo("[popovertarget=user-menu]");
  await press("Enter");
  await tabTo("[data-theme-set=dark]");
  await press("Enter");
  await page.reload();
  seen.theme = await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme);

  await press("?");
  await tabTo("[data-keys]");
  await press("Space", "Escape");
  await press("g", "c");
  seen.stays = new URL(page.url()).pathname;

  await tabTo("[popovertarget=user-menu]");
  await press("Enter");
  await tabTo(".menu form button");
  await press("Enter");
  await page.waitForURL(/sign-in/);
  seen.signedOut = new URL(page.url()).pathname;
  return seen;
});
