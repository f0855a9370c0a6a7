// Opens every page of SERVER, signed in by LINK, in light and wide, in dark and narrow, and with 4 LOOKS also the other
// way round: what axe-core finds, what scrolls sideways, what moves while loading, what the browser complains about.

import { violations } from "./axe.mjs";
import { need, run } from "./chromium.mjs";
import { watchShifts } from "./shifts.mjs";
import { signIn } from "./signed.mjs";

await run(async (browser) => {
  const server = need("SERVER");
  const found = { pages: [], violations: [], sideways: [], shifts: [], complaints: [], sizes: {} };

  const first = await browser.newContext();
  const page = await first.newPage();
  await signIn(page, server, need("LINK"));
  const hrefs = async (selector) =>
    page.locator(selector).evaluateAll((links) => links.map((link) => link.getAttribute("href")));
  // Every place of the navigation and the user menu.
  const places = new Set(await hrefs("#nav li a, #user-menu a"));
  // And the first thing of each kind that they list.
  for (const place of [...places]) {
    await page.goto(server + place);
    const more = await hrefs("main tbody th a[href^='/'], main tbody td a[href^='/'], main .head a.button[href^='/']");
    const kinds = new Set();
    for (const href of more.filter((href) => !/\.csv|\.json|^\/api\//.test(href))) {
      const kind = href.replace(/\?.*/, "").replace(/[a-z]+_[0-9a-z]+|\d+/, "*");
      if (!kinds.has(kind)) places.add(href);
      kinds.add(kind);
    }
  }
  ["/search?q=e", "/search?q=nothing+like+this", "/events?kind=bounced&class=human", "/nowhere"].forEach((place) => places.add(place));
  const storageState = await first.storageState();
  await first.close();

  const open = async (options) => {
    const page = await (await browser.newContext(options)).newPage();
    const complain = (text) => found.complaints.push(`${new URL(page.url()).pathname}: ${text}`);
    page.on("console", (message) => message.type() === "error" && !/status of 40[34]/.test(message.text()) && complain(message.text()));
    page.on("pageerror", (error) => complain(error));
    page.on("response", async (answer) => {
      const name = new URL(answer.url()).pathname;
      if (answer.status() >= 500) complain(answer.status());
      if (/\.(js|css)$/.test(name)) found.sizes[name] = await answer.request().sizes().then((sizes) => sizes.responseBodySize, () => found.sizes[name]);
    });
    await page.addInitScript(watchShifts);
    return page;
  };
  const look = async (page, place, how) => {
    await page.goto(server + place, { waitUntil: "load" });
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    const shifted = await page.evaluate(() => window.shifted);
    if (shifted.sum >= 0.02) found.shifts.push(`${place} ${how}: ${shifted.sum}: ${shifted.what.join("; ")}`);
    // What counts is how the page stays: a busy machine may still be laying it out.
    await page.waitForFunction(() => document.documentElement.scrollWidth <= innerWidth, null, { timeout: 2000 }).catch(() => {});
    const [sideways, wide] = await page.evaluate(() => {
      const over = [...document.querySelectorAll("body *")].filter((node) => node.getBoundingClientRect().right > innerWidth);
      return [document.documentElement.scrollWidth - innerWidth, over.map((node) => `${node.localName}.${node.getAttribute("class") ?? ""}`)];
    });
    if (sideways > 0) found.sideways.push(`${place} ${how}: ${sideways} px: ${wide.slice(0, 5).join(", ")}`);
    found.violations.push(...(await violations(page)).map((line) => `${place} ${how}: ${line}`));
  };
  const looks = [["light", 1280], ["dark", 360]];
  if (need("LOOKS") === "4") looks.push(["dark", 1280], ["light", 360]);
  for (const [colorScheme, width] of looks) {
    const viewport = { width, height: 800 };
    const how = `${colorScheme} ${width}`;
    const page = await open({ storageState, colorScheme, viewport });
    for (const place of places) await look(page, place, how);
    await page.context().close();
    const stranger = await open({ colorScheme, viewport });
    await look(stranger, "/sign-in", how);
    await stranger.context().close();
  }
  found.pages = [...places];
  return found;
});
