// Passkeys: adds them in the profile, signs in with them. early.js shows what needs them where the browser has them.
"use strict";
(() => {
  if (!window.PublicKeyCredential) return;
  const decode = (text) =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  const encode = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer ?? [])))
      .replaceAll("+", "-")
      .replaceAll("/", "_")
      .replace(/=+$/, "");
  const known = (list) => list.map((one) => ({ ...one, id: decode(one.id) }));
  const post = async (path, body) => {
    const headers = body ? { "content-type": "application/json" } : {};
    const answer = await fetch(path, { method: "POST", headers, body: body && JSON.stringify(body) });
    const value = await answer.json();
    if (!answer.ok) throw new Error(value.detail);
    return value;
  };

  const add = async (form) => {
    const options = await post("/profile/passkeys/options", { current: form.querySelector("[name=current]")?.value ?? "" });
    options.challenge = decode(options.challenge);
    options.user.id = decode(options.user.id);
    options.excludeCredentials = known(options.excludeCredentials);
    const { rawId, response } = await navigator.credentials.create({ publicKey: options });
    await post("/profile/passkeys", {
      name: form.querySelector("[name=name]").value,
      id: encode(rawId),
      clientDataJSON: encode(response.clientDataJSON),
      authenticatorData: encode(response.getAuthenticatorData()),
      transports: response.getTransports?.() ?? [],
    });
    location.reload();
  };

  const signIn = async (form) => {
    const options = await post("/sign-in/passkey/options");
    options.challenge = decode(options.challenge);
    options.allowCredentials = known(options.allowCredentials);
    const { rawId, response } = await navigator.credentials.get({ publicKey: options });
    const { next } = await post("/sign-in/passkey", {
      id: encode(rawId),
      clientDataJSON: encode(response.clientDataJSON),
      authenticatorData: encode(response.authenticatorData),
      signature: encode(response.signature),
      userHandle: encode(response.userHandle),
      next: form.dataset.next ?? "",
    });
    location.assign(next);
  };

  const words = {
    NotAllowedError: "It was cancelled, or took too long. Try again.",
    InvalidStateError: "This passkey is registered already.",
    SecurityError: "This page is not open under its public address, so passkeys do not work here.",
  };
  document.querySelectorAll("[data-passkey]").forEach((form) => {
    const said = form.querySelector("[data-passkey-said]");
    const button = form.querySelector("button");
    button.disabled = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      said.hidden = true;
      button.disabled = true;
      try {
        await (form.dataset.passkey === "add" ? add : signIn)(form);
      } catch (error) {
        said.textContent = words[error.name] ?? error.message;
        said.hidden = false;
      }
      button.disabled = false;
    });
  });
})();
