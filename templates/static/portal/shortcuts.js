// Single keys: "?" lists them, "g" and a letter go to a page. Who does not want them unticks the box in the list (WCAG 2.1.4).
{
  const PATIENCE = 1500; // milliseconds between "g" and the letter
  const off = () => localStorage.getItem("shortcuts") === "off";
  let going = 0;
  const list = () => document.getElementById("shortcuts");
  const open = () => {
    list().querySelector("[data-shortcuts]").checked = !off();
    list().showModal();
  };
  const typing = ({ target }) => target.closest("input:not([type=checkbox]), textarea, select, [contenteditable], dialog, .CodeMirror");
  const shown = (element) => element.offsetParent !== null;
  const rows = () => [...document.querySelectorAll("#content tbody tr")].filter((row) => shown(row) && handle(row));
  // What in a row is focused: its box, else its first link.
  const box = (row) => row?.querySelector("input[type=checkbox]:not(:disabled)");
  const handle = (row) => box(row) ?? row.querySelector("a, input, button");
  const step = (by) => {
    const all = rows();
    const here = all.findIndex((row) => row.contains(document.activeElement));
    const next = all[here < 0 ? (by > 0 ? 0 : all.length - 1) : here + by];
    if (!next) return;
    handle(next).focus();
    next.scrollIntoView({ block: "nearest" });
  };
  const keys = {
    "?": open,
    "/": () => [...document.querySelectorAll("#content input:is([type=search], [type=text])")].find(shown)?.focus(),
    j: () => step(1),
    k: () => step(-1),
    x: () => box(document.activeElement.closest("#content tbody tr"))?.click(),
    g: () => { going = Date.now(); },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || !list() || off() || typing(event)) return;
    const went = Date.now() - going < PATIENCE;
    going = 0;
    const page = went && list().querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    const made = page ? () => page.click() : keys[event.key];
    if (!made) return;
    event.preventDefault();
    made();
  });
  document.addEventListener("change", ({ target }) => {
    if (target.dataset?.shortcuts !== undefined) localStorage.setItem("shortcuts", target.checked ? "on" : "off");
  });
  document.addEventListener("click", (event) => {
    const opener = event.target.closest('a[href="#shortcuts"]');
    if (!opener) return;
    event.preventDefault();
    open();
  });
}
