// Somebody without a pointer: reaches things by Tab, chooses by arrows, presses Enter and Space.

import { violations } from "./axe.mjs";

const FAR = 250;

/// A keyboard on `page`; what it notices goes into `found`.
export function hands(page, found) {
  const at = () => new URL(page.url()).pathname;
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  const expected = (status) => (status >= 400 && status < 500) || found.expected.includes(status);
  page.on("console", (message) => {
    const [, status] = message.text().match(/the server responded with a status of (\d+)/) ?? [];
    if (message.type() === "error" && !expected(Number(status))) found.complaints.push(`${at()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => found.complaints.push(`${at()}: ${error}`));

  /// What has the focus must be seen to have it.
  const look = async () => {
    const unseen = await page.evaluate(() => {
      const node = document.activeElement;
      if (!node || node === document.body || node.matches("main")) return "";
      const style = getComputedStyle(node);
      const marked = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
      const box = node.getBoundingClientRect();
      const inside = box.bottom > 0 && box.top < innerHeight && box.width > 0;
      return marked && inside ? "" : `${node.localName}.${node.className}#${node.id} ${node.textContent.trim().slice(0, 40)}`;
    });
    if (unseen) found.unseen.push(`${at()}: ${unseen}`);
  };

  /// Presses Tab until what has the focus matches.
  const to = async (selector) => {
    for (let count = 0; count < FAR; count++) {
      if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return look();
      await press("Tab");
    }
    throw new Error(`the keyboard does not reach ${selector} on ${page.url()}`);
  };

  /// Types into a field, in the place of what is there.
  const type = async (selector, text) => {
    await to(selector);
    await press("Control+a", "Delete");
    if (text) await page.keyboard.insertText(text);
  };

  /// Waits for what is there afterwards, with its scripts.
  const see = async (outcome) => {
    try {
      await page.locator(outcome).first().waitFor();
    } catch (error) {
      const main = await page.locator("main").innerText().catch(() => "nothing");
      throw new Error(`${outcome} does not come; ${page.url()} shows:\n${main.slice(0, 2000)}`, { cause: error });
    }
    await page.waitForLoadState("load");
  };

  /// Goes to a button or link, presses it, and waits for what is there afterwards.
  const push = async (selector, outcome, key = "Enter") => {
    await to(selector);
    await press(key);
    await see(outcome);
  };

  /// Goes to a link or button that has this word.
  const pushWord = async (word, outcome, tag = "button, a") => {
    for (let count = 0; count < FAR; count++) {
      const there = await page.evaluate(
        ([word, tag]) => document.activeElement.matches(tag) && document.activeElement.textContent.trim().startsWith(word),
        [word, tag],
      );
      if (there) break;
      if (count === FAR - 1) throw new Error(`the keyboard does not reach ${word} on ${page.url()}`);
      await press("Tab");
    }
    await look();
    await press("Enter");
    await see(outcome);
  };

  /// Goes into a group of radio buttons and on by arrows to the one that is wanted.
  const choose = async (name, value) => {
    await to(`input[name=${name}]`);
    for (let count = 0; count < 20; count++) {
      const chosen = await page.evaluate(() => document.activeElement.checked && document.activeElement.value);
      if (chosen === value) return;
      await press("ArrowDown");
    }
    throw new Error(`the arrows do not reach ${name}=${value} on ${page.url()}`);
  };

  /// A place of the navigation.
  const place = (path) => push(`#nav a[href='${path}']`, `#nav a[href='${path}'][aria-current=page]`);

  /// A line of the user menu.
  const menu = async (selector, outcome) => {
    await push("[popovertarget=user-menu]", "#user-menu:popover-open");
    await push(`#user-menu ${selector}`, outcome);
  };

  /// What axe-core finds here: wide and light, then narrow and dark, where nothing scrolls sideways either.
  const axe = async (name) => {
    const wide = page.viewportSize();
    for (const [colorScheme, width] of [["dark", 360], ["light", wide.width]]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ ...wide, width });
      // Structure is the same in both; colours are not.
      const lines = await violations(page, colorScheme === "dark" ? ["color-contrast"] : undefined);
      found.violations.push(...lines.map((line) => `${name} (${at()}, ${colorScheme}): ${line}`));
      const sideways = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (sideways > 0) found.sideways.push(`${name} (${at()}, ${width}): ${sideways} px`);
    }
    found.looked.push(name);
  };

  return { at, axe, choose, menu, place, press, push, pushWord, see, to, type };
}

export const nothingFound = () => ({ violations: [], sideways: [], complaints: [], unseen: [], looked: [], expected: [] });
