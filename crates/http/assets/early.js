// Before the first paint and while the page arrives, so that nothing moves later: what the browser can do, the colours
// that the reader chose on this machine, and times in the reader's zone.
"use strict";
(() => {
  const root = document.documentElement;
  root.dataset.scripted = "";
  if (window.PublicKeyCredential) root.dataset.passkeys = "";
  try {
    root.dataset.theme = localStorage.getItem("theme") || "auto";
  } catch {}

  const format = (options) => new Intl.DateTimeFormat("en-GB", options);
  const day = { day: "numeric", month: "short" };
  const minute = { hour: "2-digit", minute: "2-digit" };
  const near = format({ ...day, ...minute });
  const far = format({ ...day, year: "numeric" });
  const exact = format({ ...day, ...minute, second: "2-digit" });
  const clock = format({ ...minute, second: "2-digit" });
  const full = format({ dateStyle: "full", timeStyle: "long" });
  const style = (node, at) => {
    if ("clock" in node.dataset) return clock;
    if (at.getFullYear() !== new Date().getFullYear()) return far;
    return node.closest("[data-seconds]") ? exact : near;
  };
  // The parser may add the server's words after ours: what is there is looked at again
  const write = (node, text) => node.textContent === text || (node.textContent = text);
  const look = (node) => {
    if (node.localName === "time") {
      const at = new Date(node.dateTime);
      if (isNaN(at)) return;
      write(node, style(node, at).format(at));
      node.title = full.format(at);
    } else if (node.dataset && "zone" in node.dataset) {
      write(node, `Times in ${near.resolvedOptions().timeZone}; days begin at midnight UTC`);
    }
  };
  const watch = new MutationObserver((changes) => {
    for (const { target, addedNodes } of changes) {
      // The parser also adds to a text that stands there already
      look(target.localName ? target : (target.parentNode ?? target));
      for (const node of addedNodes) {
        look(node);
        if (node.firstElementChild) node.querySelectorAll("time, [data-zone]").forEach(look);
      }
    }
  });
  watch.observe(root, { childList: true, characterData: true, subtree: true });
})();
