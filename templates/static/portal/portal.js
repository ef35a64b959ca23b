// The zone in which this browser's owner reads times: pages are made in it.
{
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const secure = location.protocol === "https:" ? "; secure" : "";
  if (zone) document.cookie = `zone=${zone}; path=/admin; max-age=31536000; samesite=lax${secure}`;
}
// Where the page itself begins, for who listens to it: unfold does not say.
document.addEventListener("DOMContentLoaded", () => document.getElementById("main")?.setAttribute("role", "main"));
// Dialogs are opened by any element that says data-opens="id": buttons may be replaced while the page is live.
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) {
    const dialog = document.getElementById(opener.dataset.opens);
    dialog?.showModal();
    // What it would touch is counted when it is asked.
    for (const part of dialog?.querySelectorAll("[data-counts]") ?? []) htmx.trigger(part, "opened");
    return;
  }
  const closer = event.target.closest("[data-closes]");
  if (closer) closer.closest("dialog")?.close();
});
// A second press while the first is under way would only be refused.
document.addEventListener("submit", (event) => {
  if (event.target.hasAttribute("hx-get")) return; // only asks
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
// Who was found is written into a list of the form, once.
document.addEventListener("click", (event) => {
  const adder = event.target.closest("[data-adds]");
  if (!adder) return;
  const list = document.querySelector(`textarea[name=${adder.dataset.adds}]`);
  const items = list.value.split(/\s+/).filter(Boolean);
  if (!items.includes(adder.dataset.value)) list.value = [...items, adder.dataset.value].join("\n");
  adder.textContent = "Added";
});
// Charts: a canvas names one of the charts that the page's #charts holds as JSON; what is swapped in brings newer figures.
const charts = new Map();
function draw() {
  const source = document.getElementById("charts");
  if (!source || typeof Chart === "undefined") return;
  const style = getComputedStyle(document.documentElement);
  const text = style.getPropertyValue("--p-text") || "#666";
  const grid = style.getPropertyValue("--p-line") || "#ddd";
  const palette = ["#0ea5e9", "#d97706", "#7c3aed"];
  const colours = { legacy: palette[1], iam: palette[0] };
  for (const { id, unit, labels, lines, whole } of JSON.parse(source.textContent) || []) {
    const canvas = document.querySelector(`canvas[data-chart="${id}"]`);
    if (!canvas) continue;
    const counts = lines.every(({ data }) => data.every((value) => value === null || Number.isInteger(value)));
    const datasets = lines.map(({ label, data }, place) => ({
      label, data, borderColor: colours[label] ?? palette[place], backgroundColor: colours[label] ?? palette[place],
      borderWidth: 2, spanGaps: false,
      pointRadius: data.filter((value) => value !== null).length < 3 ? 4 : 0, pointHitRadius: 8, tension: 0.2,
    }));
    const known = charts.get(id);
    if (known && known.canvas === canvas) {
      known.data = { labels, datasets, whole };
      known.update("none");
      continue;
    }
    charts.set(id, new Chart(canvas, {
      type: "line",
      data: { labels, datasets, whole },
      options: {
        animation: false, maintainAspectRatio: false, interaction: { mode: "index", intersect: false },
        scales: {
          x: { ticks: { color: text, maxTicksLimit: 6, maxRotation: 0 }, grid: { color: grid } },
          y: { beginAtZero: true, title: { display: true, text: unit, color: text }, ticks: { color: text, precision: counts ? 0 : undefined }, grid: { color: grid } },
        },
        plugins: {
          legend: { labels: { color: text, boxWidth: 12 } },
          tooltip: { callbacks: { title: ([{ chart, dataIndex, label }]) => chart.data.whole[dataIndex] ?? label, label: (item) => `${item.dataset.label}: ${item.formattedValue} ${unit}` } },
        },
      },
    }));
  }
}
document.addEventListener("DOMContentLoaded", draw);
document.addEventListener("htmx:afterSwap", draw);
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-prints]")) window.print();
});
