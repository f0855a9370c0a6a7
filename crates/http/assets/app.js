// Charts under pointer and arrow keys, live updates, shortcuts, confirmations, sorting,
// colours. The pages work without it.
"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, text = "", className = "") => {
    const node = document.createElement(tag);
    node.textContent = text;
    node.className = className;
    return node;
  };
  const CLASSES = {
    human: ["human", "Person"],
    privacy_proxy: ["proxy", "Privacy proxy"],
    machine: ["machine", "Machine"],
  };
  const MARKS = Object.values(CLASSES).map(([mark]) => mark);

  const format = (options) => new Intl.DateTimeFormat("en-GB", options);
  const day = { day: "numeric", month: "short" };
  const minute = { hour: "2-digit", minute: "2-digit" };

  // Colours
  const root = document.documentElement;
  const keep = (key, value) => {
    try {
      localStorage.setItem(key, value);
    } catch {}
  };
  const themes = all("[data-theme-set]");
  const press = () =>
    themes.forEach((node) => node.setAttribute("aria-pressed", node.dataset.themeSet === (root.dataset.theme || "auto")));
  press();
  themes.forEach((node) =>
    node.addEventListener("click", () => {
      keep("theme", (root.dataset.theme = node.dataset.themeSet));
      press();
    }),
  );

  // Messages
  const toasts = document.querySelector("[data-toasts]");
  const fade = (node) => setTimeout(() => node.remove(), 10000);
  const toast = (text) => {
    const node = make("p", "", "toast");
    node.append(make("span", "", "mark ok"), text);
    toasts.replaceChildren(node);
    fade(node);
  };
  all(".toast").forEach(fade);

  // Copy buttons
  const copy = (button, text) =>
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(text());
      toast("Copied");
    });
  if (navigator.clipboard) {
    all(".command").forEach((box) => {
      const button = make("button", "Copy", "button quiet");
      button.type = "button";
      copy(button, () => box.querySelector("code").textContent);
      box.append(button);
    });
    all("[data-copy]").forEach((node) => {
      const button = make("button", "Copy", "button quiet");
      const parts = all("code", node);
      button.type = "button";
      // A path is copied with the address that it belongs to.
      const before = node.matches("[data-copy-address]") ? location.origin : "";
      copy(button, () => before + (parts.length ? parts : [node]).map((part) => part.textContent).join("\n"));
      node.after(button);
    });
  }

  // What cannot be undone asks first
  all("[data-confirm]").forEach((node) => {
    const form = node.closest("form");
    form.addEventListener("submit", (event) => {
      const sender = event.submitter;
      if (form.dataset.sure || (node !== form && node !== sender)) return;
      event.preventDefault();
      const box = make("dialog", "", "confirm");
      const text = make("p", node.dataset.confirm);
      const buttons = make("div");
      const no = make("button", "Cancel", "button");
      const yes = make("button", sender?.textContent || "Go on", "button danger");
      text.id = "confirm-text";
      box.setAttribute("aria-labelledby", text.id);
      no.addEventListener("click", () => box.close());
      yes.addEventListener("click", () => {
        form.dataset.sure = 1;
        form.requestSubmit(sender);
      });
      box.addEventListener("close", () => box.remove());
      buttons.append(no, yes);
      box.append(text, buttons);
      document.body.append(box);
      box.showModal();
    });
  });

  // Tables: rows that match, rows in order
  all("table[data-filter]").forEach((table) => {
    const rows = [...table.tBodies[0].rows];
    const input = document.querySelector("input.filter");
    input?.addEventListener("input", () => {
      const wanted = input.value.trim().toLowerCase();
      rows.forEach((row) => (row.hidden = !row.textContent.toLowerCase().includes(wanted)));
    });
  });
  all("table[data-sort]").forEach((table) => {
    const heads = all("thead th", table);
    const value = (row, index) => {
      const cell = row.cells[index];
      const time = cell.querySelector("time");
      const text = cell.textContent.trim();
      const number = parseFloat(text.replace(/,/g, ""));
      return time ? time.dateTime : isNaN(number) || !cell.matches(".n") ? text.toLowerCase() : number;
    };
    heads.forEach((head, index) => {
      const button = make("button", "", "sort");
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") ? head.ariaSort !== "descending" : head.matches(".n");
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows].map((row) => [value(row, index), row]);
        rows.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1));
        table.tBodies[0].append(...rows.map(([, row]) => row));
      });
    });
  });

  // Shortcuts, which the reader can turn off
  const keys = document.querySelector("[data-keys]");
  const help = document.getElementById("help");
  try {
    if (keys) keys.checked = localStorage.getItem("keys") !== "off";
  } catch {}
  keys?.addEventListener("change", () => keep("keys", keys.checked ? "on" : "off"));
  let going = 0;
  const step = (by) => {
    const links = all("main tbody th a[href]").filter((node) => node.offsetParent);
    const at = links.indexOf(document.activeElement);
    links[Math.min(links.length - 1, Math.max(0, at < 0 ? 0 : at + by))]?.focus();
  };
  const acts = {
    "?": () => help.togglePopover(),
    "/": () => document.querySelector("[data-search]")?.focus(),
    j: () => step(1),
    k: () => step(-1),
    n: () => document.querySelector("[data-next]")?.click(),
  };
  addEventListener("keydown", (event) => {
    if (!keys?.checked || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest("input:not([type=checkbox]), textarea, select, dialog")) return;
    const place = Date.now() - going < 1500 && document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
    going = event.key === "g" ? Date.now() : 0;
    const act = place ? () => place.click() : acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  // Charts: the bars' own titles at once, under the pointer or by arrow keys; hours in the reader's zone
  all("[data-chart]").forEach((figure) => {
    const tip = make("div", "", "tip");
    const texts = new Map();
    const hour = figure.dataset.chart === "hour";
    const local = format(figure.dataset.ticks === "time" ? minute : day);
    const wide = format({ weekday: "short", ...day, ...minute });
    all(".bar title", figure).forEach((title) => {
      const bar = title.parentNode;
      const lines = title.textContent.split("\n");
      if (hour) lines[0] = wide.format(new Date(bar.dataset.at));
      texts.set(bar, lines);
      title.remove();
    });
    all(hour ? ".x-tick text" : "none", figure).forEach((node) => {
      node.textContent = local.format(new Date(node.dataset.at));
    });
    all(hour ? "[data-unit]" : "none", figure.parentNode).forEach((node) => {
      node.textContent = node.dataset.unit;
    });
    tip.hidden = true;
    figure.append(tip);
    let shown = null;
    const row = (line, index) => {
      const [, word, number] = line.match(/(.*) (.*)/);
      const node = make("span", word);
      node.prepend(make("i", "", `mark ${MARKS[index]}`));
      node.append(make("b", number));
      return node;
    };
    const show = (bar) => {
      if (bar === shown) return;
      shown?.classList.remove("on");
      shown = bar;
      tip.hidden = !bar;
      if (!bar) return;
      bar.classList.add("on");
      const [time, ...lines] = texts.get(bar);
      tip.replaceChildren(make("b", time), ...lines.map(row));
      const space = figure.getBoundingClientRect();
      const slot = bar.querySelector(".hit").getBoundingClientRect();
      const right = slot.right - space.left + 8;
      const left = slot.left - space.left - tip.offsetWidth - 8;
      tip.style.left = `${right + tip.offsetWidth > space.width ? Math.max(0, left) : right}px`;
    };
    const bars = [...texts.keys()];
    if (!bars.length) return;
    figure.tabIndex = 0;
    figure.setAttribute("role", "group");
    figure.setAttribute("aria-label", "Chart; arrow keys read it bar by bar");
    tip.setAttribute("role", "status");
    figure.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1, Home: -1e6, End: 1e6 }[event.key];
      if (event.key === "Escape") show(null);
      if (!by) return;
      event.preventDefault();
      const at = shown ? bars.indexOf(shown) + by : by > 0 ? 0 : bars.length - 1;
      show(bars[Math.min(bars.length - 1, Math.max(0, at))]);
    });
    figure.addEventListener("blur", () => show(null));
    figure.addEventListener("pointerover", (event) => show(event.target.closest(".bar")));
    figure.addEventListener("pointerleave", () => show(null));
  });

  // Live updates; the browser reconnects by itself
  const KEEP = 12;
  all("[data-live]").forEach((panel) => {
    const [state, pause, feed] = all("[data-live-state], [data-live-pause], [data-live-feed]", panel);
    let waiting = [];
    let totals = {};
    let paused = false;
    let timer = 0;

    const say = (name, word) => {
      state.dataset.liveState = name;
      state.textContent = word;
    };
    const line = (event) => {
      const act = /^(open|click)/.test(event.kind);
      const [mark, who] = (act && CLASSES[event.class]) || ["none", ""];
      const item = make("li");
      const time = make("time");
      time.dateTime = event.occurred_at;
      time.dataset.clock = "";
      const what = make("span", `${who} ${event.kind} `, "feed-what");
      what.append(make("b", event.campaign || ""));
      item.append(time, make("span", "", `mark ${mark}`), what, make("span", event.client || "", "feed-client"));
      item.title = [event.link, ...(event.reasons || [])].filter(Boolean).join("\n");
      return item;
    };
    const draw = () => {
      timer = 0;
      if (paused) return;
      if (waiting.length) {
        all(".blank", feed).forEach((node) => node.remove());
        feed.prepend(...waiting.reverse().map(line));
        waiting = [];
        while (feed.children.length > KEEP) feed.lastElementChild.remove();
      }
      all("[data-total]").forEach((node) => {
        const text = totals[node.dataset.total]?.toLocaleString("en");
        if (!text || node.textContent === text) return;
        node.textContent = text;
        node.classList.remove("changed");
        void node.offsetWidth; // starts the animation again
        node.classList.add("changed");
      });
    };
    // A flood is drawn four times a second, whatever its rate
    const soon = () => (timer ||= setTimeout(draw, 250));

    const source = new EventSource(panel.dataset.live);
    const on = (name, act) => source.addEventListener(name, act);
    say("wait", "Connecting");
    on("open", () => say("on", "Connected"));
    on("error", () => (source.readyState === 2 ? say("off", "Stopped: reload the page") : say("wait", "Reconnecting")));
    on("event", (message) => {
      waiting = [...waiting, JSON.parse(message.data)].slice(-KEEP);
      soon();
    });
    on("totals", (message) => {
      totals = JSON.parse(message.data);
      soon();
    });
    pause.hidden = false;
    pause.addEventListener("click", () => {
      paused = !paused;
      pause.textContent = paused ? "Resume" : "Pause";
      soon();
    });
  });
})();
