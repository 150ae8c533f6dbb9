"use strict";
// One recording plays at a time; a line on its spectrogram shows the position, and a click there moves it.
for (const clip of document.querySelectorAll(".clip")) {
  const audio = clip.querySelector("audio"), view = clip.querySelector(".view");
  if (!audio || !view) continue;
  const head = view.appendChild(document.createElement("i"));
  const draw = () => {
    head.style.left = `${100 * audio.currentTime / (audio.duration || 1)}%`;
    head.hidden = audio.paused && !audio.currentTime;
    if (!audio.paused) requestAnimationFrame(draw);
  };
  draw();
  for (const event of ["play", "pause", "seeked", "ended"]) audio.addEventListener(event, draw);
  audio.addEventListener("play", () => {
    for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
  });
  view.addEventListener("click", (event) => {
    const box = view.getBoundingClientRect();
    audio.currentTime = (event.clientX - box.left) / box.width * (audio.duration || 0);
    audio.play();
  });
}
// In a table, a button plays and stops.
for (const button of document.querySelectorAll("button.play")) {
  let audio;
  button.addEventListener("click", () => {
    if (!audio) {
      audio = button.parentElement.appendChild(new Audio(button.dataset.sound));
      audio.addEventListener("play", () => {
        for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
      });
      for (const event of ["play", "pause", "ended"]) {
        audio.addEventListener(event, () => { button.textContent = audio.paused ? "▶" : "■"; });
      }
    }
    if (audio.paused) { audio.currentTime = 0; audio.play(); } else audio.pause();
  });
}
// The buttons in table headers sort.
for (const table of document.querySelectorAll("table.sortable")) {
  const headers = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  const value = (row, i) => row.cells[i].dataset.value ?? row.cells[i].textContent.trim();
  headers.forEach((header, i) => header.querySelector("button")?.addEventListener("click", () => {
    const down = header.getAttribute("aria-sort") === "ascending";
    const sign = down ? -1 : 1;
    for (const other of headers) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    const compare = (a, b) => {
      const x = value(a, i), y = value(b, i);
      if (x === "" || y === "") return (x === "") - (y === "");  // missing values stay at the end
      return sign * (isNaN(x) || isNaN(y) ? x.localeCompare(y, undefined, { numeric: true }) : x - y);
    };
    body.append(...[...body.rows].sort(compare));
  }));
}
// On a phone, each row of these tables is a block, in which the cells need their headers.
for (const table of document.querySelectorAll("table.stacked")) {
  const labels = [...table.tHead.rows[0].cells].map((header) => header.textContent.trim().replace(/\s+/g, " "));
  for (const row of table.tBodies[0].rows) [...row.cells].forEach((cell, i) => { cell.dataset.label = labels[i] ?? ""; });
}
// A table may have a filter, which shows the rows that contain all of its words.
for (const label of document.querySelectorAll(".filter")) {
  const input = label.querySelector("input"), table = document.getElementById(input.getAttribute("aria-controls"));
  const rows = [...table.tBodies[0].rows], count = label.parentElement.querySelector("output");
  label.hidden = false;
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
    count.textContent = words.length ? `${rows.filter((row) => !row.hidden).length} of ${rows.length}` : "";
  });
}
for (const button of document.querySelectorAll("button.copy")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "copied";
    } catch {  // some browsers forbid it for files: select the text instead
      getSelection().selectAllChildren(code);
      button.textContent = "selected";
    }
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });
}
