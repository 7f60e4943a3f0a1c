"use strict";
{
  // A cell begins with its number: "−0.695 [−0.766, −0.623] worse", "12,345", "0.43×"; "2.13.0" and "3c2a" are words.
  const NUMBER = /^[+−-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.])/;
  const words = new Intl.Collator("en", { numeric: true });

  const said = (row, column) => row.cells[column].textContent.trim();
  const value = (text) => {
    const found = text.match(NUMBER);
    return found ? Number(found[0].replaceAll(",", "").replace("−", "-")) : NaN;
  };

  // Rows by a column. What has no number in a column of numbers, and what is empty, stays below in both directions.
  const sorted = (rows, column, sign) => {
    const told = rows.filter((row) => !["", "–"].includes(said(row, column)));
    const numbers = told.filter((row) => !Number.isNaN(value(said(row, column))));
    const key = 2 * numbers.length > told.length ? value : null;
    const ranked = key ? numbers : told;
    const order = key ? (a, b) => key(a) - key(b) : words.compare;
    const top = [...ranked].sort((a, b) => sign * order(said(a, column), said(b, column)));
    return [...top, ...rows.filter((row) => !ranked.includes(row))];
  };

  // A header's button sorts upwards, then downwards, then puts the rows back as they were.
  const NEXT = { none: "ascending", ascending: "descending", descending: "none" };
  for (const body of document.querySelectorAll("thead + tbody")) {
    const rows = [...body.rows];
    const heads = rows.length > 1 ? [...body.previousElementSibling.rows[0].cells] : [];
    for (const [column, head] of heads.entries()) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const now = NEXT[head.getAttribute("aria-sort") ?? "none"];
        for (const other of heads) other.removeAttribute("aria-sort");
        if (now !== "none") head.setAttribute("aria-sort", now);
        body.append(...(now === "none" ? rows : sorted(rows, column, now === "ascending" ? 1 : -1)));
      });
    }
  }

  // What does not scroll is no stop for the keyboard.
  const watch = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  for (const box of document.querySelectorAll(".scroll")) watch.observe(box);

  // The contents are folded where they stand above the report, and show where the reader is where they stand beside it.
  const contents = document.querySelector("nav details");
  const narrow = matchMedia("(width <= 64rem)");
  const fold = () => { contents.open = !narrow.matches; };
  narrow.addEventListener("change", fold);
  fold();

  const links = [...contents.querySelectorAll("a")].map((link) => [link, document.getElementById(link.hash.slice(1))]);
  const follow = () => {
    const root = document.documentElement;
    const atEnd = root.scrollTop + root.clientHeight >= root.scrollHeight - 2;
    let here = links[0]?.[0];
    for (const [link, heading] of links) {
      const top = heading.getBoundingClientRect().top;
      if (top < 80 || (atEnd && link.hash === location.hash && top < root.clientHeight)) here = link;
    }
    for (const [link] of links) {
      if (link === here) link.setAttribute("aria-current", "location");
      else link.removeAttribute("aria-current");
    }
  };
  addEventListener("scroll", follow, { passive: true });
  addEventListener("hashchange", follow);
  follow();

  // On paper nothing can be unfolded.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("main details:not([open])")];
    for (const part of folded) part.open = true;
  });
  addEventListener("afterprint", () => {
    for (const part of folded) part.open = false;
  });
}
