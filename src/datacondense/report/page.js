"use strict";
const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const save = (data, name, type) => {
  const link = make("a", { href: URL.createObjectURL(new Blob([data], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};
const fileName = (text) => text.replace(/[:,]+ */g, "-").replace(/[^\p{L}\p{N} _().,+-]/gu, "_").replace(/^[. ]+/, "").slice(0, 80) || "_";
const button = (text, label, action) => {
  const made = make("button", { type: "button", className: "plain", textContent: text });
  made.setAttribute("aria-label", label);
  made.addEventListener("click", action);
  return made;
};
for (const element of all(".needs-script")) element.hidden = false;

// Folded parts open where a link leads into them, and on paper.
const unfold = () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let part = target && target.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
  if (target) target.scrollIntoView();
};
addEventListener("hashchange", unfold);
unfold();
addEventListener("beforeprint", () => { for (const part of all("details")) part.open = true; });
const links = new Map(all(".contents a").map((link) => [document.getElementById(link.hash.slice(1)), link]));
const seen = new IntersectionObserver((entries) => {
  const entry = entries.filter((one) => one.isIntersecting).at(-1);
  if (!entry) return;
  for (const [heading, link] of links) heading === entry.target ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
}, { rootMargin: "0px 0px -60% 0px" });
for (const heading of links.keys()) if (heading) seen.observe(heading);

// Tables are sorted by the numbers behind their cells, empty cells last.
for (const table of all("table.data")) {
  const body = table.tBodies[0];
  const asMade = [...body.rows];
  if (asMade.length < 2) continue;
  all("thead th", table).forEach((head, column) => {
    const press = make("button", { type: "button", textContent: head.textContent });
    head.replaceChildren(press);
    press.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const sign = before === "ascending" ? -1 : 1;
      for (const other of all("th[aria-sort]", table)) other.removeAttribute("aria-sort");
      if (before === "descending") return body.append(...asMade);
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      const compare = (one, other) => {
        const [a, b] = [one.cells[column], other.cells[column]];
        if (!a.textContent || !b.textContent) return (a.textContent ? 0 : 1) - (b.textContent ? 0 : 1);
        if (a.dataset.value && b.dataset.value) return sign * (Number(a.dataset.value) - Number(b.dataset.value));
        return sign * a.textContent.localeCompare(b.textContent, undefined, { numeric: true });
      };
      body.append(...[...asMade].sort(compare));
    });
  });
}

// Values of figures: under the pointer, and by arrow keys in the order in which they were drawn.
const tip = document.getElementById("tip");
const svgName = "http://www.w3.org/2000/svg";
for (const chart of all(".chart")) {
  const marks = JSON.parse(chart.dataset.marks);
  if (!marks.length) continue;
  const hit = chart.appendChild(document.createElementNS(svgName, "rect"));
  hit.setAttribute("class", "hit");
  hit.setAttribute("visibility", "hidden");
  const hide = () => { tip.hidden = true; hit.setAttribute("visibility", "hidden"); };
  const show = ([left, top, right, bottom, text]) => {
    const point = right - left < 1 && bottom - top < 1 ? 4 : 0;
    const box = { x: left - point, y: top - point, width: right - left + 2 * point, height: bottom - top + 2 * point, rx: point };
    for (const [name, value] of Object.entries(box)) hit.setAttribute(name, value);
    hit.setAttribute("visibility", "visible");
    const place = new DOMPoint((left + right) / 2, top).matrixTransform(chart.getScreenCTM());
    tip.textContent = text;
    tip.hidden = false;
    tip.style.left = `${Math.max(4, Math.min(place.x - tip.offsetWidth / 2, innerWidth - tip.offsetWidth - 4))}px`;
    tip.style.top = `${place.y - tip.offsetHeight - 8 < 0 ? place.y + 12 : place.y - tip.offsetHeight - 8}px`;
  };
  const nearest = (event) => {
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(chart.getScreenCTM().inverse());
    const far = ([left, top, right, bottom]) => Math.hypot(Math.max(left - x, 0, x - right), Math.max(top - y, 0, y - bottom));
    const found = marks.reduce((best, mark) => (far(mark) < far(best) ? mark : best));
    far(found) < (found[2] - found[0] < 1 ? 24 : 4) ? show(found) : hide();
  };
  chart.addEventListener("pointermove", nearest);
  chart.addEventListener("pointerdown", nearest);
  chart.addEventListener("pointerleave", hide);
  const box = chart.closest(".scroll");
  let index = -1;
  box.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") hide();
    if (!step) return;
    event.preventDefault();
    index = (index + step + marks.length) % marks.length;
    show(marks[index]);
  });
  box.addEventListener("blur", () => { index = -1; hide(); });
}

