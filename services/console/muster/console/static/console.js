"use strict";
// What every page does. Drafts belong to whoever is signed in; another one finds none of them.
(() => {
  const OURS = "muster.draft.";
  const owner = document.body.dataset.owner;
  const forget = (keep) => {
    for (const key of Object.keys(localStorage)) if (key.startsWith(OURS) && key !== keep) localStorage.removeItem(key);
  };
  if (owner) forget(OURS + owner);
  document.querySelector("[data-sign-out]")?.addEventListener("submit", () => forget(""));
  document.querySelector("[data-focus]")?.focus();
  // What an act came to is told once: a page that is kept or loaded again is the page alone.
  const here = new URL(location.href);
  if (here.searchParams.has("told")) { here.searchParams.delete("told"); history.replaceState(history.state, "", here); }
  // What was sent is no draft any more. Until its send is there to be seen it is kept: sending it may be refused.
  const SENT = "muster.sent";
  const kept = () => (owner && localStorage.getItem(OURS + owner)) || "";
  if (location.pathname.startsWith("/sends/") && sessionStorage.getItem(SENT) === kept()) forget("");
  sessionStorage.removeItem(SENT);
  // A second click on a form that is on its way does nothing; what it does is safe to repeat all the same.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent) { event.preventDefault(); return; }
    // A file leaves the page as it is.
    if (event.defaultPrevented || form.hasAttribute("hx-post") || event.submitter?.hasAttribute("data-file")) return;
    form.dataset.sent = "yes";
    if (event.submitter?.hasAttribute("data-send")) sessionStorage.setItem(SENT, kept());
    event.submitter?.setAttribute("aria-busy", "true");
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.sent;
    for (const one of document.querySelectorAll("[aria-busy]")) one.removeAttribute("aria-busy");
  });
})();
