// What of a page people cannot use who do not see it well, or use no mouse.
(() => {
  const found = [];
  const name = (e) => e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") + " " + (e.textContent || "").trim().slice(0, 30);
  if (document.querySelectorAll("h1").length !== 1) found.push("not one h1");
  if (!document.documentElement.lang) found.push("no language");
  if (!document.querySelector("main")) found.push("no main");
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of new Set(ids)) if (ids.filter((i) => i === id).length > 1) found.push("twice the id " + id);
  for (const e of document.querySelectorAll("input:not([type=hidden]):not([hidden]), select, textarea"))
    if (!e.labels.length && !e.getAttribute("aria-label")) found.push("no label: " + name(e));
  for (const e of document.querySelectorAll("button, a[href]"))
    if (!(e.getAttribute("aria-label") || e.textContent).trim()) found.push("no name: " + e.outerHTML.slice(0, 80));
  for (const e of document.querySelectorAll("img")) if (!e.hasAttribute("alt")) found.push("no alt: " + name(e));
  for (const e of document.querySelectorAll("[aria-describedby]"))
    if (!document.getElementById(e.getAttribute("aria-describedby"))) found.push("described by nothing: " + name(e));
  for (const e of document.querySelectorAll("table")) if (!e.querySelector("th[scope]")) found.push("no heads: " + name(e));
  for (const e of document.querySelectorAll("[tabindex]")) if (e.tabIndex > 0) found.push("an order of its own: " + name(e));

  // Contrast as WCAG 2.2 has it, 1.4.3.
  const parse = (c) => { const m = c.match(/[\d.]+/g).map(Number); return { rgb: m.slice(0, 3), a: m.length > 3 ? m[3] : 1 }; };
  const light = (rgb) => { const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.a === 1) return c.rgb; } return [255, 255, 255]; };
  for (const e of document.querySelectorAll("body *")) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.checkVisibility()) continue;
    const s = getComputedStyle(e), size = parseFloat(s.fontSize);
    const a = light(parse(s.color).rgb), b = light(behind(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < (size >= 24 || size >= 18.66 && s.fontWeight >= 700 ? 3 : 4.5)) found.push("contrast " + ratio.toFixed(1) + ": " + name(e));
  }
  // A phone makes its window as wide as what does not fit.
  if (document.documentElement.scrollWidth > screen.width) found.push("wider than the screen: " + document.documentElement.scrollWidth + " > " + screen.width);
  return found;
})()
