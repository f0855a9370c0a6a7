// What axe-core finds on a page, as lines of text.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { need } from "./chromium.mjs";

const source = readFileSync(join(dirname(need("PLAYWRIGHT_CORE")), "axe-core/axe.min.js"), "utf8");

/// Every rule in the colours that are set; `rules` narrows it.
export async function violations(page, rules) {
  await page.evaluate(source);
  const options = { resultTypes: ["violations"], ...(rules ? { runOnly: rules } : {}) };
  const found = await page.evaluate((options) => window.axe.run(document, options), options);
  return found.violations.map((one) => `${one.id} at ${one.nodes.map((node) => node.target.join(" ")).join(", ")}`);
}
