// Set the formulas of a page by KaTeX. It lies beside this file, and only pages with formulas load it.
(() => {
  const folder = new URL("katex/", document.currentScript.src);
  const formulas = document.querySelectorAll(".arithmatex");
  if (!formulas.length) return;
  const style = document.createElement("link");
  style.rel = "stylesheet";
  style.href = new URL("katex.min.css", folder);
  const script = document.createElement("script");
  script.src = new URL("katex.min.js", folder);
  script.onload = () => formulas.forEach((formula) => {
    const text = formula.textContent.trim().slice(2, -2);  // \( ... \) or \[ ... \]
    katex.render(text, formula, { displayMode: formula.tagName === "DIV", throwOnError: false });
  });
  document.head.append(style, script);
})();
