// Dialogs are opened by any element that says data-opens="id": buttons may be replaced while the page is live.
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) {
    document.getElementById(opener.dataset.opens)?.showModal();
    return;
  }
  const closer = event.target.closest("[data-closes]");
  if (closer) closer.closest("dialog")?.close();
});
// A second press while the first is under way would only be refused.
document.addEventListener("submit", (event) => {
  for (const button of event.target.querySelectorAll("button[type=submit]")) {
    setTimeout(() => (button.disabled = true), 0);
  }
});
document.addEventListener("change", (event) => {
  if (event.target.dataset?.submits !== undefined) event.target.form.submit();
});
// One box ticks them all; a dialog's form takes along what is ticked elsewhere.
document.addEventListener("change", (event) => {
  const name = event.target.dataset?.ticks;
  if (!name) return;
  for (const box of document.querySelectorAll(`input[type=checkbox][name=${name}]`)) box.checked = event.target.checked;
});
document.addEventListener("submit", (event) => {
  const name = event.target.dataset.takes;
  if (!name) return;
  for (const box of document.querySelectorAll(`input[type=checkbox][name=${name}]:checked`)) {
    const copy = document.createElement("input");
    Object.assign(copy, { type: "hidden", name, value: box.value });
    event.target.append(copy);
  }
});
document.addEventListener("submit", (event) => {
  const from = document.getElementById(event.target.dataset.copies);
  if (!from) return;
  for (const [name, value] of new FormData(from)) {
    const copy = document.createElement("input");
    Object.assign(copy, { type: "hidden", name, value });
    event.target.append(copy);
  }
});
