// The page is whole without this; it only hides what a reader is not looking for.
"use strict";
const form = document.getElementById("filter");
const search = document.getElementById("filter-text");
const selects = [...form.querySelectorAll("select")];
const articles = [...document.querySelectorAll("article.cell")];
const bodies = [...document.querySelectorAll(".matrix tbody")];

function shown(article) {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const text = article.dataset.text;
  return words.every((word) => text.includes(word)) && selects.every((select) => {
    const value = article.dataset[select.dataset.filter];
    const values = select.dataset.filter === "tags" ? value.split(" ") : [value];
    return !select.value || values.includes(select.value);
  });
}

function apply() {
  let count = 0;
  for (const article of articles) {
    const visible = shown(article);
    article.hidden = !visible;
    count += visible;
    document.querySelector(`tr[data-cell="${article.id}"]`).hidden = !visible;
  }
  for (const body of bodies) body.hidden = !body.querySelector("tr[data-cell]:not([hidden])");
  document.getElementById("filter-count").textContent = `${count} of ${articles.length} shown`;
  document.getElementById("filter-none").hidden = count > 0;
}

function clear() {
  form.reset();
  apply();
}

// A link to a cell that is filtered away shows everything again, so that no link leads nowhere.
function follow() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target && target.hidden) {
    clear();
    target.scrollIntoView();
  }
}

form.hidden = false;
form.addEventListener("input", apply);
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(apply));
document.getElementById("filter-clear").addEventListener("click", () => {
  clear();
  search.focus();
});
addEventListener("hashchange", follow);
apply();
