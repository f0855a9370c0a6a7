// Signs in at MAIN by LINK, fetches what the controller believes, and looks at the pages of releases at SERVER: another
// port of the same host, which cookies do not tell apart.

import { violations } from "./axe.mjs";
import { need, run } from "./chromium.mjs";
import { signIn } from "./signed.mjs";

await run(async (browser) => {
  const found = { complaints: [] };
  const context = await browser.newContext();
  const page = await context.newPage();
  await signIn(page, need("MAIN"), need("LINK"));
  await page.goto(`${need("MAIN")}/session/assertion?next=https://example.org/ops`);
  found.went = page.url();
  if (!found.went.startsWith(need("MAIN"))) found.complaints.push(`it led to ${found.went}`);
  const cookie = (await context.cookies()).find((one) => one.name === "__Host-signalbox-ops");
  if (!cookie?.httpOnly || !cookie?.secure) found.complaints.push(`the cookie is ${JSON.stringify(cookie)}`);
  found.cookie = cookie?.value;
  await page.goto(`${need("SERVER")}/ops/releases/current`);
  found.title = await page.title();
  found.complaints.push(...(await violations(page)));
  return found;
});
