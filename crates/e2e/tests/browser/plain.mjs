// The pages of SERVER, signed in by LINK, in a browser that runs no script: they lead everywhere and filter.

import { need, run } from "./chromium.mjs";
import { signIn } from "./signed.mjs";

await run(async (browser) => {
  const server = need("SERVER");
  const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 360, height: 800 } });
  const page = await context.newPage();
  const seen = {};
  await signIn(page, server, need("LINK"));
  await page.goto(`${server}/`);
  seen.times = await page.locator("main .campaigns time").first().innerText();
  await page.getByRole("button", { name: "Menu" }).click();
  await page.getByRole("link", { name: "Campaigns", exact: true }).first().click();
  seen.campaigns = await page.locator("tbody tr").count();
  await page.goto(`${server}/campaigns?sort=name`);
  seen.names = await page.locator("tbody th a").allInnerTexts();
  await page.goto(`${server}/events`);
  await page.locator("#class").selectOption("privacy_proxy");
  await page.getByRole("button", { name: "Filter" }).click();
  seen.classes = [...new Set(await page.locator("td[data-label=Class]").allInnerTexts())];
  await page.getByRole("link", { name: "Next page" }).click();
  seen.secondPage = await page.locator("tbody tr").count();
  await page.locator(".who").click();
  await page.getByRole("button", { name: "Sign out" }).click();
  seen.signedOut = new URL(page.url()).pathname;
  return seen;
});
