/**
 * What the page has once had of its own files, and of the beginnings of a model's files, it has without a network too; the rest of a model
 * is kept by `fromPretrained`. With a network, that comes first, so nothing is ever old.
 */
/* global self, caches, fetch, Headers, Response */
self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', (event) => {
  if (event.request.method === 'GET') event.respondWith(answer(event.request));
});

async function answer(request) {
  const range = request.headers.get('range') ?? '';
  if (range !== '' && !range.startsWith('bytes=0-')) return fetch(request);
  const cache = await caches.open('demo');
  const key = new URL(request.url);
  key.searchParams.set('range', range);
  try {
    const response = await fetch(request);
    if (response.status < 500) await cache.put(key, await storable(response.clone()));
    return response;
  } catch (error) {
    const kept = await cache.match(key);
    if (!kept) throw error;
    return new Response(kept.body, {status: Number(kept.headers.get('x-status')), headers: kept.headers});
  }
}

/** The cache takes no parts of files. */
async function storable(response) {
  const headers = new Headers(response.headers);
  headers.set('x-status', String(response.status));
  headers.delete('content-encoding');
  return new Response(await response.arrayBuffer(), {headers});
}
