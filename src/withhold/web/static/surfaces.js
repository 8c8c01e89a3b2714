// The pages work without this file. With it they ask again for what changed, and say when nobody answers.
(() => {
  "use strict";
  const told = (shown) => {
    const unreachable = document.getElementById("unreachable");
    if (unreachable) unreachable.hidden = !shown;
  };
  const isOwn = (event) => event.target && event.target.id === "live";

  // What the server's mark says is new is asked for again; what is shown already stays as it is.
  document.addEventListener("standing", (event) => {
    const parts = document.querySelectorAll("[data-marks]");
    if (!parts.length) location.reload(); // a list: it shows states, and has no part of its own
    for (const part of parts) {
      if (part.dataset.marks !== event.detail.data) htmx.trigger(part, "stale");
    }
  });

  // Escape answers an open question as "Keep off" does.
  document.addEventListener("keydown", (event) => {
    const asked = event.key === "Escape" && event.target.closest(".ask");
    if (asked) asked.querySelector("form:last-of-type button").click();
  });

  // A page that the browser kept and brings back was told nothing meanwhile.
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });

  // The session is over, or the holder is not ours to see any more.
  document.addEventListener("ended", () => location.reload());

  document.addEventListener("htmx:error", (event) => {
    if (!isOwn(event)) told(true);
  });
  document.addEventListener("htmx:after:request", (event) => {
    if (!isOwn(event)) told(false);
  });
})();
