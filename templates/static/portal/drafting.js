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
