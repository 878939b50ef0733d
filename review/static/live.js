// Keeps an open page fresh: on word from the server it is fetched again, and what differs is put in its place.
// Nothing that somebody is typing in is touched; without this file every page works, only not by itself.
"use strict";
(() => {
  const topics = document.body.dataset.topics;
  if (!topics || !window.EventSource) return;
  const live = document.getElementById("live");
  let busy = false;
  let again = false;

  const stamp = (page) => page.querySelector("[data-stamp]")?.dataset.stamp;

  function put(page) {
    let changed = false;
    for (const part of document.querySelectorAll("[data-live][id]")) {
      const fresh = page.getElementById(part.id);
      if (!fresh || fresh.innerHTML === part.innerHTML || part.contains(document.activeElement)) continue;
      const opened = [...part.querySelectorAll("details")].map((one) => one.open);
      part.replaceChildren(...fresh.childNodes);
      part.querySelectorAll("details").forEach((one, n) => { one.open = opened[n] || false; });
      changed = true;
    }
    return changed;
  }

  async function refresh() {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(window.location.href, { credentials: "same-origin", redirect: "manual" });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (stamp(page) !== stamp(document)) document.getElementById("stale").hidden = false;
      if (put(page)) live.textContent = "The page was brought up to date.";
    } catch {
      live.textContent = "";
    } finally {
      busy = false;
      if (again) { again = false; refresh(); }
    }
  }

  const source = new EventSource("/events?topics=" + encodeURIComponent(topics));
  source.addEventListener("changed", refresh);
  window.addEventListener("pagehide", () => source.close());
})();
