// The pages' only script: times in the reader's zone, chart tooltips, copy buttons, live updates.
// Everything is readable without it, and text only ever enters the page as text.
"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, className, text = "") => {
    const node = document.createElement(tag);
    node.className = className;
    node.textContent = text;
    return node;
  };

  // Times
  const format = (options) => new Intl.DateTimeFormat("en-GB", options);
  const day = { day: "numeric", month: "short" };
  const minute = { hour: "2-digit", minute: "2-digit" };
  const short = format({ ...day, ...minute });
  const dated = format({ ...day, year: "numeric" });
  const clock = format({ ...minute, second: "2-digit" });
  const full = format({ dateStyle: "full", timeStyle: "long" });
  const stamp = (node, style) => {
    const at = new Date(node.dateTime);
    if (isNaN(at)) return;
    const thisYear = at.getFullYear() === new Date().getFullYear();
    node.textContent = (style || (thisYear ? short : dated)).format(at);
    node.title = full.format(at);
  };
  all("time[datetime]").forEach((node) => stamp(node));
  all("[data-zone]").forEach((node) => {
    node.textContent = `Times in ${short.resolvedOptions().timeZone}; charts in UTC`;
  });

  // Copy buttons
  if (navigator.clipboard) {
    all(".command").forEach((box) => {
      const button = make("button", "button quiet", "Copy");
      button.type = "button";
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(box.querySelector("code").textContent);
        button.textContent = "Copied";
        setTimeout(() => (button.textContent = "Copy"), 2000);
      });
      box.append(button);
    });
  }

  // Chart tooltips: the bars' own titles, shown at once and in our type
  all("[data-chart]").forEach((figure) => {
    const tip = make("div", "tip");
    const texts = new Map();
    all(".bar", figure).forEach((bar) => {
      const title = bar.querySelector("title");
      texts.set(bar, title.textContent.split("\n"));
      title.remove();
    });
    tip.hidden = true;
    figure.append(tip);
    let shown = null;
    const show = (bar) => {
      if (bar === shown) return;
      shown?.classList.remove("on");
      shown = bar;
      tip.hidden = !bar;
      if (!bar) return;
      bar.classList.add("on");
      const [time, ...lines] = texts.get(bar);
      tip.replaceChildren(make("b", "", time), ...lines.map((line) => make("span", "", line)));
      const space = figure.getBoundingClientRect();
      const slot = bar.querySelector(".hit").getBoundingClientRect();
      const right = slot.right - space.left + 8;
      const left = slot.left - space.left - tip.offsetWidth - 8;
      const fits = right + tip.offsetWidth <= space.width;
      tip.style.left = `${fits ? right : Math.max(0, left)}px`;
    };
    figure.addEventListener("pointerover", (event) => show(event.target.closest(".bar")));
    figure.addEventListener("pointerleave", () => show(null));
  });

  // Live updates; the browser reconnects by itself
  const CLASSES = {
    human: ["human", "Person"],
    privacy_proxy: ["proxy", "Privacy proxy"],
    machine: ["machine", "Machine"],
  };
  const KEEP = 12;
  all("[data-live]").forEach((panel) => {
    const state = panel.querySelector("[data-live-state]");
    const feed = panel.querySelector("[data-live-feed]");
    const pause = panel.querySelector("[data-live-pause]");
    let waiting = [];
    let totals = null;
    let paused = false;
    let timer = 0;

    const say = (name, word) => {
      state.dataset.liveState = name;
      state.textContent = word;
    };
    const line = (event) => {
      const [mark, who] = CLASSES[event.class] || ["", event.class || "Somebody"];
      const item = make("li", "");
      const time = make("time", "");
      time.dateTime = event.occurred_at;
      stamp(time, clock);
      const what = make("span", "feed-what", `${who} ${event.kind} `);
      what.append(make("b", "", event.campaign || ""));
      item.append(time, make("span", `mark ${mark}`), what, make("span", "feed-client", event.client || ""));
      item.title = [event.link, ...(event.reasons || [])].filter(Boolean).join("\n");
      return item;
    };
    const draw = () => {
      timer = 0;
      if (paused) return;
      if (waiting.length) {
        feed.querySelector(".none")?.remove();
        feed.prepend(...waiting.reverse().map(line));
        waiting = [];
        while (feed.children.length > KEEP) feed.lastChild.remove();
      }
      for (const [key, value] of Object.entries(totals || {})) {
        const text = value.toLocaleString("en");
        all("[data-total]").forEach((node) => {
          if (node.dataset.total !== key || node.textContent === text) return;
          node.textContent = text;
          node.classList.remove("changed");
          void node.offsetWidth; // starts the animation again
          node.classList.add("changed");
        });
      }
      totals = null;
    };
    // A flood is drawn four times a second, whatever its rate.
    const soon = () => (timer ||= setTimeout(draw, 250));

    const source = new EventSource(panel.dataset.live);
    say("wait", "Connecting");
    source.addEventListener("open", () => say("on", "Connected"));
    source.addEventListener("error", () =>
      source.readyState === EventSource.CLOSED ? say("off", "Stopped: reload the page") : say("wait", "Reconnecting"),
    );
    source.addEventListener("event", (message) => {
      waiting = [...waiting, JSON.parse(message.data)].slice(-KEEP);
      soon();
    });
    source.addEventListener("totals", (message) => {
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
