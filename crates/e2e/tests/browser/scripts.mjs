// Opens every page of SERVER that shows a text of CORPUS, signed in as EMAIL with PASSWORD, and tells what ran of it:
// dialogs, reports of the policy, complaints of the browser, marks that only a script sets, elements and addresses that
// no page of ours has. LIVE holds events that TOKEN records while the overview is open.

import { readFileSync } from "node:fs";
import { need, run } from "./chromium.mjs";

const server = need("SERVER");
const corpus = JSON.parse(readFileSync(need("CORPUS"), "utf8"));
/// Every `step`th text.
const some = (step) => corpus.filter((_, index) => index % step === 0);
// Pages of one kind that are opened; more of them show nothing else.
const MOST = { "/users/*": 20, "/tokens/*/revoke": 10, "/audit/*": 40, "/events/*": 75 };

/// Before any script of the page: what the policy forbids is told here.
const watch = () => {
  window.forbidden = [];
  document.addEventListener("securitypolicyviolation", (event) =>
    window.forbidden.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`),
  );
};

/// What stands on a page that no page of ours has.
const strange = () => {
  const found = [];
  for (const node of document.querySelectorAll("*")) {
    const name = node.localName;
    for (const attribute of node.attributes) {
      if (attribute.name.startsWith("on")) found.push(`<${name} ${attribute.name}>`);
    }
    for (const attribute of ["href", "src", "action", "formaction"].filter((one) => node.hasAttribute(one))) {
      const address = node.getAttribute(attribute);
      const isOurs = URL.canParse(address, location) && new URL(address, location).origin === location.origin;
      // A page without an icon of its own says so with an empty one.
      if (!isOurs && address !== "data:,") found.push(`<${name} ${attribute}=${address}>`);
    }
    if (/^(iframe|object|embed|base|style|marquee|video|math|animate)$/.test(name)) found.push(`<${name}>`);
    if (name === "script" && !node.src) found.push("<script> without an address");
    if (name === "meta" && node.httpEquiv) found.push("<meta http-equiv>");
  }
  return found;
};

await run(async (browser) => {
  const nothing = () => ({ dialogs: [], violations: [], complaints: [], ran: [], elsewhere: [], planted: [] });
  const found = { ...nothing(), shown: {}, opened: 0 };
  const shown = {};
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const listen = async (found) => {
    const page = await context.newPage();
    const at = () => page.url().slice(server.length);
    await page.addInitScript(watch);
    page.on("dialog", (dialog) => {
      found.dialogs.push(`${at()}: ${dialog.message()}`);
      return dialog.dismiss();
    });
    page.on("console", (message) => message.type() === "error" && !/status of 4\d\d|status of 503/.test(message.text()) && found.complaints.push(`${at()}: ${message.text()}`));
    page.on("pageerror", (error) => found.complaints.push(`${at()}: ${error}`));
    page.on("request", (request) => {
      const { origin, protocol } = new URL(request.url());
      if (origin !== server && protocol !== "data:") found.elsewhere.push(`${at()}: ${request.url()}`);
    });
    return page;
  };

  /// Looks at what is open: what ran, and which texts can be read.
  const look = async (page, kind, into = found) => {
    // Handlers of errors and of things that begin to show run a moment after the page has loaded.
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    const planted = await page.evaluate(strange);
    const { ran, forbidden, text } = await page.evaluate(() => ({
      ran: window.ran,
      forbidden: window.forbidden,
      text: document.documentElement.textContent + [...document.querySelectorAll("input")].map((node) => node.value).join("\n"),
    }));
    const at = page.url().slice(server.length);
    if (ran !== undefined) into.ran.push(at);
    into.violations.push(...forbidden.map((line) => `${at}: ${line}`));
    into.planted.push(...planted.map((line) => `${at}: ${line}`));
    if (into !== found) return;
    shown[kind] ??= new Set();
    const plain = text.replace(/\s+/g, " ");
    corpus.filter((one) => plain.includes(one)).forEach((one) => shown[kind].add(one));
    found.opened++;
  };
  const open = async (page, path, kind) => {
    try {
      await page.goto(server + path, { waitUntil: "load" });
      await look(page, kind);
    } catch (error) {
      // A page that leads away by itself, for example.
      found.complaints.push(`${path}: ${error.message}`);
    }
  };

  // What would be seen if a page did not escape: once with our policy, and once without.
  const policy = (await fetch(`${server}/sign-in`)).headers.get("content-security-policy");
  found.controls = [];
  for (const headers of [{ "content-security-policy": policy }, {}]) {
    const control = nothing();
    const page = await listen(control);
    await page.route("**/control", (route) =>
      route.fulfill({ contentType: "text/html", headers, body: `<!doctype html><p>${corpus[0]}${corpus[15]}${corpus[24]}${corpus[34]}` }),
    );
    await page.goto(`${server}/control`, { waitUntil: "load" });
    await look(page, "control", control);
    await page.close();
    found.controls.push(Object.fromEntries(Object.entries(control).map(([what, lines]) => [what, lines.length > 0])));
  }

  const page = await listen(found);
  await open(page, "/sign-in", "/sign-in");
  for (const text of some(6)) await open(page, `/sign-in?next=/${encodeURIComponent(text)}`, "/sign-in, next");
  await page.getByLabel("E-mail address").evaluate((node, text) => ((node.type = "text"), (node.value = text)), corpus[16]);
  await page.getByLabel("Password").fill("wrong");
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("alert").first().waitFor();
  await look(page, "/sign-in, refused");
  await open(page, "/sign-in/oidc/p0", "/sign-in/oidc/*");
  await open(page, "/sign-in", "/sign-in");
  await page.getByLabel("E-mail address").fill(need("EMAIL"));
  await page.getByLabel("Password").fill(need("PASSWORD"));
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.waitForURL(`${server}/`);

  // Every page that leads from here, kind by kind, with every page of a list
  const kindOf = (path) => path.replace(/\?.*/, "").replace(/[a-z]+_[0-9a-z]{13}|(?<=\/)\d+/g, "*");
  const waiting = ["/", "/campaigns", "/events", "/users", "/users/new", "/tokens", "/tokens/new", "/sessions", "/audit", "/settings", "/profile", "/profile/security", "/about"];
  for (const text of corpus) {
    const code = encodeURIComponent(text);
    waiting.push(`/search?q=${code}`, `/campaigns?q=${code}`);
  }
  for (const text of some(3)) {
    const code = encodeURIComponent(text);
    waiting.push(`/audit?action=${code}`, `/events?contact=${code}`, `/nowhere/${code}`);
  }
  const known = new Set(waiting);
  const opened = {};
  const walk = async (page) => {
    for (let path = waiting.shift(); path; path = waiting.shift()) {
      const kind = kindOf(path);
      opened[kind] = (opened[kind] ?? 0) + 1;
      if (opened[kind] > (MOST[kind] ?? 60) && !path.includes("?")) continue;
      await open(page, path, kind.startsWith("/nowhere/") ? "/nowhere" : kind);
      const hrefs = await page.locator("main a[href^='/']").evaluateAll((links) => links.map((link) => link.getAttribute("href")));
      for (const href of hrefs) {
        // Lists lead on page by page and to what they list; other links are variants of the same.
        const wanted = !/\.csv|\.json|^\/api\//.test(href) && (!href.includes("?") || /(cursor|before)=/.test(href));
        if (wanted && !known.has(href)) {
          known.add(href);
          waiting.push(href);
        }
      }
    }
  };
  await Promise.all([walk(page), walk(await listen(found))]);

  // Forms that give back what was typed, with their errors
  for (const text of some(9)) {
    await page.goto(`${server}/users/new`);
    await page.locator("#email").evaluate((node, text) => ((node.type = "text"), (node.value = text)), text);
    await page.locator("#name").fill(text);
    await page.getByRole("button", { name: "Add and make a link" }).click();
    await page.locator(".alert, .field-error").first().waitFor();
    await look(page, "/users, refused");
    await page.goto(`${server}/tokens/new`);
    await page.locator("#name").fill(text);
    await page.getByRole("button", { name: "Make the token" }).click();
    await page.locator(".field-error").first().waitFor();
    await look(page, "/tokens, refused");
  }

  // Live: what comes in while the page is open
  await page.goto(`${server}/`);
  await page.locator("[data-live-state=on]").waitFor();
  const headers = { authorization: `Bearer ${need("TOKEN")}`, "content-type": "application/json" };
  const sent = await fetch(`${server}/api/v1/events`, { method: "POST", headers, body: readFileSync(need("LIVE")) });
  if (!sent.ok) throw new Error(await sent.text());
  await page.locator("[data-live-feed] li").nth(5).waitFor();
  await look(page, "live");

  for (const [kind, texts] of Object.entries(shown)) found.shown[kind] = texts.size;
  return found;
});
