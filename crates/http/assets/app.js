// Times in the reader's zone, chart tooltips, copy buttons, live updates. The pages read well without it.
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

  // Times
  const format = (options) => new Intl.DateTimeFormat("en-GB", options);
  const day = { day: "numeric", month: "short" };
  const minute = { hour: "2-digit", minute: "2-digit" };
  const near = format({ ...day, ...minute });
  const far = format({ ...day, year: "numeric" });
  const clock = format({ ...minute, second: "2-digit" });
  const full = format({ dateStyle: "full", timeStyle: "long" });
  const stamp = (node, style) => {
    const at = new Date(node.dateTime);
    if (isNaN(at)) return;
    const now = new Date();
    node.textContent = (style || (at.getFullYear() === now.getFullYear() ? near : far)).format(at);
    node.title = full.format(at);
  };
  all("time").forEach((node) => stamp(node));
  all("[data-zone]").forEach((node) => {
    node.textContent = `Times in ${near.resolvedOptions().timeZone}; charts in UTC`;
  });

  // Copy buttons
  all(navigator.clipboard ? ".command" : "none").forEach((box) => {
    const button = make("button", "Copy", "button quiet");
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(box.querySelector("code").textContent);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 2000);
    });
    box.append(button);
  });

  // Chart tooltips: the bars' own titles, shown at once
  all("[data-chart]").forEach((figure) => {
    const tip = make("div", "", "tip");
    const texts = new Map();
    all(".bar title", figure).forEach((title) => {
      texts.set(title.parentNode, title.textContent.split("\n"));
      title.remove();
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
      stamp(time, clock);
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
