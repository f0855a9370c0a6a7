// Counts how far what is seen moves by itself: runs in the page, before anything of it.

export const watchShifts = () => {
  window.shifted = { sum: 0, what: [] };
  const place = ({ node, previousRect: from, currentRect: to }) =>
    `${node?.localName ?? node?.nodeName}.${node?.className ?? ""} ${[from, to].map((rect) => [rect.x, rect.y, rect.width, rect.height].map(Math.round)).join(" → ")}`;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries().filter((one) => !one.hadRecentInput)) {
      window.shifted.sum += entry.value;
      window.shifted.what.push(...entry.sources.map(place));
    }
  }).observe({ type: "layout-shift", buffered: true });
};
