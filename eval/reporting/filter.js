"use strict";
// Hides the items that the chosen filters leave out. Without JavaScript every item is shown.
const form = document.querySelector("#filter");
if (form) {
  const items = [...document.querySelectorAll("details.item")];
  const has = (list, word) => !word || list.split(" ").includes(word);
  const apply = () => {
    const { category, run, kind, text } = Object.fromEntries(new FormData(form));
    let shown = 0;
    for (const item of items) {
      const { category: own, wrong, kind: kinds } = item.dataset;
      const fits = (!category || own === category) && has(wrong, run) && has(kinds, kind);
      item.hidden = !(fits && (!text || item.textContent.includes(text.normalize("NFC"))));
      shown += !item.hidden;
    }
    form.querySelector("output").textContent = `${shown} / ${items.length}`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  apply();
}