// Figures as files, black on white whatever the scheme of the page.
const asFile = (chart) => {
  const copy = chart.cloneNode(true);
  const [, , width, height] = chart.getAttribute("viewBox").split(" ");
  for (const element of all(".hit", copy)) element.remove();
  for (const name of ["data-marks", "class"]) copy.removeAttribute(name);
  copy.setAttribute("width", `${width}pt`);
  copy.setAttribute("height", `${height}pt`);
  copy.setAttribute("style", "color: black; --heat: #9cc9f4; background: white; font-family: sans-serif; stroke-linejoin: round; stroke-linecap: butt");
  return new XMLSerializer().serializeToString(copy);
};
const asCanvas = (width, height) => {
  const canvas = make("canvas", { width, height });
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  return [canvas, context];
};
const savePng = (canvas, name) => canvas.toBlob((blob) => save(blob, `${name}.png`, "image/png"));
for (const figure of all(".plot")) {
  const chart = figure.querySelector(".chart");
  const name = fileName(figure.dataset.file);
  const what = figure.querySelector("[role=img]").getAttribute("aria-label").slice(0, 60);
  const svg = () => save(asFile(chart), `${name}.svg`, "image/svg+xml");
  const png = async () => {
    const image = make("img", { src: `data:image/svg+xml,${encodeURIComponent(asFile(chart))}` });
    await image.decode();
    const [, , width, height] = chart.getAttribute("viewBox").split(" ").map(Number);
    const [canvas, context] = asCanvas(Math.round(width * 3), Math.round(height * 3));
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    savePng(canvas, name);
  };
  figure.append(make("p", { className: "save" }, button("SVG", `SVG of the figure: ${what}`, svg), button("PNG", `PNG of the figure: ${what}`, png)));
}

