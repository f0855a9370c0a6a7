// Everything that people do to get in, to look after themselves and after others, on SERVER from its set-up link LINK on,
// with the keyboard alone; at each step axe-core looks, in light and wide, in dark and narrow.

import { need, run } from "./chromium.mjs";
import { hands, nothingFound } from "./hands.mjs";
import { totp } from "./totp.mjs";

const OWNER = "ada@example.org";
const GUEST = "grace@example.org";
const FIRST = "four quiet otters paddle north";
const SECOND = "nine amber lanterns drift south";
const GUESTS = "seven copper kettles whistle low";

await run(async (browser) => {
  const server = need("SERVER");
  const found = nothingFound();
  const seen = {};
  const somebody = async () => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: "reduce" });
    const page = await context.newPage();
    return { page, ...hands(page, found) };
  };
  const { page, axe, choose, menu, place, press, push, pushWord, see, to, type } = await somebody();
  const text = (selector) => page.locator(selector).first().innerText();
  const signOut = async () => menu("form button", "h1:text('Sign in to Signalbox')");

  // The first owner, by the link that works once
  await page.goto(server + need("LINK"));
  await see("h1");
  await axe("set-up");
  await type("#email", OWNER);
  await type("#password", "password1234");
  await type("#again", "password1234");
  await push("main form button", "#password-error");
  await axe("set-up, weak password");
  await type("#password", FIRST);
  await type("#again", `${FIRST}!`);
  await push("main form button", "#again-error");
  await axe("set-up, passwords that differ");
  await type("#password", FIRST);
  await type("#again", FIRST);
  await press("Enter");
  await see("#nav");
  await axe("overview, empty");
  await page.goto(server + need("LINK"));
  await see("h1:text('This link has ended')");
  await axe("a link that has ended");
  await push("a[href='/sign-in']", "#nav");

  // A user: made, changed, disabled, enabled
  await place("/users");
  await axe("users");
  await push("a[href='/users/new']", "h1:text('Add a user')");
  await type("#email", OWNER);
  await type("#name", "Grace");
  await choose("role", "analyst");
  await push("main form button", ".alert, .field-error");
  await axe("new user, inline error");
  await type("#email", GUEST);
  await choose("role", "analyst");
  await push("main form button", "code.secret");
  await axe("user link");
  await pushWord("I have sent it", "h1:text('grace')");
  await axe("user");
  await type("#name", "n".repeat(201));
  await pushWord("Save", "#name-error");
  await axe("user, inline error");
  await type("#name", "Grace Hopper");
  await choose("role", "viewer");
  await pushWord("Save", ".toast");
  seen.changed = await text(".head .muted");
  await pushWord("Disable", "dialog[open]");
  await axe("confirmation");
  seen.inside = await page.evaluate(() => document.activeElement.closest("dialog") !== null);
  await press("Escape");
  await page.locator("dialog[open]").waitFor({ state: "detached" });
  seen.returned = await page.evaluate(() => document.activeElement.textContent.trim());
  await pushWord("Disable", "dialog[open]");
  await pushWord("Disable", "button:text('Enable')", "dialog .danger");
  seen.disabled = await text(".head .muted");
  await pushWord("Enable", "button:text('Disable')");
  // Who was disabled needs a new link.
  await pushWord("Make a link", "code.secret");
  const link = await text("code.secret");

  // The user who was added comes in, in another browser
  const guest = await somebody();
  await guest.page.goto(new URL(link, server).href);
  await guest.see("h1:text('Choose a password')");
  await guest.axe("a password by link");
  await guest.type("#password", GUESTS);
  await guest.type("#again", GUESTS);
  await guest.push("main form button", "#nav");
  seen.guest = await guest.page.locator(".who-name").innerText();

  // Sessions: the owner ends the guest's
  await place("/sessions");
  await axe("sessions");
  await pushWord(`End the session of ${GUEST}`, "dialog[open]");
  await axe("sessions, confirmation");
  await pushWord("End", ".toast", "dialog .danger");
  await guest.page.reload();
  await guest.see("h1:text('Sign in to Signalbox')");
  seen.guestEnded = guest.at();

  // The password
  await menu("a[href='/profile']", "h1:text('Your profile')");
  await axe("profile");
  await push("main a[href='/profile/security']", "#password");
  await axe("security");
  await type("#present", "not the present one");
  await type("#password", SECOND);
  await type("#again", SECOND);
  await pushWord("Change the password", "#present-error");
  await axe("security, inline error");
  await type("#present", FIRST);
  await type("#password", "password1234");
  await type("#again", "password1234");
  await pushWord("Change the password", "#password-error");
  await type("#present", FIRST);
  await type("#password", SECOND);
  await type("#again", SECOND);
  await pushWord("Change the password", ".toast");

  // An authenticator app, and recovery codes
  await type("#current", "not the present one");
  await pushWord("Set up an app", ".alert");
  await axe("security, alert");
  await type("#current", SECOND);
  await pushWord("Set up an app", "code.secret");
  await axe("authenticator app");
  await type("#code", "000000");
  await pushWord("Switch the second factor on", "#code-error");
  await axe("authenticator app, inline error");
  const secret = await text("code.secret");
  await type("#code", totp(secret));
  await press("Enter");
  await see("ul.codes");
  await axe("recovery codes");
  await pushWord("I have kept them", "#second-factor");
  await axe("security, second factor on");
  await type("#current", SECOND);
  await pushWord("Make new recovery codes", "ul.codes");
  const codes = await page.locator("ul.codes li").allInnerTexts();
  seen.codes = codes.length;
  await pushWord("I have kept them", "#second-factor");

  // Out, and in again: password, code, recovery code
  await signOut();
  await axe("sign-in");
  await type("#email", OWNER);
  await type("#password", FIRST);
  await push("main form button.primary", ".alert");
  await axe("sign-in, refused");
  await type("#email", OWNER);
  await type("#password", SECOND);
  await press("Enter");
  await see("#code");
  await axe("second factor");
  await type("#code", "000000");
  await push("main form button.primary", ".alert");
  await axe("second factor, refused");
  // The present code was used for the enrolment; the next one is taken early.
  await type("#code", totp(secret, 1));
  await press("Enter");
  await see("#nav");
  await signOut();
  await type("#email", OWNER);
  await type("#password", SECOND);
  await press("Enter");
  await see("#code");
  await type("#code", codes[0]);
  await press("Enter");
  await see("#nav");

  // An API token: made, ended
  await place("/tokens");
  await axe("tokens");
  await push("a[href='/tokens/new']", "h1:text('Make an API token')");
  await type("#name", "nightly");
  await pushWord("Make the token", "#scopes-error");
  await axe("new token, inline error");
  await to("input[value='events:write']");
  await press("Space");
  await to("input[value='events:read']");
  await press("Space");
  await to("#expires");
  await press("ArrowUp");
  await pushWord("Make the token", "code.secret");
  await axe("token made");
  const token = await text("code.secret");
  const event = { kind: "custom", id: "e-1", name: "visited", campaign: "Spring", recipient: "anna@example.org" };
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  seen.recorded = (await fetch(`${server}/api/v1/events`, { method: "POST", headers, body: JSON.stringify(event) })).status;
  await pushWord("I have kept it", "h1:text('API tokens')");
  await axe("tokens, one more");
  await pushWord("End…", "h1:text('End this token?')");
  await axe("delete confirmation");
  await pushWord("End the token", ".toast");
  seen.refused = (await fetch(`${server}/api/v1/events`, { headers })).status;

  // A passkey: added, renamed, used, removed
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("WebAuthn.enable");
  const options = { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true };
  await cdp.send("WebAuthn.addVirtualAuthenticator", { options: { ...options, automaticPresenceSimulation: true } });
  await menu("a[href='/profile/security']", "#second-factor");
  await push("main a[href='/profile/passkeys']", "h1:text('Passkeys')");
  await axe("passkeys, none");
  await type("#name", "Laptop");
  await type("#current", "not the present one");
  await pushWord("Add a passkey", "[data-passkey-said]:visible");
  await axe("passkeys, error");
  await type("#current", SECOND);
  await pushWord("Add a passkey", "input[aria-label='Name of Laptop']");
  await axe("passkeys");
  await type("input[aria-label='Name of Laptop']", "Desk");
  await press("Enter");
  await see("input[aria-label='Name of Desk']");
  await signOut();
  await pushWord("Sign in with a passkey", "#nav");
  await menu("a[href='/profile/security']", "#second-factor");
  await push("main a[href='/profile/passkeys']", "h1:text('Passkeys')");
  await pushWord("Remove", "dialog[open]");
  await axe("passkeys, confirmation");
  await pushWord("Remove", "text=No passkeys yet", "dialog .danger");

  // Filters of the audit log and of the events
  await place("/audit");
  await axe("audit");
  await type("#action", "token");
  await press("Enter");
  await page.waitForURL(/action=token/);
  await see("tbody tr");
  seen.actions = [...new Set(await page.locator("td[data-label=What]").allInnerTexts())].sort();
  await to("main tbody th a");
  await press("Enter");
  await see("h1:text('token')");
  await axe("audit entry");
  await place("/audit");
  await type("#object", "nothing like this");
  await press("Enter");
  await see("text=No entries");
  await axe("audit, nothing fits");
  await push(".empty a", "tbody tr");
  await place("/events");
  // What was recorded is projected soon after.
  while (!(await page.locator("#kind option[value=custom]").count()) || !(await page.locator("tbody tr").count())) {
    await page.reload();
  }
  await axe("events");
  await to("#kind");
  await page.keyboard.type("cust");
  await push(".filters .button", "text=Clear");
  await page.waitForURL(/kind=custom/);
  seen.events = await page.locator("tbody tr").count();
  await to("#class");
  await press("End");
  await push(".filters .button", ".empty");
  await axe("events, nothing fits");
  await pushWord("Clear", "tbody tr");

  // Somebody is removed; a way in that fails; what everybody may read
  await place("/users");
  await pushWord(GUEST, "h1:text('grace')");
  await pushWord("Remove…", "h1:text('Remove this user?')");
  await axe("removal of a user");
  await pushWord("Cancel", "h1:text('grace')");
  await pushWord("Remove…", "h1:text('Remove this user?')");
  await pushWord("Remove the user", ".toast");
  seen.users = await page.locator("main tbody tr").count();
  await place("/settings");
  await axe("settings");
  await menu("a[href='/about']", "h1");
  await axe("about");
  await signOut();
  seen.signedOut = new URL(page.url()).pathname;
  found.expected.push(503);
  await pushWord("Sign in with Corporate", "h1:text('Not signed in')");
  await axe("not signed in by the provider");
  await push("a[href='/sign-in']", "#email");
  await page.goto(`${server}/api/docs`);
  await see("h1:text('API')");
  await axe("API");
  await page.goto(`${server}/nowhere`);
  await see("h1");
  await axe("nothing there");
  return { ...seen, ...found };
});
