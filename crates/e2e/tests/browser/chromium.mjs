// What every script of the browser shares. The test hands over where playwright-core and Chromium are
// (crates/e2e/src/browser.rs); what a script returns is printed as JSON.

import { createRequire } from "node:module";

const { chromium } = createRequire(import.meta.url)(process.env.PLAYWRIGHT_CORE);
const STEP_LIMIT_MS = 20_000;

/// A variable that the test must have set.
export function need(name) {
  const value = process.env[name];
  if (value === undefined) throw new Error(`the test did not set ${name}`);
  return value;
}

/// A headless browser names itself in its user agent and is rightly judged a machine; this is what a person's says.
export function personal(browser) {
  const major = browser.version().split(".")[0];
  return `Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${major}.0.0.0 Safari/537.36`;
}

/// Runs `script(browser)` and prints what it returns.
export async function run(script) {
  // Chromium refuses its sandbox to root.
  const args = process.getuid() === 0 ? ["--no-sandbox"] : [];
  const browser = await chromium.launch({ executablePath: need("CHROMIUM"), args, timeout: 3 * STEP_LIMIT_MS });
  try {
    const newContext = browser.newContext.bind(browser);
    browser.newContext = async (options) => {
      const context = await newContext(options);
      context.setDefaultTimeout(STEP_LIMIT_MS);
      return context;
    };
    const result = await script(browser);
    process.stdout.write(`${JSON.stringify(result ?? null)}\n`);
  } finally {
    await browser.close();
  }
}
