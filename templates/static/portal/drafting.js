// The plan's editor: without scripts it is a text field with a Save button; with them it is checked while somebody types.
document.addEventListener("DOMContentLoaded", () => {
  const area = document.getElementById("text");
  if (!area || typeof CodeMirror === "undefined") return;
  const editor = CodeMirror.fromTextArea(area, {
    mode: "toml", lineNumbers: true, lineWrapping: true, readOnly: area.readOnly,
    // Tab leaves the editor, as it leaves any field.
    extraKeys: { Tab: false, "Shift-Tab": false }, screenReaderLabel: "The plan",
  });
  const form = area.form;
  let waiting = 0;
  let unsaved = false;
  editor.on("change", () => {
    unsaved = true;
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      editor.save();
      htmx.trigger(form, "check");
    }, 700);
  });
  form.addEventListener("submit", () => {
    editor.save();
    unsaved = false;
  });
  document.querySelector("label[for=text]")?.addEventListener("click", () => editor.focus());
  // What was said of an earlier text must not seem to be about this one.
  const said = document.getElementById("checking");
  const result = document.getElementById("checked");
  const tell = (words, stale) => {
    said.textContent = words;
    result.style.opacity = stale ? "0.4" : "";
    result.setAttribute("aria-busy", String(stale));
  };
  const failed = (words) => tell(`${words} What you typed is still here.`, true);
  form.addEventListener("htmx:beforeRequest", () => tell("Checking …", true));
  form.addEventListener("htmx:sendError", () => failed("It could not be checked: the portal does not answer."));
  form.addEventListener("htmx:responseError", (event) => failed(`It could not be checked (${event.detail.xhr.status}).`));
  form.addEventListener("htmx:beforeOnLoad", (event) => {
    const { xhr } = event.detail;
    const elsewhere = xhr.getResponseHeader("HX-Redirect") || !xhr.responseURL.endsWith("/check/");
    if (!elsewhere) return;
    event.preventDefault();
    failed("Your session is over: sign in again in another tab, then go on here.");
  });
  form.addEventListener("htmx:afterSwap", () => tell("", false));
  window.addEventListener("beforeunload", (event) => {
    if (unsaved) event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    const line = Number(event.target.closest("[data-line]")?.dataset.line);
    if (!line) return;
    editor.focus();
    editor.setCursor(line - 1, 0);
    editor.scrollIntoView({ line: line - 1, ch: 0 }, 120);
  });
});
