// Parts of a page that ask for themselves: replaced in place, so that focus, ticks, what is typed or open, and the scroll stay.
(() => {
  // What a person has set, and what Chart.js has drawn, the server does not know.
  const theirs = new Set(["checked", "selected", "value", "open"]);
  const drawn = new Set(["style", "width", "height"]);
  const settable = "input, select, option, textarea, details, dialog";
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, element) =>
    !(theirs.has(name) && element.matches(settable)) && !(drawn.has(name) && element.matches("canvas")) &&
    !(name === "tabindex" && element.matches(scrolling));

  // What is wider than its place is scrolled by keyboard, too.
  const scrolling = ".p-scroll, pre, .p-prose table";
  const reach = () => {
    for (const part of document.querySelectorAll(scrolling)) {
      if (part.scrollWidth > part.clientWidth) part.tabIndex = 0;
      else part.removeAttribute("tabindex");
    }
  };
  for (const event of ["DOMContentLoaded", "htmx:afterSwap"]) document.addEventListener(event, reach);
  addEventListener("resize", reach);

  const polls = (event) => event.detail.elt.hasAttribute("data-polls");
  // Nobody sees a hidden tab: it asks when it is looked at again.
  document.addEventListener("htmx:configRequest", (event) => {
    if (!polls(event)) return;
    if (document.hidden) event.preventDefault();
    event.detail.timeout = 10000;
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) for (const part of document.querySelectorAll("[data-polls]")) htmx.trigger(part, "seen");
  });

  // Where what had the focus is gone, the part that it was in has it: a key pressed next must not act elsewhere.
  let focused = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (polls(event)) focused = event.detail.target.contains(document.activeElement) ? document.activeElement : null;
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (!focused || focused.isConnected) return;
    const part = document.getElementById(event.detail.target.id) ?? event.detail.elt;
    part.tabIndex = -1;
    part.focus({ preventScroll: true });
  });

  // A page that is no longer kept up to date says so, and since when.
  let heard = new Date();
  const said = () => document.getElementById("stale");
  document.addEventListener("htmx:afterRequest", (event) => {
    if (!polls(event)) return;
    if (event.detail.successful) {
      heard = new Date();
      said()?.remove();
      return;
    }
    if (said()) return;
    const notice = document.createElement("div");
    Object.assign(notice, { id: "stale", className: "p-stale", role: "alert" });
    notice.textContent = `The portal does not answer: this page is as of ${heard.toLocaleTimeString()}. It asks again by itself.`;
    document.body.append(notice);
  });
})();
