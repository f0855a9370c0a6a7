// Signs in at SERVER by LINK, follows the link of CAMPAIGN, and reads what the page shows of it.

import { need, run } from "./chromium.mjs";
import { signIn } from "./signed.mjs";

await run(async (browser) => {
  const page = await (await browser.newContext()).newPage();
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  await signIn(page, need("SERVER"), need("LINK"));
  await page.goto(`${need("SERVER")}/`);
  const row = page.getByRole("row").filter({ has: page.getByRole("link", { name: need("CAMPAIGN"), exact: true }) });
  const cells = {};
  for (const cell of await row.locator("td[data-label]").all()) {
    cells[await cell.getAttribute("data-label")] = (await cell.innerText()).trim();
  }
  await row.getByRole("link").click();
  await page.waitForURL((url) => url.pathname.startsWith("/campaigns/"));
  return { overview: cells, heading: await page.locator("h1").innerText(), text: await page.locator("main").innerText(), complaints };
});
