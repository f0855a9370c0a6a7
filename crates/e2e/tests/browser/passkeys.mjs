// Registers a passkey at SERVER as EMAIL with PASSWORD, signs in with it, and then tries everything that must not work.
// The authenticator is Chromium's virtual one.

import http from "node:http";
import { need, run } from "./chromium.mjs";
import { totp } from "./totp.mjs";

const server = need("SERVER");
const OPTIONS = "/sign-in/passkey/options";
const SIGN_IN = "/sign-in/passkey";

// A page at another port of the same host: the same site to an authenticator, another origin to us.
const elsewhere = http.createServer((_request, response) => {
  response.writeHead(200, { "content-type": "text/html" });
  response.end("<!doctype html><title>Elsewhere</title>");
});
await new Promise((done) => elsewhere.listen(0, "127.0.0.1", done));
const evil = `http://localhost:${elsewhere.address().port}`;

/// What the sign-in page asks of the authenticator, as a function for any page.
const ceremony = async ({ challenge, rpId }) => {
  const decode = (text) =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  const encode = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replaceAll("+", "-")
      .replaceAll("/", "_")
      .replace(/=+$/, "");
  const publicKey = { challenge: decode(challenge), rpId, userVerification: "required" };
  const { rawId, response } = await navigator.credentials.get({ publicKey });
  return {
    id: encode(rawId),
    clientDataJSON: encode(response.clientDataJSON),
    authenticatorData: encode(response.authenticatorData),
    signature: encode(response.signature),
    userHandle: encode(response.userHandle),
  };
};

/// A challenge of the server with its cookie, outside of the browser.
const challenged = async () => {
  const answer = await fetch(server + OPTIONS, { method: "POST" });
  const cookie = answer.headers.getSetCookie()[0].split(";")[0];
  return { options: await answer.json(), cookie };
};

/// Sends an answer to a challenge, outside of the browser; gives the status, and whether somebody is signed in.
const send = async (body, cookie) => {
  const headers = { "content-type": "application/json", ...(cookie ? { cookie } : {}) };
  const answer = await fetch(server + SIGN_IN, { method: "POST", headers, body: JSON.stringify(body) });
  const session = answer.headers.getSetCookie().some((line) => line.startsWith("__Host-signalbox="));
  return { status: answer.status, session };
};

const flip = (text, place) => {
  const bytes = Buffer.from(text, "base64url");
  bytes[place] ^= 1;
  return bytes.toString("base64url");
};