// Images: enlarged, beside real ones, as files.
const dialog = document.querySelector("dialog");
const enlarged = (image, text) => make("figure", {}, make("img", { src: image.src, alt: image.alt }), make("figcaption", { textContent: text }));
const pixels = (image, zoom = 1) => {
  const [canvas, context] = asCanvas(image.naturalWidth * zoom, image.naturalHeight * zoom);
  context.imageSmoothingEnabled = false;
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
};
let opened = null;
for (const pic of all(".pic")) {
  pic.addEventListener("click", () => {
    const [made, real] = all("img", pic);
    opened = made;
    dialog.classList.toggle("sharp", made.naturalWidth < 200);
    dialog.querySelector("#zoomed").textContent = made.alt;
    dialog.querySelector(".pair").replaceChildren(enlarged(made, "this image"), ...(real ? [enlarged(real, "nearest real image")] : []));
    dialog.showModal();
  });
}
dialog.querySelector(".close").addEventListener("click", () => dialog.close());
dialog.querySelector(".save-image").addEventListener("click", () => savePng(pixels(opened), fileName(opened.alt)));
for (const box of all(".toggle")) {
  box.addEventListener("change", () => document.querySelector(".hero").classList.toggle("with-real", box.checked));
}
const shownClasses = () => all(".hero .class").filter((one) => !one.hidden);
const zipTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1;
  return byte;
});
const checksum = (data) => ~data.reduce((sum, byte) => zipTable[(sum ^ byte) & 255] ^ (sum >>> 8), ~0) >>> 0;
const zip = (files) => {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const [name, data] of files) {
    const path = new TextEncoder().encode(name);
    const head = new DataView(new ArrayBuffer(26)); // the fields that both headers share: stored, names in UTF-8
    head.setUint16(0, 20, true);
    head.setUint16(2, 0x800, true);
    head.setUint16(8, 0x21, true); // 1 January 1980
    head.setUint32(10, checksum(data), true);
    head.setUint32(14, data.length, true);
    head.setUint32(18, data.length, true);
    head.setUint16(22, path.length, true);
    const place = new DataView(new ArrayBuffer(14));
    place.setUint32(10, offset, true);
    parts.push(Uint8Array.of(0x50, 0x4b, 3, 4), new Uint8Array(head.buffer), path, data);
    directory.push(Uint8Array.of(0x50, 0x4b, 1, 2, 20, 0), new Uint8Array(head.buffer), new Uint8Array(place.buffer), path);
    offset += 30 + path.length + data.length;
  }
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, files.length, true);
  end.setUint16(10, files.length, true);
  end.setUint32(12, directory.reduce((sum, part) => sum + part.length, 0), true);
  end.setUint32(16, offset, true);
  return new Blob([...parts, ...directory, end]);
};
for (const press of all(".zip")) {
  press.addEventListener("click", () => {
    const files = shownClasses().flatMap((row, place) => all(".cell", row).flatMap((cell) => all(".pic > img:first-child", cell).map((image, number) => {
      const [head, data] = image.src.split(",");
      const name = `${String(place + 1).padStart(3, "0")} ${fileName(row.dataset.class)}/${String(number + 1).padStart(2, "0")}.${head.includes("webp") ? "webp" : "png"}`;
      return [`${fileName(cell.dataset.run)}/${name}`, Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0))];
    })));
    save(zip(files), `${fileName(document.querySelector("h1").textContent)}.zip`, "application/zip");
  });
}
for (const press of all(".picture")) {
  press.addEventListener("click", () => {
    const rows = shownClasses().map((row) => ({ name: row.dataset.class, cells: all(".cell", row).map((cell) => all(".pic > img:first-child", cell)) }));
    const one = rows.flatMap((row) => row.cells.flat())[0];
    const zoom = Math.max(1, Math.round(64 / one.naturalWidth));
    const [width, height, name, gap] = [one.naturalWidth * zoom, one.naturalHeight * zoom, 180, 4];
    const columns = rows[0].cells.map((_, column) => Math.max(...rows.map((row) => row.cells[column].length)));
    const total = columns.reduce((sum, count) => sum + count * (width + gap) + 3 * gap, name);
    const [canvas, context] = asCanvas(total, rows.length * (height + gap) + gap);
    context.fillStyle = "black";
    context.font = "16px sans-serif";
    context.textBaseline = "middle";
    context.imageSmoothingEnabled = false;
    rows.forEach((row, line) => {
      const top = gap + line * (height + gap);
      context.fillText(row.name, gap, top + height / 2, name - 2 * gap);
      let left = name;
      row.cells.forEach((images, column) => {
        images.forEach((image, number) => context.drawImage(image, left + number * (width + gap), top, width, height));
        left += columns[column] * (width + gap) + 3 * gap;
      });
    });
    savePng(canvas, fileName(document.querySelector("h1").textContent));
  });
}

// One filter for the classes of all images and tables.
const filter = document.getElementById("filter");
const ofClass = all("[data-class]");
filter.addEventListener("input", () => {
  const word = filter.value.trim().toLocaleLowerCase();
  for (const element of ofClass) element.hidden = !element.dataset.class.toLocaleLowerCase().includes(word);
  if (word) for (const part of all(".others")) part.open = true;
  const names = (elements) => new Set(elements.map((element) => element.dataset.class)).size;
  document.querySelector("output[for=filter]").textContent = word ? `${names(ofClass.filter((one) => !one.hidden))} of ${names(ofClass)}` : "";
});

// The images over the iterations, one after another.
for (const player of all(".player")) {
  const columns = player.nextElementSibling.querySelector("table");
  const iterations = all("thead th", columns).slice(1).map((head) => head.textContent);
  const rows = all("tbody tr", columns).map((row) => all("img", row));
  const images = all(".now img", player);
  const range = player.querySelector("input");
  const play = player.querySelector(".play");
  let timer = 0;
  const show = () => {
    const column = Number(range.value);
    images.forEach((image, row) => { image.src = rows[row][column].src; image.alt = rows[row][column].alt; });
    player.dataset.iteration = iterations[column];
    player.querySelector("output").textContent = iterations[column];
    range.setAttribute("aria-valuetext", `iteration ${iterations[column]}`);
  };
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
  };
  const step = () => {
    range.value = Number(range.value) + 1;
    show();
    if (Number(range.value) === iterations.length - 1) stop();
  };
  range.addEventListener("input", () => { stop(); show(); });
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (Number(range.value) === iterations.length - 1) { range.value = 0; show(); }
    play.textContent = "Pause";
    timer = setInterval(step, Math.max(4000 / iterations.length, 80));
  });
  show();
}
for (const copy of all(".copy")) {
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(copy.parentElement.previousElementSibling.textContent);
    copy.textContent = "Copied";
  });
}
