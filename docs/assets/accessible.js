// Name and make reachable what the theme adds to a page when it is open: the search, code blocks, parts that scroll.
(() => {
  const mend = () => {
    document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
    document.querySelectorAll(".md-code__nav").forEach((nav, i) => nav.setAttribute("aria-label", `Code block ${i + 1}`));
    document.querySelectorAll(".md-typeset__scrollwrap, .katex-display, div.arithmatex").forEach((part) => {
      if (part.scrollWidth > part.clientWidth) part.tabIndex = 0;
    });
  };
  new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
  addEventListener("resize", mend);
  mend();
})();
