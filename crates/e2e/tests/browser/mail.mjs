// Opens the HTML mail at MAIL (a file or a page), waits for its pixel, and follows its link.
// MANNER is "person", or "automation" for the user agent that a headless browser gives by itself.

import { need, personal, run } from "./chromium.mjs";

await run(async (browser) => {
  const options = need("MANNER") === "person" ? { userAgent: personal(browser) } : {};
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const pixel = page.waitForResponse((response) => new URL(response.url()).pathname.startsWith("/o/"));
  await page.goto(need("MAIL"));
  const answer = await pixel;
  const image = await page
    .locator("#pixel")
    .evaluate((image) => image.decode().then(() => [image.naturalWidth, image.naturalHeight]));
  const [click] = await Promise.all([
    page.waitForResponse((response) => new URL(response.url()).pathname.startsWith("/c/")),
    page.getByRole("link", { name: "See the offers" }).click(),
  ]);
  await page.waitForURL((url) => url.pathname === "/spring");
  return {
    pixel: { status: answer.status(), event: answer.headers()["x-event-id"], image },
    click: { status: click.status(), event: click.headers()["x-event-id"] },
    arrived: { url: page.url(), text: await page.locator("body").innerText() },
    userAgent: await page.evaluate(() => navigator.userAgent),
  };
});
