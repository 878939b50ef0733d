"""What a page has to be for whoever hears it or sees it badly, asked of the browser's own document."""

FAULTS = r"""
const found = [], all = (what) => [...document.querySelectorAll(what)];
const seen = (one) => one.getClientRects().length > 0 && getComputedStyle(one).visibility !== "hidden";
const say = (what, one) => found.push(what + ": " + one.outerHTML.slice(0, 120));
if (!document.documentElement.lang) found.push("the page names no language");
if (!document.title.trim() || !document.title.includes("·")) found.push("the page has no title of its own");
if (all("main").length !== 1) found.push("one main landmark, not " + all("main").length);
if (all("h1").length !== 1) found.push("one h1, not " + all("h1").length);
let level = 0;
for (const one of all("h1,h2,h3,h4,h5,h6")) {
  const now = Number(one.tagName[1]);
  if (now > level + 1) say("a heading skips a level", one);
  if (!one.textContent.trim()) say("a heading is empty", one);
  level = now;
}
const ids = all("[id]").map((one) => one.id);
for (const id of ids) if (ids.filter((other) => other === id).length > 1) found.push("the id stands twice: " + id);
for (const one of all("input:not([type=hidden]),select,textarea")) {
  if (!one.labels.length && !one.getAttribute("aria-label")) say("a field has no label", one);
}
for (const one of all("a[href],button,summary")) {
  if (!(one.textContent.trim() || one.getAttribute("aria-label"))) say("no name to say", one);
}
for (const one of all("nav,section,[role=region]")) {
  const by = one.getAttribute("aria-labelledby");
  if (!one.getAttribute("aria-label") && !(by && document.getElementById(by))) say("a landmark has no name", one);
}
for (const one of all("[aria-describedby]")) {
  for (const id of one.getAttribute("aria-describedby").split(" ")) if (!document.getElementById(id)) say("described by nothing", one);
}
for (const one of all("svg")) if (!one.getAttribute("aria-hidden") && !one.getAttribute("aria-label")) say("a drawing says nothing", one);
for (const one of all("img")) if (!one.hasAttribute("alt")) say("a picture says nothing", one);
for (const one of all("iframe")) if (!one.title) say("a frame has no title", one);
for (const one of all("table")) {
  if (!one.caption) say("a table has no caption", one);
  for (const head of one.querySelectorAll("th")) if (!head.scope) say("a head has no scope", head);
}
for (const one of all("[tabindex]")) if (one.tabIndex > 0) say("the order of the focus is bent", one);
for (const one of all("button,input:not([type=hidden]),select")) {
  const box = one.getBoundingClientRect();
  if (seen(one) && box.height < 24) say("too small to hit", one);
}
if (!document.querySelector("a.skip[href='#main']")) found.push("no way past the head of the page");
if (!document.querySelector("[aria-live=polite]")) found.push("no place where changes are told");
return found;
"""

CONTRAST = r"""
const parse = (text) => text.match(/[\d.]+/g).map(Number);
const light = (rgb) => {
  const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (one) => {
  for (; one; one = one.parentElement) {
    const color = parse(getComputedStyle(one).backgroundColor);
    if (color.length < 4 || color[3] === 1) return color.slice(0, 3);
  }
  return [255, 255, 255];
};
const found = new Set();
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const one = walk.currentNode.parentElement;
  if (!walk.currentNode.textContent.trim() || !one.getClientRects().length || one.closest("script,style,.live,.hidden")) continue;
  const style = getComputedStyle(one);
  const [high, low] = [light(parse(style.color).slice(0, 3)), light(behind(one))].sort((a, b) => b - a);
  const ratio = (high + 0.05) / (low + 0.05);
  if (ratio < 4.5) found.add(ratio.toFixed(2) + ": " + one.outerHTML.slice(0, 90));
}
return [...found];
"""
