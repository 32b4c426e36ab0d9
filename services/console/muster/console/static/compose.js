"use strict";
// A draft survives a closed browser; it is kept by person and business (console.js forgets those of others).
(() => {
  const form = document.getElementById("message");
  const text = document.getElementById("text");
  const key = "muster.draft." + document.body.dataset.owner;
  const NEVER = new Set(["csrf", "do"]);
  const keep = () => {
    const fields = [...new FormData(form)].filter(([name]) => !NEVER.has(name));
    localStorage.setItem(key, JSON.stringify(fields));
    document.querySelector("[data-kept]").hidden = false;
  };
  const restore = () => {
    const fields = JSON.parse(localStorage.getItem(key) || "[]");
    for (const one of form.elements) {
      if (!one.name || NEVER.has(one.name)) continue;
      const values = fields.filter(([name]) => name === one.name).map(([, value]) => value);
      if (one.type === "radio" || one.type === "checkbox") { if (fields.length) one.checked = values.includes(one.value); }
      else if (values.length) one.value = values[0];
    }
  };
  if (!text.value) restore();
  form.addEventListener("input", keep);
  const changed = () => text.dispatchEvent(new Event("input", { bubbles: true }));
  document.addEventListener("click", (event) => {
    const insert = event.target.closest("[data-insert]");
    if (insert) { text.setRangeText(insert.dataset.insert, text.selectionStart, text.selectionEnd, "end"); text.focus(); changed(); }
    const plain = event.target.closest("[data-plain]");
    if (!plain) return;
    event.preventDefault();
    for (const group of JSON.parse(plain.dataset.plain)) for (const one of group.where === "text" ? group.characters : [])
      if (one.replacement !== null) text.value = text.value.replaceAll(one.text, one.replacement);
    text.focus();
    changed();
  });
  // Said once one has stopped typing, and only what has changed.
  let telling;
  document.addEventListener("htmx:afterSwap", () => {
    clearTimeout(telling);
    telling = setTimeout(() => {
      const told = document.getElementById("told");
      const now = document.querySelector("#figures .figures, #figures .notice")?.textContent.replace(/\s+/g, " ").trim() ?? "";
      if (told.textContent !== now) told.textContent = now;
    }, 1200);
  });
  window.addEventListener("load", () => window.htmx && htmx.trigger(form, "figures"));
})();
