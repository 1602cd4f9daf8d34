"use strict";
(() => {
  const collator = new Intl.Collator("zh-Hant", { numeric: true });
  const keyOf = (row, column) => {
    const cell = row.cells[column];
    return cell.hasAttribute("data-key") ? cell.getAttribute("data-key") : cell.textContent;
  };

  const sortBy = (table, column, direction, original) => {
    const isFigure = table.tHead.rows[0].cells[column].hasAttribute("data-figure");
    const rows = [...original];
    if (direction !== 0) {
      rows.sort((one, other) => {
        const a = keyOf(one, column);
        const b = keyOf(other, column);
        if (a === "" || b === "") return (a === "") - (b === "");
        return direction * (isFigure ? Number(a) - Number(b) : collator.compare(a, b));
      });
    }
    table.tBodies[0].append(...rows);
  };

  for (const table of document.querySelectorAll("table[data-sortable]")) {
    const original = [...table.tBodies[0].rows];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const first = head.hasAttribute("data-figure") ? "descending" : "ascending";
        const second = first === "descending" ? "ascending" : "descending";
        const now = head.getAttribute("aria-sort");
        const next = now === null ? first : now === first ? second : null;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        if (next !== null) head.setAttribute("aria-sort", next);
        sortBy(table, column, next === null ? 0 : next === "ascending" ? 1 : -1, original);
      });
    });
  }

  const show = (items, matches, status, noun) => {
    let shown = 0;
    for (const item of items) {
      item.hidden = !matches(item);
      if (!item.hidden) shown += 1;
    }
    const all = items.length.toLocaleString("en");
    status.textContent = shown === items.length ? `${all} ${noun}` : `${shown.toLocaleString("en")} of ${all} ${noun}`;
  };

  for (const block of document.querySelectorAll("[data-filter-rows]")) {
    const controls = block.querySelector(".controls");
    const input = controls.querySelector("input");
    const rows = [...block.querySelectorAll("tbody tr")];
    controls.hidden = false;
    input.addEventListener("input", () => {
      const words = input.value.trim().toLowerCase();
      show(rows, (row) => row.textContent.toLowerCase().includes(words), controls.querySelector(".shown"), "rows");
    });
  }

  for (const block of document.querySelectorAll("[data-samples]")) {
    const controls = block.querySelector(".controls");
    if (controls === null) continue;
    const input = controls.querySelector("input");
    const chips = [...controls.querySelectorAll(".chip")];
    const samples = [...block.querySelectorAll(".sample")];
    let tag = "";
    const update = () => {
      const words = input.value.trim().toLowerCase();
      const matches = (sample) =>
        (tag === "" || sample.dataset.tags.split(" ").includes(tag)) &&
        (words === "" || sample.textContent.toLowerCase().includes(words));
      show(samples, matches, controls.querySelector(".shown"), "samples");
    };
    controls.hidden = false;
    input.addEventListener("input", update);
    for (const chip of chips) {
      chip.addEventListener("click", () => {
        tag = chip.dataset.tag;
        chips.forEach((other) => other.setAttribute("aria-pressed", String(other === chip)));
        update();
      });
    }
  }

  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((details) => (details.open = true));
  });
  addEventListener("afterprint", () => folded.forEach((details) => (details.open = false)));
})();