await run(async (browser) => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  const cdp = await context.newCDPSession(page);
  await cdp.send("WebAuthn.enable");
  const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2",
      transport: "internal",
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  const result = { refused: {}, accepted: {} };

  const byPassword = async () => {
    await page.goto(`${server}/sign-in`);
    await page.getByLabel("E-mail address").fill(need("EMAIL"));
    await page.getByLabel("Password").fill(need("PASSWORD"));
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
  };

  // By password, for the first time
  await byPassword();
  await page.waitForURL(`${server}/`);
  await page.goto(`${server}/profile/passkeys`);
  // Who has stolen a session adds nothing without the password
  await page.getByLabel("Name", { exact: true }).fill("A thief's");
  await page.getByLabel("Present password").fill("guessed");
  await page.getByRole("button", { name: "Add a passkey" }).click();
  result.withoutPassword = await page.getByText("This is not your present password.").innerText();
  await page.getByLabel("Name", { exact: true }).fill("My laptop");
  await page.getByLabel("Present password").fill(need("PASSWORD"));
  await page.getByRole("button", { name: "Add a passkey" }).click();
  await page.getByRole("row").filter({ hasText: "This device only" }).waitFor();
  const [registered] = (await cdp.send("WebAuthn.getCredentials", { authenticatorId })).credentials;
  result.registered = { resident: registered.isResidentCredential, rpId: registered.rpId, handle: registered.userHandle };
  // The same authenticator again: the browser knows that it is registered
  await page.getByLabel("Name", { exact: true }).fill("Again");
  await page.getByLabel("Present password").fill(need("PASSWORD"));
  await page.getByRole("button", { name: "Add a passkey" }).click();
  result.again = await page.getByText("This passkey is registered already.").innerText();
  await page.getByLabel("Name of My laptop").fill("Old laptop");
  await page.getByRole("button", { name: "Rename" }).click();
  await page.getByLabel("Name of Old laptop").waitFor();

  // By passkey alone
  const signOut = async () => {
    await page.context().clearCookies();
    await page.goto(`${server}/sign-in`);
  };
  await signOut();
  await page.goto(`${server}/profile/passkeys`);
  const sent = page.waitForRequest((request) => new URL(request.url()).pathname === SIGN_IN);
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  const recorded = (await sent).postDataJSON();
  await page.waitForURL(`${server}/profile/passkeys`);
  result.accepted.wanted = new URL(page.url()).pathname;
  const text = await page.locator("main").innerText();
  result.accepted.used = !text.includes("never");

  // Outside of the page, the same way: this works, so that what follows fails for its own reason
  await signOut();
  const good = await challenged();
  result.accepted.outside = await send(await page.evaluate(ceremony, good.options), good.cookie);

  const refused = result.refused;
  refused["the answer that was recorded, without its challenge"] = await send(recorded, "");
  refused["the answer that was recorded, to a new challenge"] = await send(recorded, (await challenged()).cookie);
  const twice = await challenged();
  const answer = await page.evaluate(ceremony, twice.options);
  result.accepted.once = await send(answer, twice.cookie);
  refused["the same answer with the same challenge"] = await send(answer, twice.cookie);

  const changed = async (name, change) => {
    const { options, cookie } = await challenged();
    const body = await page.evaluate(ceremony, options);
    refused[name] = await send({ ...body, ...change(body) }, cookie);
  };
  await changed("a changed signature", (body) => ({ signature: flip(body.signature, 20) }));
  await changed("an empty signature", () => ({ signature: "" }));
  await changed("a changed counter", (body) => ({ authenticatorData: flip(body.authenticatorData, 36) }));
  await changed("verification taken away", (body) => {
    const bytes = Buffer.from(body.authenticatorData, "base64url");
    bytes[32] &= ~4;
    return { authenticatorData: bytes.toString("base64url") };
  });
  await changed("somebody else's handle", (body) => ({ userHandle: flip(body.userHandle, 7) }));
  await changed("no handle", () => ({ userHandle: "" }));
  await changed("an unknown credential", (body) => ({ id: flip(body.id, 3) }));
  await changed("another origin written in", (body) => {
    const data = JSON.parse(Buffer.from(body.clientDataJSON, "base64url"));
    return { clientDataJSON: Buffer.from(JSON.stringify({ ...data, origin: evil })).toString("base64url") };
  });
  await changed("no base64", () => ({ clientDataJSON: "{}", authenticatorData: "%" }));

  // Another origin of the same host, with a challenge that it fetched here
  await page.goto(evil);
  const fetched = await challenged();
  refused["an answer made at another origin"] = await send(await page.evaluate(ceremony, fetched.options), fetched.cookie);
  await page.goto(`${server}/sign-in`);

  // A copy of the authenticator that is behind
  const [credential] = (await cdp.send("WebAuthn.getCredentials", { authenticatorId })).credentials;
  result.counted = credential.signCount;
  await cdp.send("WebAuthn.removeCredential", { authenticatorId, credentialId: credential.credentialId });
  await cdp.send("WebAuthn.addCredential", { authenticatorId, credential: { ...credential, signCount: 1 } });
  const copy = await challenged();
  refused["a copy that is behind"] = await send(await page.evaluate(ceremony, copy.options), copy.cookie);
  await cdp.send("WebAuthn.removeCredential", { authenticatorId, credentialId: credential.credentialId });
  await cdp.send("WebAuthn.addCredential", {
    authenticatorId,
    credential: { ...credential, signCount: credential.signCount + 10 },
  });

  // Who is not verified: the browser refuses by itself, and the page says it in words
  await cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  result.unverified = await page.getByRole("alert").filter({ hasText: "cancelled" }).innerText();
  await cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: true });

  // As the only second factor: a password alone does not open what a passkey guards
  await signOut();
  await byPassword();
  await page.waitForURL(`${server}/sign-in/second-factor`);
  result.asksForCode = await page.getByLabel("Code", { exact: true }).count();
  await page.goto(`${server}/profile/security`);
  result.passwordAlone = new URL(page.url()).pathname;
  await page.goto(`${server}/sign-in/second-factor`);
  await page.getByRole("button", { name: "Use your passkey" }).click();
  await page.waitForURL(`${server}/`);
  await signOut();

  // As the second factor: first an app is set up, then the password asks for its code, and the passkey stands in for it
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await page.waitForURL(`${server}/`);
  await page.goto(`${server}/profile/security`);
  await page.locator("#second-factor").getByLabel("Present password").fill(need("PASSWORD"));
  await page.getByRole("button", { name: "Set up an app" }).click();
  await page.getByLabel("Code", { exact: true }).fill(totp(await page.locator("code.secret").innerText()));
  await page.getByRole("button", { name: "Switch the second factor on" }).click();
  await page.getByText("recovery codes").first().waitFor();
  await signOut();
  await byPassword();
  await page.waitForURL(`${server}/sign-in/second-factor`);
  // Asked before the button is: what the page itself asked is gone with the page.
  result.allowed = await page.evaluate(async (options) => (await (await fetch(options, { method: "POST" })).json()).allowCredentials.length, OPTIONS);
  await page.getByRole("button", { name: "Use a passkey instead" }).click();
  await page.waitForURL(`${server}/`);
  await signOut();

  // Removed: from then on it opens nothing
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await page.waitForURL(`${server}/`);
  await page.goto(`${server}/profile/passkeys`);
  page.on("dialog", (dialog) => dialog.accept());
  await page.locator("form[action$='/remove'] button").click();
  const confirm = page.locator("dialog[open] button").last();
  if (await confirm.isVisible()) await confirm.click();
  await page.getByText("No passkeys yet").waitFor();
  await signOut();
  const late = await challenged();
  refused["a removed passkey"] = await send(await page.evaluate(ceremony, late.options), late.cookie);
  elsewhere.close();
  return { ...result, complaints };
});
