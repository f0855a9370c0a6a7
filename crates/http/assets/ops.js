// The page of a release: parts that changed are put in the place of the old ones, with what the reader did there.
"use strict";
(() => {
  const state = document.querySelector("[data-watch]");
  if (!state) return;
  const say = (name, word) => {
    state.dataset.liveState = name;
    if (state.textContent !== word) state.textContent = word;
  };
  const known = new Map();
  const put = (part) => {
    const html = part.outerHTML;
    const old = document.querySelector(`[data-part="${CSS.escape(part.dataset.part)}"]`);
    if (!old || known.get(part.dataset.part) === html) return;
    known.set(part.dataset.part, html);
    const focus = old.contains(document.activeElement) ? document.activeElement : null;
    const at = focus && "selectionStart" in focus ? [focus.selectionStart, focus.selectionEnd] : null;
    for (const node of old.querySelectorAll("[id]")) {
      const fresh = part.querySelector(`#${CSS.escape(node.id)}`);
      if (!fresh) continue;
      if (node.localName === "details") fresh.open = node.open;
      if (node.localName === "input" && node.type !== "hidden") [fresh.value, fresh.checked] = [node.value, node.checked];
    }
    const scroll = [...old.querySelectorAll("[data-keep-scroll]")].map((node) => [node.id, node.scrollTop]);
    old.replaceWith(document.adoptNode(part));
    for (const [id, top] of scroll) document.getElementById(id).scrollTop = top;
    // A summary has no id of its own: its details have
    const holder = focus?.localName === "summary" ? focus.parentNode.id : "";
    const again = document.getElementById(holder || focus?.id);
    (holder ? again?.firstElementChild : again)?.focus({ preventScroll: true });
    if (at && again && at[0] !== null) again.setSelectionRange(...at);
  };
  const show = (message) => {
    const fresh = new DOMParser().parseFromString(message.data, "text/html");
    fresh.querySelectorAll("[data-part]").forEach(put);
  };
  const source = new EventSource(state.dataset.watch);
  say("wait", "Connecting");
  source.addEventListener("open", () => say("on", "Live"));
  source.addEventListener("error", () => (source.readyState === 2 ? say("off", "Stopped: reload the page") : say("wait", "Reconnecting")));
  source.addEventListener("parts", show);
  source.addEventListener("end", (message) => {
    source.close();
    show(message);
    say("on", "It has ended");
  });
})();
