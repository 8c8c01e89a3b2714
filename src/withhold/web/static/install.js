// The worker keeps the page that is shown without a network, and nothing else.
if ("serviceWorker" in navigator) {
  navigator.serviceWorker.register("/m/sw.js", { scope: "/m" }).catch(() => {});
}
