// Keeps the page's files, so that it works without a network once it has been opened.

const KEPT = "audiofw-@VERSION@", FILES = @FILES@;

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(KEPT).then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting()));
});
self.addEventListener("activate", (event) => {
  const others = (name) => name.startsWith("audiofw-") && name !== KEPT;
  event.waitUntil(caches.keys().then((names) => Promise.all(names.filter(others).map((name) => caches.delete(name)))));
});
self.addEventListener("fetch", (event) => {
  event.respondWith(caches.match(event.request, { ignoreSearch: true }).then((found) => found ?? fetch(event.request)));
});
