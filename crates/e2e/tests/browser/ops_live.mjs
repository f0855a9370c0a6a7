// A release that is held, looked at by one page while another one acts on it: how soon the first shows it, what happens
// to words that are half typed, by keyboard alone, and without a script.

import { need, run } from "./chromium.mjs";
import { watchShifts } from "./shifts.mjs";
import { signInByToken } from "./signed.mjs";

await run(async (browser) => {
  const server = need("SERVER");
  const found = { delays: [], dialogs: [], complaints: [] };
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const hands = await context.newPage();
  await signInByToken(hands, server, need("TOKEN"));
  const place = `${server}/ops/releases/current`;
  const eyes = await context.newPage();
  for (const page of [hands, eyes]) {
    page.on("dialog", (dialog) => found.dialogs.push(dialog.message()) && dialog.dismiss());
    page.on("pageerror", (error) => found.complaints.push(String(error)));
  }
  await eyes.addInitScript(watchShifts);
  await eyes.goto(place);
  await eyes.waitForSelector('[data-live-state="on"]');
  // When a record of the journal came into the page, against when it was written.
  await eyes.evaluate(() => {
    window.seen = [];
    const known = new Set([...document.querySelectorAll(".journal time")].map((node) => node.dateTime));
    new MutationObserver(() => {
      for (const node of document.querySelectorAll(".journal time")) {
        if (known.has(node.dateTime)) continue;
        known.add(node.dateTime);
        window.seen.push(Date.now() - new Date(node.dateTime));
      }
    }).observe(document.body, { childList: true, subtree: true });
  });
  // Half of a reason is typed while things change.
  await eyes.click("#act-rollback > summary");
  await eyes.fill("#rollback-reason", "half a reason");

  // By keyboard alone: Tab to the summary, open it, type, send.
  const reach = async (wanted) => {
    for (let count = 0; count < 120; count++) {
      if (await hands.evaluate((wanted) => document.activeElement.matches(wanted), wanted)) return;
      await hands.keyboard.press("Tab");
    }
    throw new Error(`the keyboard does not reach ${wanted}`);
  };
  const hostile = `<img src=x onerror=alert(1)> "quoted" & more`;
  for (let turn = 0; turn < 3; turn++) {
    await hands.goto(place);
    await reach("#act-pause > summary");
    await hands.keyboard.press("Enter");
    await reach("#pause-reason");
    await hands.keyboard.type(hostile);
    await hands.keyboard.press("Enter");
    await eyes.locator(".ops-word", { hasText: "paused" }).waitFor();
    await hands.waitForURL(/done=pause/);
    await reach("#resume-go");
    await hands.keyboard.press("Enter");
    await eyes.locator(".ops-word", { hasText: "holding" }).waitFor();
    await hands.waitForURL(/done=resume/);
  }
  found.delays = await eyes.evaluate(() => window.seen);
  found.typed = await eyes.inputValue("#rollback-reason");
  found.focused = await eyes.evaluate(() => document.activeElement.id);
  found.shifted = await eyes.evaluate(() => window.shifted.sum);
  found.hostile = (await eyes.locator("main img").count()) === 0 && (await eyes.locator(".journal").innerText()).includes(hostile);

  // Without a script.
  const plain = await (await browser.newContext({ javaScriptEnabled: false, storageState: await context.storageState() })).newPage();
  await plain.goto(place);
  await plain.click("#act-pause > summary");
  await plain.fill("#pause-reason", "no script");
  await plain.click("#pause-go");
  await plain.waitForSelector("#resume-go");
  found.plain = await plain.locator(".ops-word").innerText();
  await plain.click("#resume-go");
  await plain.click("#act-rollback > summary");
  await plain.fill("#rollback-reason", "enough seen");
  await plain.click("#rollback-go");
  await eyes.locator(".ops-word", { hasText: "rolled back" }).waitFor();
  await eyes.locator("[data-watch]", { hasText: "It has ended" }).waitFor();
  await hands.goto(place);
  await hands.click(".who");
  await hands.click("#user-menu form button");
  await hands.waitForURL(/sign-in/);
  found.signedOut = new URL(hands.url()).pathname;
  return found;
});
